"""Ranks from scores, and what a ranking is worth when the item really chosen is known.

Equal scores share the middle of their places, and no result depends on the order in which candidates are listed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Rank = int | float
"""1 is the best; of several candidates with equal scores each has the mean of their places, such as 2.5."""


class Titled(Protocol):
    """A candidate as reports hold it."""

    @property
    def title(self) -> str:
        """Its name; two may have the same."""
        ...

    @property
    def item_id(self) -> str:
        """Its identity."""
        ...


def ranks(scores: NDArray[np.float64]) -> tuple[Rank, ...]:
    """Rank of each candidate, whole numbers as `int`."""
    _, group, counts = np.unique(-scores, return_inverse=True, return_counts=True)
    middle = (np.cumsum(counts) - (counts - 1) / 2)[group].tolist()
    return tuple(int(rank) if rank.is_integer() else rank for rank in middle)


def firsts(scores: NDArray[np.float64]) -> frozenset[int]:
    """The candidates with the highest score: one, or all that share it."""
    return frozenset(np.flatnonzero(scores == scores.max()).tolist())


def sharing(scores: NDArray[np.float64]) -> int:
    """How many candidates have exactly the score of another one."""
    _, counts = np.unique(scores, return_counts=True)
    return int(counts[counts > 1].sum())


def best_first(ranks: Sequence[Rank | None], rows: Sequence[Titled]) -> list[int]:
    """Indices of `rows` by rank, those without a rank last; equal ranks by title, then by id, never as listed."""

    def key(index: int) -> tuple[float, str, str]:
        rank = ranks[index]
        return math.inf if rank is None else rank, rows[index].title, rows[index].item_id

    return sorted(range(len(rows)), key=key)


def ndcg(rank: int | None, at: int = 10) -> float:
    """Normalised discounted cumulative gain of one relevant item at place `rank`; nan when there is none."""
    if rank is None:
        return math.nan
    return 1 / math.log2(rank + 1) if rank <= at else 0.0


def expected_ndcg(scores: NDArray[np.float64], item: int, at: int = 10) -> float:
    """`ndcg` of candidate `item`, averaged over all orders of the candidates that share its score."""
    above, alike = int((scores > scores[item]).sum()), int((scores == scores[item]).sum())
    return sum(ndcg(above + place, at) for place in range(1, alike + 1)) / alike


def ndcg_by_chance(candidates: int, at: int = 10) -> float:
    """Mean `ndcg` over all ranks: what a random order of so many candidates is worth."""
    return sum(ndcg(rank, at) for rank in range(1, candidates + 1)) / candidates
