"""The Personalise page and the widgets that only it uses."""
