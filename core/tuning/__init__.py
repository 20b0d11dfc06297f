"""RecICL: tuning that keeps in-context learning, its evaluation, and classical recommenders as references."""
