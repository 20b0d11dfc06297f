"""How fast, how faithful and how light is DemoLens on the sample material? `python -m bench` measures it."""
