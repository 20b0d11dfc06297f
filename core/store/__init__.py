"""Where things lie on disk: sample material and finished results."""
