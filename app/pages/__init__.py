"""One page of the dashboard a file: pickers, one call, charts."""
