"""How far do the scores of a case's variants depart from its own, by kind and strength, and what breaks first?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.analysis.explain.faithfulness import number
from core.analysis.robustness.perturbations import PerturbationKind
from core.analysis.robustness.robustness_task import Estimate, KindRow, Mode
from core.analysis.values import Array
from core.errors import RequestError
from core.metrics.intervals import difference_of_means, mean_over_cases
from core.metrics.ranking import expected_ndcg, firsts, ranks
from core.metrics.similarity import kendall_tau, rank_biased_overlap
from core.question.targets import field_margin
from core.seeds import seed_of

PERSISTENCE = 0.9
"""p of rank-biased overlap: the first ten places carry most of the weight."""
DRAWS = 1_000
"""Bootstrap samples of the variants or cases."""

KindStrength = tuple[PerturbationKind, float]


@dataclass(frozen=True)
class Departures:
    """What each variant changes against the unperturbed prompt, [variant]; nan where it is not defined."""

    flips: NDArray[np.bool_]
    """Whether none of the candidates that came first, alone or with equal scores, still does."""
    tau: Array
    overlap: Array
    """Rank-biased overlap."""
    ndcg: Array
    """Change of NDCG@10 of the chosen item."""
    score: Array
    """Change of the target score, in nats."""
    place: Array
    """Change of the target's place, in places; above 0 it falls."""
    margin: Array
    """Change of the target's margin over the field, in nats."""


def departures(
    base: Array, scores: Array, *, chosen: int | None = None, target: int | None = None, against: int | None = None
) -> Departures:
    """Departures of `scores` [variant, candidate] from `base` [candidate].

    `chosen` is the index of the item really chosen next, `target` and `against` of what the target score is of; None
    where there is none. Raises `RequestError` when the candidates differ in number.
    """
    if scores.shape[1:] != base.shape:
        raise RequestError(f"scores of {scores.shape[-1]} candidates", expected=f"{len(base)}, as without perturbation")
    before = ranks(base)
    after = [ranks(row) for row in scores]
    places = np.array(after, dtype=np.float64).reshape(scores.shape)
    nothing = np.full(len(scores), math.nan)
    return Departures(
        flips=np.array([firsts(base).isdisjoint(firsts(row)) for row in scores], dtype=bool),
        tau=np.array([kendall_tau(base, row) for row in scores]),
        overlap=np.array([rank_biased_overlap(before, row, p=PERSISTENCE) for row in after]),
        ndcg=nothing if chosen is None else gains(scores, chosen) - gains(base[None], chosen),
        score=nothing if target is None else _target(scores, target, against) - _target(base[None], target, against),
        place=nothing if target is None else places[:, target] - before[target],
        margin=nothing if target is None else field_margin(scores, target) - field_margin(base, target),
    )


def gains(scores: Array, chosen: int) -> Array:
    """NDCG@10 of candidate `chosen` under each row of scores [variant, candidate]."""
    return np.array([expected_ndcg(row, chosen) for row in scores])


def rows_of(
    cells: Sequence[KindStrength], apart: Departures, *, seed: object, mode: Mode = "plain"
) -> tuple[KindRow, ...]:
    """One row per kind and strength in the order they come, over the variants [variant] that `cells` name."""
    columns = vars(apart) | {"place": np.abs(apart.place)}
    return tuple(
        _row(cell, mode, seed, {name: values[list(_at(cells, cell))] for name, values in columns.items()})
        for cell in dict.fromkeys(cells)
    )


def over_cases(cases: Sequence[Sequence[KindRow]], *, seed: object) -> tuple[KindRow, ...]:
    """One row per kind, strength and mode over the means of several cases, with intervals over the cases.

    A case without a row, or without a measure in it, does not count there.
    """
    every = [row for rows in cases for row in rows]
    groups: dict[tuple[PerturbationKind, float, Mode], list[KindRow]] = {}
    for row in every:
        groups.setdefault((row.kind, row.strength, row.mode), []).append(row)
    return tuple(
        _row((kind, strength), mode, seed, {name: _means(name, rows) for name in ("flips", *MEASURES)})
        for (kind, strength, mode), rows in groups.items()
    )


