"""The Improve page and the words that only it uses."""
