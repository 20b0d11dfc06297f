"""The table of demonstrations, which is also their editor: a component of our own in the browser."""