def estimate(values: Array, *, seed: object) -> Estimate | None:
    """Mean of the values that are numbers, with its percentile bootstrap interval; None without any.

    The ends are None for a single value, which tells nothing about others.
    """
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if len(finite) == 0:
        return None
    if len(finite) == 1:
        return Estimate(mean=float(finite[0]))
    mean = mean_over_cases(finite, seed=seed_of("robustness interval", seed), draws=DRAWS)
    return Estimate(mean=mean.value, low=mean.low, high=mean.high)


def estimate_of_difference(first: Array, second: Array, *, seed: object) -> Estimate | None:
    """Mean of the numbers of the first less that of the second, with its percentile bootstrap interval.

    None where either holds no number; the ends are None where either holds but one.
    """
    first, second = first[np.isfinite(first)], second[np.isfinite(second)]
    if not len(first) or not len(second):
        return None
    apart = difference_of_means(first, second, seed=seed_of("robustness interval", seed), draws=DRAWS)
    return Estimate(mean=apart.value, low=number(apart.low), high=number(apart.high))


def smallest_flip(strengths: Array, apart: Departures) -> int | None:
    """The variant that changes the first place at the smallest strength; None when none does.

    Of several, the one that leaves the rest of the order most alike (rank-biased overlap), then the first.
    """
    flipped = [int(variant) for variant in np.flatnonzero(apart.flips)]
    return min(flipped, key=lambda v: (strengths[v], -apart.overlap[v], v), default=None)


@dataclass(frozen=True)
class Weakness:
    """What the variants say about one demonstration."""

    place: int
    flip: int | None
    """The variant that touches fewest demonstrations, this one among them, and changes the first place."""
    change: float
    """Mean size of the change of the target's margin over the field, shared out over the demonstrations touched, in
    nats; nan if not known."""
    places: float
    """The same of its place, in places."""
    variants: int


def weakest(touched: Sequence[Sequence[int]], apart: Departures) -> Weakness | None:
    """The demonstration on which the answer hangs most, from what each variant touched [variant][places].

    First by the fewest demonstrations that had to be touched at once, it among them, to change the first place; then
    by the mean size of the change of the target's margin, each variant's shared out evenly over what it touched. None
    when nothing was touched.
    """
    places = sorted({place for places in touched for place in places})
    return min((_weakness(place, touched, apart) for place in places), key=_order(touched), default=None)


def _weakness(place: int, touched: Sequence[Sequence[int]], apart: Departures) -> Weakness:
    touching = [variant for variant, places in enumerate(touched) if place in places]
    flip = min((v for v in touching if apart.flips[v]), key=lambda v: (len(touched[v]), v), default=None)
    counts = np.array([len(touched[v]) for v in touching])
    change, places = (float((np.abs(values[touching]) / counts).mean()) for values in (apart.margin, apart.place))
    return Weakness(place, flip, change, places, len(touching))


def _order(touched: Sequence[Sequence[int]]) -> Callable[[Weakness], tuple[float, float, int]]:
    def key(weakness: Weakness) -> tuple[float, float, int]:
        needed = math.inf if weakness.flip is None else len(touched[weakness.flip])
        return needed, -weakness.change if math.isfinite(weakness.change) else 0.0, weakness.place

    return key


MEASURES = ("tau", "overlap", "ndcg", "score", "place", "margin")


def _row(cell: KindStrength, mode: Mode, seed: object, values: dict[str, Array]) -> KindRow:
    kind, strength = cell
    estimates = {name: estimate(column, seed=(seed, mode, *cell, name)) for name, column in values.items()}
    head = {"kind": kind, "strength": strength, "mode": mode, "count": len(values["flips"])}
    return KindRow.model_validate(head | estimates)


def _at(cells: Sequence[KindStrength], cell: KindStrength) -> list[int]:
    return [variant for variant, other in enumerate(cells) if other == cell]


def _means(name: str, rows: Sequence[KindRow]) -> Array:
    estimates: list[Estimate | None] = [getattr(row, name) for row in rows]
    return np.array([math.nan if estimate is None else estimate.mean for estimate in estimates])


def _target(scores: Array, target: int, against: int | None) -> Array:
    return scores[:, target] if against is None else scores[:, target] - scores[:, against]
