"""The Theory page and the words that only it uses."""
