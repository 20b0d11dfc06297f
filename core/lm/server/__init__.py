"""Scores of prompts from a server that holds the model, over HTTP."""
