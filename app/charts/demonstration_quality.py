"""How good each demonstration is, and which of them teach the same."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from app.charts.cells import signed_map
from app.charts.figure_cache import cached_figure
from app.charts.frame import colour_bar, column_axis, framed, row_axis, row_box
from app.text import counted, plain, safe_mark
from app.theme import Palette, signed
from core import columns
from core.analysis.explain.list_estimates import Estimates
from core.analysis.quality.quality_task import QualityReport

CELL = 34
"""Pixels of one demonstration's row."""
ROOM = 12
"""Most demonstrations whose cells have room for their number."""


@cached_figure
def figure(report: QualityReport, colours: Palette, *, selected: int | None = None) -> go.Figure:
    """Demonstrations x demonstrations: cosine of their equivalent gradients, -1 to 1; blue: they teach the same.

    An invisible marker in every cell carries `[demonstration, other demonstration]`, because a heat map takes no
    clicks. Raises `ValueError` for a report without cosines.
    """
    z, labels = _cosines(report), [row.label for row in report.rows]
    names = [f"<b>{label}</b>" if place == selected else label for place, label in enumerate(labels)]
    bar = colour_bar("cosine", {-1: signed(-1, 0), 0: "0", 1: signed(1, 0)}, colours)

    def cell(other: int, demo: int) -> tuple[list[int], str]:
        return [demo, other], _hover(report, demo, other, z[demo][other])

    return framed(
        signed_map(z, 1, colours, cell, size=CELL - 4, written=len(z) <= ROOM, colorbar=bar),
        colours,
        height=CELL * len(z) + 64,
        margin={"t": 30, "b": 8},
        xaxis=column_axis(names),
        yaxis=row_axis(names, colours, ticklabelstandoff=4),
        shapes=[] if selected is None else [row_box(selected, len(z), colours)],
    )


def _hover(report: QualityReport, demo: int, other: int, value: float | None) -> str:
    first, second = (f"{row.label} {safe_mark(row.title, 40)}" for row in (report.demos[demo], report.demos[other]))
    if demo == other:
        return f"{first}<br>itself"
    return f"{first}<br>{second}<br>" + ("cosine not defined" if value is None else f"cosine {signed(value, 3)}")


def _cosines(report: QualityReport) -> list[list[float | None]]:
    if report.cosines is None:
        raise ValueError("a map of demonstrations needs their cosines")
    return [list(line) for line in report.cosines]


def alt(report: QualityReport) -> str:
    """The two demonstrations that are most alike, in words."""
    z = _cosines(report)
    pairs = [(value, a, b) for b, line in enumerate(z) for a, value in enumerate(line[:b]) if value is not None]
    text = f"Cosines between the equivalent gradients of {counted(len(z), 'demonstration')}."
    if not pairs:
        return f"{text} No two to compare."
    value, a, b = max(pairs)
    names = [f"{report.demos[place].label} ({plain(report.demos[place].title)})" for place in (a, b)]
    return f"{text} Most alike: {names[0]} and {names[1]}, {signed(value)}."


def table(report: QualityReport) -> pd.DataFrame:
    """The map's numbers: one row and one column per demonstration, in prompt order."""
    labels = [row.label for row in report.rows]
    lines = {label: [line[place] for line in _cosines(report)] for place, label in enumerate(labels)}
    return pd.DataFrame({columns.DEMO: labels} | lines)


def scores(report: QualityReport, effects: Estimates | None = None) -> pd.DataFrame:
    """One row per demonstration, one column per score under its own name; a score nobody has yet has no column.

    `effects` [demo] stand in place of the gains where they are the same quantity, measured better.
    """
    gains, lows, highs = (
        [[getattr(row, name) for row in report.rows] for name in ("gain", "gain_low", "gain_high")]
        if effects is None
        else [values.tolist() for values in (effects.value, effects.low, effects.high)]
    )
    data: dict[str, list[object]] = {
        columns.DEMO: [row.label for row in report.rows],
        columns.TITLE: [demo.title for demo in report.demos],
        "gain": gains,
        "gain_low": lows,
        "gain_high": highs,
        columns.WITHIN_NOISE: [None if effects is not None else row.within_noise for row in report.rows],
        "effect": [row.effect for row in report.rows],
        "alignment": [row.alignment for row in report.rows],
        "redundancy": [row.redundancy for row in report.rows],
        "nearest": [row.nearest for row in report.rows],
        "stability": [row.stability for row in report.rows],
        "perturbations": [row.perturbations or None for row in report.rows],
        "tokens": [row.tokens for row in report.rows],
        "demo_id": [demo.demo_id for demo in report.demos],
    }
    return pd.DataFrame({name: values for name, values in data.items() if any(value is not None for value in values)})


def costs(report: QualityReport) -> pd.DataFrame:
    """One row per score: its unit, whether it needs a target, and what it cost; empty where it was not measured."""
    return pd.DataFrame(
        [
            {
                "score": cost.score,
                "unit": cost.unit,
                "needs a target": cost.needs_target,
                "passes": cost.passes,
                "seconds": cost.seconds,
                "same pass as": cost.shared_with,
            }
            for cost in report.costs
        ]
    )
