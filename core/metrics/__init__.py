"""Numbers that judge a ranking or compare two of them; one value per case."""
