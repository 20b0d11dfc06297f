"""Finished prompts of other programs: read, cut into parts, and kept as cases."""
