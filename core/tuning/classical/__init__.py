"""What a language model is held against: recommenders learned from the interactions alone, and codes from them."""
