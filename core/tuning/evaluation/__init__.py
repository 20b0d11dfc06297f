"""The evaluation of tuned models on later interactions: answers, rankings, and their intervals."""
