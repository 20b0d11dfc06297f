"""Strategies of picking demonstrations against each other: on which lists, with what gain, for how many tokens."""
