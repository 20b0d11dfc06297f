"""The language model: loading it safely, running forests of segments through it, scoring candidates."""
