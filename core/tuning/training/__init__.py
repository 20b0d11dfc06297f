"""Learning from prompts in the in-context format: examples to tokens, steps, checkpoints, the card."""
