"""From a case and its demonstrations to tokens, every one of them in exactly one span."""
