"""Where does the target stand over the variants, which kind moves it most, and is that more than other words do?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from core.analysis.robustness.perturbations import PerturbationKind
from core.analysis.robustness.robustness_task import (
    BesideRewriting,
    MovedByKind,
    RewritingRow,
    RewritingSource,
    TargetPlaces,
)
from core.analysis.robustness.sweep import Departures, estimate, estimate_of_difference
from core.analysis.values import Array
from core.metrics.ranking import Rank
from core.question.targets import field_margin

SOURCES: tuple[RewritingSource, ...] = ("wording", "demonstrations")


def target_places(
    base: Array, apart: Departures, kinds: Sequence[PerturbationKind], *, place: Rank, target: int, seed: object
) -> TargetPlaces | None:
    """Places and margins of candidate `target`, at `place` under scores `base` [candidate], over variants of `kinds`.

    None without any variant.
    """
    if not len(apart.place):
        return None
    places, margin = apart.place + place, float(field_margin(base, target))
    size = estimate(np.abs(apart.place), seed=(seed, "place"))
    assert size is not None
    return TargetPlaces(
        candidates=len(base),
        place=place,
        best=_rank(places.min()),
        worst=_rank(places.max()),
        moved=int((apart.place != 0).sum()),
        size=size,
        margin=margin,
        lowest=margin + float(apart.margin.min()),
        highest=margin + float(apart.margin.max()),
        kinds=_by_kind(np.abs(apart.place), kinds, seed),
    )


def beside_rewritings(apart: Departures, rows: Sequence[RewritingRow], *, seed: object) -> tuple[BesideRewriting, ...]:
    """The variants' changes of the target's place beside those of each source of rewritings."""
    beside = []
    for source in SOURCES:
        sizes = [abs(row.place_change) for row in rows if row.source == source and row.place_change is not None]
        difference = estimate_of_difference(np.abs(apart.place), np.array(sizes), seed=(seed, "beside", source))
        if difference is not None:
            beside.append(BesideRewriting(source=source, apart=difference))
    return tuple(beside)


def _by_kind(sizes: Array, kinds: Sequence[PerturbationKind], seed: object) -> tuple[MovedByKind, ...]:
    rows = []
    for kind in dict.fromkeys(kinds):
        at = np.array([other == kind for other in kinds])
        size = estimate(sizes[at], seed=(seed, kind, "place"))
        assert size is not None
        apart = estimate_of_difference(sizes[at], sizes[~at], seed=(seed, kind, "apart"))
        rows.append(MovedByKind(kind=kind, count=int(at.sum()), size=size, apart=apart))
    return tuple(sorted(rows, key=lambda row: -row.size.mean))


def _rank(place: float) -> Rank:
    """A place, whole numbers as `int`."""
    return int(place) if math.floor(place) == place else float(place)
