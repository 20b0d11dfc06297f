"""Which of two methods that refine their answers is ahead, at equal wall time?

Time is a share of what ContextCite takes for 64 ablations in the same case. Answers with the same number of ablations
are pooled over cases: their time is the median, their LDS stays by case, so that differences are paired. Ours is taken
as it is on screen (the last answer given so far), ContextCite's is joined by straight lines, in its favour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.results_table import Row, row
from bench.spread import Array, mean_interval

Curve = dict[int, tuple[float, float]]
"""Number of ablations -> (time, LDS)."""
EIGHT = 8
GRID = 0.005
"""Distance of the times at which the curves are compared."""


@dataclass(frozen=True)
class Pooled:
    """One method over all cases."""

    ablations: tuple[int, ...]
    times: Array
    """[answer]"""
    lds: Array
    """[case, answer]"""


def pooled(curves: Sequence[Curve]) -> Pooled:
    """The answers that every case has."""
    shared = sorted(set.intersection(*(set(curve) for curve in curves)))
    times = np.array([np.median([curve[n][0] for curve in curves]) for n in shared])
    return Pooled(tuple(shared), times, np.array([[curve[n][1] for n in shared] for curve in curves]))


def shown_at(one: Pooled, time: float) -> Array:
    """LDS [case] of the last answer given by `time`; nan before the first."""
    place = int(np.searchsorted(one.times, time + 1e-12, side="right")) - 1
    return one.lds[:, place] if place >= 0 else np.full(len(one.lds), np.nan)


def between(one: Pooled, time: float) -> Array:
    """LDS [case] on the straight lines through the answers; nan before the first, level after the last."""
    return np.array([np.interp(time, one.times, line, left=np.nan) for line in one.lds])


def differences(pairs: Sequence[tuple[Curve, Curve]]) -> list[tuple[float, float, float, float]]:
    """(time, mean, low, high) of our LDS minus ContextCite's, from when both have answered to our last answer."""
    ours, cite = pooled([one for one, _ in pairs]), pooled([other for _, other in pairs])
    start, end = max(ours.times[0], cite.times[0]), ours.times[-1]
    times = sorted({*np.arange(start, end, GRID).tolist(), *ours.times[ours.times >= start].tolist()})
    return [(time, *mean_interval(shown_at(ours, time) - between(cite, time))) for time in times]


def curve_rows(pairs: Sequence[tuple[Curve, Curve]]) -> list[Row]:
    """Whether we are nowhere behind, and how far ahead when ContextCite has made its first ablations."""
    ours, cite = pooled([one for one, _ in pairs]), pooled([other for _, other in pairs])
    found = differences(pairs)
    eight = float(cite.times[cite.ablations.index(EIGHT)])
    early = [one for one in found if one[0] <= eight] or found[:1]
    worst, worst_early = min(found, key=lambda one: one[1]), min(early, key=lambda one: one[1])
    behind = any(high < 0 for _, _, _, high in found)
    at_eight = mean_interval(shown_at(ours, eight) - between(cite, eight))
    before = [n for n, time in zip(cite.ablations, cite.times, strict=True) if time < ours.times[0]]
    named = f"ContextCite's after {before[-1]} ablations" if before else "nothing"
    head_start = cite.lds[:, cite.ablations.index(before[-1])] if before else np.zeros(len(pairs))
    return [
        row(
            f"LDS minus ContextCite's at the same time, the least difference (at {worst[0]:.2f} of its time) "
            f"from our first answer ({ours.times[0]:.2f}) to our last ({ours.times[-1]:.2f})",
            worst[1:],
            ">= 0 or within the interval",
            met=not behind,
        ),
        row("LDS minus ContextCite's, least from our first answer to its 8 ablations", worst_early[1:], ">= 0.05"),
        row("LDS minus ContextCite's, at the time of its 8 ablations", at_eight),
        row(f"LDS of what is there before our first answer: {named}", mean_interval(head_start)),
    ]


def curves_json(groups: Mapping[str, Sequence[tuple[Curve, Curve]]]) -> dict[str, object]:
    """Both curves and their difference, over all cases and per family."""
    return {
        "time": "share of the seconds that ContextCite takes for 64 ablations in the same case, median over cases",
        **{name: _group(pairs) for name, pairs in groups.items()},
    }


def _group(pairs: Sequence[tuple[Curve, Curve]]) -> dict[str, object]:
    return {
        "cases": len(pairs),
        "ours": _points(pooled([one for one, _ in pairs])),
        "context_cite": _points(pooled([other for _, other in pairs])),
        "difference": [_named(("time", "mean", "low", "high"), one) for one in differences(pairs)],
    }


def _points(one: Pooled) -> list[dict[str, object]]:
    names = ("ablations", "time", "lds", "low", "high")
    return [
        _named(names, (n, float(one.times[place]), *mean_interval(one.lds[:, place])))
        for place, n in enumerate(one.ablations)
    ]


def _named(names: Sequence[str], values: Sequence[float]) -> dict[str, object]:
    return {name: value if np.isfinite(value) else None for name, value in zip(names, values, strict=True)}
