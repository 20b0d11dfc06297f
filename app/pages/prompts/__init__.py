"""Finished prompts of other programs: import them, see how they are cut, correct the cuts, explain one."""
