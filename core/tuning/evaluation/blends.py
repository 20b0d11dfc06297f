"""What a blend with popularity gains over the model and over popularity on lists that are scored anyway."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from core.data.dataset import Dataset
from core.data.item_prior import likes_of
from core.metrics.blend import BlendLists
from core.metrics.intervals import Floats
from core.prompt.families import Family
from core.question.case_spec import Scoring
from core.tuning.evaluation.evaluate import CandidateList
from core.tuning.evaluation.evaluation_rows import measured_over_users
from core.tuning.evaluation.record import BlendRow, MetricEstimate

WeightOf = Callable[[str | None, Family, Scoring], float]
"""The weight of popularity for an adapter, or the base model, a family and a scoring; 0 where none is given."""


def no_weight(_adapter: str | None, _family: Family, _scoring: Scoring) -> float:
    """Nothing is blended."""
    return 0.0


def estimates(lists: BlendLists, weights: float | Floats, *, seed: int) -> dict[str, MetricEstimate]:
    """The figures of a `BlendRow`, from one weight or from a weight for each list."""
    model, popularity, blend = lists.ndcg(0.0), lists.ndcg_of_popularity(), lists.ndcg(weights)
    columns = {
        "model": model,
        "popularity": popularity,
        "blend": blend,
        "over_model": blend - model,
        "over_popularity": blend - popularity,
    }
    return {name: measured_over_users(values, lists.users, seed=seed) for name, values in columns.items()}


def blend_row(lists: BlendLists, weight: float, *, family: Family, way: str, scoring: str, seed: int) -> BlendRow:
    """The row of one way."""
    figures = estimates(lists, weight, seed=seed)
    return BlendRow(family=family, way=way, scoring=scoring, weight=weight, lists=len(lists), **figures)


def blend_rows(
    dataset: Dataset,
    lists: Sequence[CandidateList],
    scores: Mapping[tuple[Family | None, str], Floats],
    weights: Mapping[tuple[Family, str], float],
    *,
    seed: int,
) -> tuple[BlendRow, ...]:
    """A row for each (family, way) of `scores` [list, candidate] whose weight is above 0."""
    popularity = tuple(_log_popularity(dataset, row) for row in lists)
    targets, users = tuple(row.target for row in lists), tuple(row.user_id for row in lists)
    return tuple(
        blend_row(
            BlendLists(tuple(scores[key]), popularity, targets, users),
            weight,
            family=key[0],
            way=key[1],
            scoring="sum",
            seed=seed,
        )
        for key, weight in weights.items()
        if weight and lists and key in scores
    )


def _log_popularity(dataset: Dataset, row: CandidateList) -> Floats:
    query = row.examples["next_item"]
    return np.log1p(likes_of(dataset, row.candidates, query.timestamp, query.position).astype(np.float64))
