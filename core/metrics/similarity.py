"""How alike two orderings are."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats


def spearman(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman's rank correlation of two vectors; nan when fewer than 3 values or one of them does not vary."""
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(np.corrcoef(stats.rankdata(first), stats.rankdata(second))[0, 1])


def bootstrap_spearman(
    first: NDArray[np.float64], second: NDArray[np.float64], *, seed: int, draws: int = 1_000, level: float = 0.9
) -> tuple[float, float]:
    """Percentile interval of `spearman` over resampled pairs; nan ends when too few resamples vary."""
    rng = np.random.default_rng(seed)
    picks = rng.integers(0, len(first), size=(draws, len(first)))
    each = np.array([spearman(first[pick], second[pick]) for pick in picks])
    each = each[np.isfinite(each)]
    if len(each) < draws / 2:
        return math.nan, math.nan
    tail = (1 - level) / 2
    low, high = np.quantile(each, [tail, 1 - tail])
    return float(low), float(high)
