"""RecICL: tuning that keeps in-context learning, its evaluation, and personalisation without touching weights."""
