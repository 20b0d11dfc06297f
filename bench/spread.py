"""How far does a measured figure scatter over the cases?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DRAWS = 2_000
LEVEL = 0.9
"""Share of bootstrap draws inside an interval."""


def quartiles(values: Array) -> tuple[float, float, float]:
    """Median, first and third quartile; nan thrice for no values."""
    if len(values) == 0:
        return float("nan"), float("nan"), float("nan")
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return float(middle), float(low), float(high)


def resampled(cases: int, seed: int = 0) -> NDArray[np.int64]:
    """Bootstrap samples of case numbers, [draw, case]; the same for everything measured on as many cases."""
    return np.random.default_rng(seed).integers(0, cases, size=(DRAWS, cases))


def mean_interval(values: Array) -> tuple[float, float, float]:
    """Mean over cases with its bootstrap interval (percentiles, level `LEVEL`); the ends are nan below 2 cases."""
    if len(values) == 0:
        return float("nan"), float("nan"), float("nan")
    return (float(values.mean()), *_ends(values[resampled(len(values))].mean(axis=1), len(values)))


def ratio_interval(above: Array, below: Array) -> tuple[float, float, float]:
    """Ratio of the means of two paired measurements with its bootstrap interval over cases."""
    if len(above) == 0:
        return float("nan"), float("nan"), float("nan")
    picks = resampled(len(above))
    draws = above[picks].mean(axis=1) / below[picks].mean(axis=1)
    return (float(above.mean() / below.mean()), *_ends(draws, len(above)))


def _ends(draws: Array, cases: int) -> tuple[float, float]:
    if cases < 2:
        return float("nan"), float("nan")
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)
