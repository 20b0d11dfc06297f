"""How good is a demonstration: gain, effect, alignment, redundancy, stability, and do they predict its use?"""
