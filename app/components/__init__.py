"""One widget group a file."""
