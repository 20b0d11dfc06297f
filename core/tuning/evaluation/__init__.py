"""How well a tuned model answers and ranks after its training, beside every other way."""
