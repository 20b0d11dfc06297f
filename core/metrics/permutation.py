"""Permutation tests of paired differences."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from core.metrics.intervals import Floats

EXACT = 12
"""Differences up to which all patterns of signs are tried."""
DRAWS = 9_999
"""Patterns that are drawn beyond that."""


class SignFlip(NamedTuple):
    """How often chance gives a mean difference at least as large as the one measured."""

    gap: float
    """The mean difference measured."""
    p: float
    """One-sided: share of the sign patterns whose mean is at least `gap`, the measured pattern among them."""
    permutations: int
    """Sign patterns tried, the measured one among them."""


def sign_flip(differences: Floats, *, seed: int) -> SignFlip:
    """Whether paired differences [pair] are above zero, by Fisher's randomisation test (1935, section 21).

    The null: each difference is as likely to have the other sign. Up to `EXACT` pairs every pattern of signs is tried,
    so p is exact; beyond that `DRAWS` random ones. Raises `ValueError` without a difference.
    """
    if not len(differences):
        raise ValueError("no differences")
    gap = float(differences.mean())
    patterns = _patterns(len(differences), seed)
    rounding = 1e-9 * float(np.abs(differences).mean())
    as_large = int((patterns @ differences / len(differences) >= gap - rounding).sum())
    return SignFlip(gap, as_large / len(patterns), len(patterns))


def least_p(pairs: int) -> float:
    """The smallest p that so many pairs can have."""
    return 1 / (2**pairs if pairs <= EXACT else DRAWS + 1)


def _patterns(pairs: int, seed: int) -> Floats:
    """Signs [pattern, pair], the measured pattern first."""
    if pairs <= EXACT:
        return np.array(list(product((1.0, -1.0), repeat=pairs)))
    drawn = np.random.default_rng(seed).choice([-1.0, 1.0], size=(DRAWS, pairs))
    return np.concatenate([np.ones((1, pairs)), drawn])
