"""Questions about a case answered with a model: explanation, quality, robustness, the dual model."""
