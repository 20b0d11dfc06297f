"""From atomic files to cases: what happened, who it happened to, and which demonstrations can be shown."""
