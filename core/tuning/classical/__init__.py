"""Recommenders learned from the interactions alone, which language models are compared with, and codes from them."""
