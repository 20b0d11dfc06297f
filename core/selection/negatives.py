"""Items that a user never met and that were as popular, at the moment of a held-out choice, as what was chosen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.data.dataset import Dataset
from core.data.records import Case, Interaction
from core.seeds import generator

NEAREST = 4
"""Negatives are drawn among the nearest in popularity, this many times as many as are drawn."""

Places = NDArray[np.int64]


def matched_negatives(dataset: Dataset, case: Case, choice: Interaction, count: int) -> tuple[str, ...]:
    """`count` distinct items (fewer where the catalogue has no more) that the user never met, drawn by a seed.

    They are drawn among the `NEAREST` times as many whose popularity, log(1 + likes strictly before the choice), lies
    nearest to the choice's. The case's target is never among them, and the case's other candidates only where nothing
    else is left, so that the draw does not depend on which of the candidates the target is.
    """
    catalogue = dataset.catalogue
    met = {row.item_id for row in dataset.history(case.user_id)} | {choice.item_id}
    free = catalogue.others(met | ({case.target} if case.target is not None else set()))
    random = generator(case.dataset_id, case.user_id, choice.position, "popularity matched", case.seed)
    key = random.random(len(catalogue.ids))
    gap = _gaps(dataset, choice)
    listed = np.isin(free, [catalogue.places[item] for item in case.candidates if item in catalogue])
    drawn = _drawn(free[~listed], gap, key, count)
    drawn = np.concatenate([drawn, _drawn(free[listed], gap, key, count - len(drawn))])
    return tuple(catalogue.ids[place] for place in drawn)


def _gaps(dataset: Dataset, choice: Interaction) -> NDArray[np.float64]:
    """How far each item's popularity before the choice lies from the choice's, [item]."""
    likes, catalogue = dataset.likes, dataset.catalogue
    bound = likes.bound(choice.timestamp, choice.position)
    popularity = np.log1p(likes.counts(np.arange(len(catalogue.ids)), bound))
    return np.asarray(np.abs(popularity - popularity[catalogue.places[choice.item_id]]))


def _drawn(places: Places, gap: NDArray[np.float64], key: NDArray[np.float64], count: int) -> Places:
    """`count` of the places nearest by `gap` [item], equal ones and the draw among them by `key` [item]."""
    nearest = places[np.lexsort((key[places], gap[places]))][: NEAREST * count]
    return nearest[np.argsort(key[nearest], kind="stable")][:count]
