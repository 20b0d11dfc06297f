"""What each demonstration contributes to a score, how sure that is, and how faithful."""
