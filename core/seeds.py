"""Seeds derived from the content of the work, so that any single case can be repeated alone."""

from __future__ import annotations

import hashlib

import numpy as np


def seed_of(*parts: object) -> int:
    """A 63-bit seed from the text of `parts`; equal parts give the equal seed on every machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big") >> 1


def generator(*parts: object) -> np.random.Generator:
    """A numpy generator seeded by `seed_of(*parts)`."""
    return np.random.default_rng(seed_of(*parts))
