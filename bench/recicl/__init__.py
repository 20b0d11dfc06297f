"""Part `recicl`: tuned models against the base model and classical recommenders."""
