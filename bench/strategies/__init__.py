"""Part `strategies`: ways to pick demonstrations against none and against controls."""
