"""What a model makes of texts and choices, as vectors: hidden states of words, and gradients at its output layer."""
