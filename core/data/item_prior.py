"""How popular is each candidate of a case just before its moment?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.data.dataset import Dataset
from core.data.likes import Ints
from core.data.records import Case


def likes_before(dataset: Dataset, case: Case, positions: int | None = None) -> Ints:
    """Likes of each candidate strictly before the case's moment, [candidate].

    Without timestamps a like counts where it is among the first `positions` interactions of its user, as many as the
    case's history has unless given.
    """
    return likes_of(dataset, case.candidates, case.moment, len(case.history) if positions is None else positions)


def likes_of(dataset: Dataset, item_ids: Sequence[str], moment: float | None, positions: int) -> Ints:
    """Likes of each item strictly before a moment, or at a position below `positions` where there is none, [item]."""
    places = np.array([dataset.catalogue.places[item] for item in item_ids], dtype=np.int64)
    return dataset.likes.counts(places, dataset.likes.bound(moment, positions))


def log_popularity(dataset: Dataset, case: Case, positions: int | None = None) -> NDArray[np.float64]:
    """log(1 + likes before the moment) of each candidate, [candidate]; a blend adds it to scores, times its weight."""
    return np.log1p(likes_before(dataset, case, positions).astype(np.float64))
