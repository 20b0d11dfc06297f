"""The parts of a prompt, tinted, and their correction: a component of our own in the browser."""
