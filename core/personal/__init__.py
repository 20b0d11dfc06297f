"""A user's stream played step by step: new interactions become demonstrations, no weight is touched."""
