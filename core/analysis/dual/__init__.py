"""The dual model: exact parts of attention, an explicit twin of random features, in-context against real updates."""
