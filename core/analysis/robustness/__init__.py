"""How stable is the answer: perturbed prompts, perturbed and regularised dual models."""
