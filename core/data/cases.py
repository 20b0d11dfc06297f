"""The history, candidates and target of a user's case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.catalogue import Catalogue
from core.data.dataset import Dataset
from core.data.records import Case, Interaction, Sampling, Split
from core.errors import DataError, RequestError
from core.seeds import generator
from core.words import brief

TIME_SHARE = 0.8
"""Share of all interactions that lie before the global cut of split `time`."""


def case_of(
    dataset: Dataset,
    user: str,
    *,
    split: Split = "last",
    candidates: int = 20,
    sampling: Sampling = "uniform",
    candidate_ids: Sequence[str] | None = None,
    seed: int = 0,
) -> Case:
    """The user's case: target by `split`, the interactions before it, and the items to rank.

    The history holds what lies strictly before the target's timestamp: an interaction of the same second (or
    day, where that is the grain) may have come later, whatever the file's order says. Without timestamps it holds
    all earlier positions. Sampled candidates are the target and `candidates - 1` items that the user never met
    (fewer where the catalogue has no more), in an order fixed by the seed; equal content gives the equal case,
    whatever the order of rows in the files. `candidate_ids` keep their order, and the target joins them only if listed.

    Raises `DataError` for an unknown user or item or a user without a target, `RequestError` for fewer than
    two candidates or a repeated one.
    """
    met = dataset.history(user)
    target = _target(dataset, user, met, split)
    if candidate_ids is None:
        chosen = _sampled(dataset, user, met, target, split, candidates, sampling, seed)
    else:
        chosen = _listed(dataset, candidate_ids)
    return Case(
        dataset_id=dataset.dataset_id,
        user_id=user,
        split=split,
        history=met_before(met, target.position, target.timestamp),
        candidates=chosen,
        target=target.item_id,
        moment=target.timestamp,
        seed=seed,
    )


def eligible_users(dataset: Dataset, split: Split = "last", limit: int = 200) -> list[str]:
    """Users, in numeric-aware order, who have a target under `split` and at least one interaction before it."""
    if split == "last" and not dataset.has_time:
        chosen = "max(position) > 0"
    elif split == "last":
        chosen = "min(timestamp) < max(timestamp)"
    else:
        chosen = "min(timestamp) < $cut AND max(timestamp) >= $cut"
    cut = {"cut": dataset.time_cut(TIME_SHARE)} if split == "time" else {}
    query = (
        "SELECT user_id FROM users JOIN (SELECT user_id FROM interactions GROUP BY user_id"
        f" HAVING {chosen}) USING (user_id) ORDER BY place LIMIT $limit"
    )
    return [row[0] for row in dataset.cursor().execute(query, cut | {"limit": max(0, limit)}).fetchall()]


def _target(dataset: Dataset, user: str, met: tuple[Interaction, ...], split: Split) -> Interaction:
    if split == "last":
        return met[-1]
    cut = dataset.time_cut(TIME_SHARE)
    for interaction in met:
        if interaction.timestamp is not None and interaction.timestamp >= cut:
            return interaction
    raise DataError(
        f"user {brief(user)} has no interaction at or after the time cut {cut:.0f}",
        expected="a user active after the cut, or split last",
    )


def met_before(met: Sequence[Interaction], position: int, moment: float | None) -> tuple[Interaction, ...]:
    """Of what a user met, what lies at lower positions and, where there is a moment, strictly before it."""
    return tuple(row for row in met[:position] if moment is None or row.timestamp is None or row.timestamp < moment)


def _listed(dataset: Dataset, item_ids: Sequence[str]) -> tuple[str, ...]:
    seen: set[str] = set()
    for item_id in item_ids:
        if item_id in seen:
            raise RequestError(f"candidate {brief(item_id)} is given twice", expected="distinct item ids")
        if item_id not in dataset.catalogue:
            raise DataError(f"candidate {brief(item_id)} is not an item of {dataset.name}", expected="item ids")
        seen.add(item_id)
    if len(item_ids) < 2:
        count = "no candidate is" if not item_ids else "only 1 candidate is"
        raise RequestError(f"{count} given", expected="2 or more, as one item needs no ranking")
    return tuple(item_ids)


def _sampled(
    dataset: Dataset,
    user: str,
    met: tuple[Interaction, ...],
    target: Interaction,
    split: Split,
    count: int,
    sampling: Sampling,
    seed: int,
) -> tuple[str, ...]:
    if count < 2:
        raise RequestError(f"{count} candidates", expected="2 or more, as one item needs no ranking")
    free = dataset.catalogue.others(interaction.item_id for interaction in met)
    if free.size == 0:
        raise DataError(f"user {brief(user)} has met every item", expected="an item to rank the target against")
    random = generator(dataset.dataset_id, user, split, sampling, count, seed)
    chosen = [target.item_id, *draw_items(dataset.catalogue, free, count - 1, sampling, random)]
    return tuple(chosen[place] for place in random.permutation(len(chosen)))


def draw_items(
    catalogue: Catalogue, places: NDArray[np.int64], count: int, sampling: Sampling, random: np.random.Generator
) -> list[str]:
    """`count` distinct items at `places` (fewer where there are no more), drawn one after the other.

    `popularity` draws by it, an item of popularity 0 after all others.
    """
    weights = catalogue.popularity[places] if sampling == "popularity" else np.ones(places.size)
    return [catalogue.ids[place] for place in drawn_by_weight(places, weights, count, random)]


def drawn_by_weight(
    places: NDArray[np.int64], weights: NDArray[Any], count: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """`count` distinct places (fewer where there are no more), drawn one after the other by weight; weight 0 last.

    The least of exponential waiting times with these rates is such a draw (Efraimidis and Spirakis 2006).
    """
    waits = random.exponential(size=places.size)
    rated = np.where(weights > 0, waits / np.maximum(weights, 1e-12), np.inf)
    return places[np.lexsort((waits, rated))[:count]]
