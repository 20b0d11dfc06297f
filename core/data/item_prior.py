"""How popular is each candidate of a case just before its moment?"""

from __future__ import annotations

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
    likes = dataset.likes
    items = np.array([dataset.catalogue.places[item] for item in case.candidates], dtype=np.int64)
    return likes.counts(items, likes.bound(case.moment, len(case.history) if positions is None else positions))


def log_popularity(dataset: Dataset, case: Case, positions: int | None = None) -> NDArray[np.float64]:
    """log(1 + likes before the moment) of each candidate, [candidate]; a blend adds it to scores, times its weight."""
    return np.log1p(likes_before(dataset, case, positions).astype(np.float64))
