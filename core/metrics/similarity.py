"""How alike two orderings are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats


def spearman(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman's rank correlation of two vectors; nan when fewer than 3 values or one of them does not vary."""
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(np.corrcoef(stats.rankdata(first), stats.rankdata(second))[0, 1])


def spearman_rows(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """`spearman` [row] of the rows of two tables [row, value]."""
    if first.shape[1] < 3:
        return np.full(len(first), math.nan)
    one, other = (_centred_ranks(table) for table in (first, second))
    size = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    together = (one * other).sum(axis=1)
    correlations = np.full(len(first), math.nan)
    np.divide(together, size, out=correlations, where=size > 0)
    return correlations


def _centred_ranks(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks within each row [row, value], less their mean; all 0 in a row that does not vary."""
    return np.asarray(stats.rankdata(table, axis=1) - (table.shape[1] + 1) / 2)


def kendall_tau(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Kendall's tau-b of two vectors, 1 for the same order, -1 for the reverse, corrected for ties (Kendall 1945).

    nan when fewer than 2 values or one of them does not vary.
    """
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(stats.kendalltau(first, second).statistic)


def rank_biased_overlap(first: Sequence[float], second: Sequence[float], *, p: float = 0.9) -> float:
    """Extrapolated rank-biased overlap of two full rankings, 0 to 1; the top weighs more.

    `first` and `second` are ranks [item] from 1; equal ones are ties, each the mean of the places they share. With A_d
    the share of items that the two first d places have in common and n items: A_n p^n + (1 - p) / p * sum over d of
    A_d p^d (Webber, Moffat and Zobel 2010, equation 32 at full depth). With ties an item is among the first d places
    with the chance c that a random order of the tied ones puts it there, and A_d is
    sum c c' / sqrt(sum c^2 sum c'^2), so that equal rankings have 1 (variant b of Corsi and Urbano 2024). nan for no
    items; `ValueError` for a `p` outside (0, 1).
    """
    if not 0 < p < 1:
        raise ValueError(f"p is {p:g}, not between 0 and 1")
    size = len(first)
    if size == 0:
        return math.nan
    depths = np.arange(1, size + 1)
    left, right = _chances(first), _chances(second)
    agreement = (left * right).sum(axis=1) / np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
    return float(agreement[-1] * p**size + (1 - p) / p * np.sum(agreement * p**depths))


def _chances(ranks: Sequence[float]) -> NDArray[np.float64]:
    """[depth, item]: chance that a random order of equal ranks puts the item among the first so many places."""
    places = np.asarray(ranks, dtype=np.float64)
    _, group, counts = np.unique(places, return_inverse=True, return_counts=True)
    size = counts[group]
    before = places - (size - 1) / 2 - 1
    return np.clip((np.arange(1, len(places) + 1)[:, None] - before) / size, 0, 1)
