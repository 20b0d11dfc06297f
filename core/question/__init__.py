"""A question about a case, its answer, and the registry of the kinds there are."""
