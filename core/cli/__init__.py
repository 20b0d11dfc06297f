"""The `demolens` command: the same work without a browser."""
