"""Scores of candidates for many prompts that share beginnings, without running anything twice."""
