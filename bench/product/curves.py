"""Two methods that refine their answers, compared at equal wall time.

Time is a share of what ContextCite takes for 64 ablations in the same case. Answers with the same number of ablations
are pooled over cases: their time is the median, their LDS stays by case, so that differences are paired. Ours is taken
as it is on screen (the last answer so far), ContextCite's is joined by straight lines, in its favour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.results_table import ResultRow, as_row
from bench.spread import mean_interval
from core.analysis.values import Array

Curve = dict[int, tuple[float, float]]
"""Number of ablations -> (time, LDS)."""
Pairs = Sequence[tuple[Curve, Curve]]
"""Our curve and ContextCite's, by case."""
EARLY = 8
"""ContextCite's ablations up to which we were promised to be ahead."""
GRID = 0.005
"""Distance of the times at which the curves are compared."""


@dataclass(frozen=True)
class PooledCurve:
    """One method over all cases."""

    ablations: tuple[int, ...]
    times: Array
    """[answer]"""
    lds: Array
    """[case, answer]"""

    def on_screen(self, time: float) -> Array:
        """LDS [case] of the last answer by `time`; nan before the first."""
        place = int(np.searchsorted(self.times, time + 1e-12, side="right")) - 1
        return self.lds[:, place] if place >= 0 else np.full(len(self.lds), np.nan)

    def joined(self, time: float) -> Array:
        """LDS [case] on the straight lines through the answers; nan before the first, level after the last."""
        return np.array([np.interp(time, self.times, line, left=np.nan) for line in self.lds])


def pool_curves(curves: Sequence[Curve]) -> PooledCurve:
    """The answers that every case has."""
    shared = sorted(set.intersection(*(set(curve) for curve in curves)))
    times = np.array([np.median([curve[n][0] for curve in curves]) for n in shared])
    return PooledCurve(tuple(shared), times, np.array([[curve[n][1] for n in shared] for curve in curves]))


def _both(pairs: Pairs) -> tuple[PooledCurve, PooledCurve]:
    return pool_curves([ours for ours, _ in pairs]), pool_curves([cite for _, cite in pairs])


def differences(pairs: Pairs) -> list[tuple[float, float, float, float]]:
    """(time, mean, low, high) of our LDS minus ContextCite's, from when both have answered to our last answer."""
    ours, cite = _both(pairs)
    start, end = max(ours.times[0], cite.times[0]), ours.times[-1]
    times = sorted({*np.arange(start, end, GRID).tolist(), *ours.times[ours.times >= start].tolist()})
    return [(time, *mean_interval(ours.on_screen(time) - cite.joined(time))) for time in times]


def curve_rows(pairs: Pairs) -> list[ResultRow]:
    """Whether we are nowhere behind, and how far ahead when ContextCite has made its first ablations."""
    (ours, cite), apart = _both(pairs), differences(pairs)
    end = float(cite.times[cite.ablations.index(EARLY)])
    early = [point for point in apart if point[0] <= end] or apart[:1]
    worst, worst_early = (min(points, key=lambda point: point[1]) for points in (apart, early))
    behind = any(high < 0 for _, _, _, high in apart)
    at_end = mean_interval(ours.on_screen(end) - cite.joined(end))
    before = [n for n, time in zip(cite.ablations, cite.times, strict=True) if time < ours.times[0]]
    first = f"ContextCite's after {before[-1]} ablations" if before else "nothing"
    head_start = cite.lds[:, cite.ablations.index(before[-1])] if before else np.zeros(len(pairs))
    return [
        as_row(
            f"LDS minus ContextCite's at the same time, the least difference (at {worst[0]:.2f} of its time) "
            f"from our first answer ({ours.times[0]:.2f}) to our last ({ours.times[-1]:.2f})",
            worst[1:],
            ">= 0 or within the interval",
            met=not behind,
        ),
        as_row("LDS minus ContextCite's, least from our first answer to its 8 ablations", worst_early[1:], ">= 0.05"),
        as_row("LDS minus ContextCite's, at the time of its 8 ablations", at_end),
        as_row(f"LDS of what is there before our first answer: {first}", mean_interval(head_start)),
    ]


def curves_json(groups: Mapping[str, Pairs]) -> dict[str, object]:
    """Both curves and their difference, over all cases and per family."""
    return {
        "time": "share of the seconds that ContextCite takes for 64 ablations in the same case, median over cases",
        **{name: _group(pairs) for name, pairs in groups.items()},
    }


def _group(pairs: Pairs) -> dict[str, object]:
    ours, cite = _both(pairs)
    return {
        "cases": len(pairs),
        "ours": _points(ours),
        "context_cite": _points(cite),
        "difference": [_named(("time", "mean", "low", "high"), point) for point in differences(pairs)],
    }


def _points(curve: PooledCurve) -> list[dict[str, object]]:
    names = ("ablations", "time", "lds", "low", "high")
    return [
        _named(names, (n, float(curve.times[place]), *mean_interval(curve.lds[:, place])))
        for place, n in enumerate(curve.ablations)
    ]


def _named(names: Sequence[str], values: Sequence[float]) -> dict[str, object]:
    return {name: value if np.isfinite(value) else None for name, value in zip(names, values, strict=True)}
