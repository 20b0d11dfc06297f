"""Two-stage optimisation of demonstrations: a shortlist from the pool, then a search with the model."""
