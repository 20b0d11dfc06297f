"""The Explore page and the widgets that only it uses."""
