"""The Data page and the widgets that only it uses."""
