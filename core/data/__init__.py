"""From files to cases: users, items and interactions, and the demonstrations that a case can show."""
