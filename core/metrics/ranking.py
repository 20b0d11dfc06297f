"""Ranks from scores, and what a ranking is worth when the item really chosen is known."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def ranks(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rank of each candidate, 1 for the highest score; ties keep the order of the list."""
    order = np.argsort(-scores, kind="stable")
    result = np.empty(len(scores), dtype=np.int64)
    result[order] = np.arange(1, len(scores) + 1)
    return result


def ndcg(rank: int | None, at: int = 10) -> float:
    """Normalised discounted cumulative gain of one relevant item at `rank`; nan when there is none."""
    if rank is None:
        return math.nan
    return 1 / math.log2(rank + 1) if rank <= at else 0.0


def ndcg_by_chance(candidates: int, at: int = 10) -> float:
    """Mean `ndcg` over all ranks: what a random order of so many candidates is worth."""
    return sum(ndcg(rank, at) for rank in range(1, candidates + 1)) / candidates
