"""Measurements of what an engineer brings: data, prompts, a server."""
