"""Changes of a case: which flip its first place, where each candidate goes, and how far the target moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import pandas as pd
import plotly.graph_objects as go

from app.charts.alt_text import extremes
from app.charts.cells import click_marks, greys, numbers
from app.charts.figure_cache import cached_figure
from app.charts.frame import BARE, column_axis, framed, hover, legend, row_axis, ticks, upright, whiskers
from app.charts.rank_flow import FlowLine, rank_flow
from app.text import plain, safe_mark
from app.theme import Palette, blend, nats, number, ordinal, signed, symmetric, with_interval
from core import columns
from core.analysis.robustness.perturbations import NAMES, ROWS, PerturbationKind
from core.analysis.robustness.robustness_task import (
    Estimate,
    KindRow,
    Mode,
    RankLine,
    RobustnessReport,
    VariantRow,
    kinds_of,
)

ROW = 28
FLOW = 470
BAR = 46
"""Pixels of one kind in the chart of score changes."""
SHORT = {row.name: row.short for row in ROWS}
"""Names of the kinds where room is short."""
MODES: dict[Mode, tuple[str, str]] = {"plain": ("circle", "plain model"), "changed": ("diamond-open", "changed model")}
KIND, STRENGTH, MODEL, COUNT = "kind", "strength", "model", "variants"


@cached_figure
def flips(report: RobustnessReport, colours: Palette, *, mode: Mode = "plain") -> go.Figure:
    """Kinds (rows) x strengths (columns), share of variants whose first place differs, darker for more.

    An invisible marker in every cell carries `[kind, strength]`. Raises `ValueError` for a report without rows.
    """
    rows = [row for row in report.rows if row.mode == mode]
    if not rows:
        raise ValueError(f"a map of flips needs rows of the {MODES[mode][1]}")
    kinds, strengths = kinds_of(rows), _strengths(rows)
    at = {(row.kind, row.strength): row for row in rows}
    z = [[row.flips.mean if (row := at.get((kind, strength))) else None for strength in strengths] for kind in kinds]

    def cell(column: int, line: int) -> tuple[list[object], str] | None:
        row = at.get((kinds[line], strengths[column]))
        return None if row is None else ([row.kind, row.strength], _hover(row))

    return framed(
        [
            greys(z, (0, 1), colours),
            *numbers(z, percent, lambda share: blend(colours.neutral, colours.ink, share), size=12),
            click_marks(len(strengths), len(kinds), cell, size=ROW - 4),
        ],
        colours,
        height=ROW * len(kinds) + 64,
        margin={"t": 52, "b": 8},
        xaxis=column_axis([percent(strength) for strength in strengths], title={"text": "share touched"}),
        yaxis=row_axis([SHORT[kind] for kind in kinds], colours),
    )


def _hover(row: KindRow) -> str:
    return (
        f"{NAMES[row.kind]}, {percent(row.strength)}<br>{percent(row.flips.mean)} of {row.count} variants "
        "put another item first"
        f"<br>Kendall tau {_signed_mean(row.tau)}, rank-biased overlap {_signed_mean(row.overlap)}"
    )


def flips_alt(report: RobustnessReport, *, mode: Mode = "plain") -> str:
    """The most and the least harmful kinds in words."""
    rows = [row for row in report.rows if row.mode == mode]
    if not rows:
        return "No change has been tried yet."
    worst = max(rows, key=lambda row: row.flips.mean)
    still = [kind for kind in kinds_of(rows) if all(row.flips.mean == 0 for row in rows if row.kind == kind)]
    text = f"{len(kinds_of(rows))} kinds of change at {len(_strengths(rows))} strengths. "
    if worst.flips.mean == 0:
        return f"{text}None puts another item first."
    text += (
        f"Another item comes first most often with {NAMES[worst.kind]}, {percent(worst.strength)} touched: in "
        f"{percent(worst.flips.mean)} of the variants."
    )
    return f"{text} Never with: {', '.join(NAMES[kind] for kind in still)}." if still else text


@cached_figure
def flow(report: RobustnessReport, colours: Palette, *, item: str | None = None) -> go.Figure:
    """A line per candidate over the variants (the case as it is comes first), kinds side by side; rank 1 on top.

    Raises `ValueError` for a report without variants.
    """
    if not report.variants:
        raise ValueError("a rank flow needs variants")
    stretches = _stretches(report.variants)
    places = [0, *((first + stop - 1) / 2 for _, first, stop in stretches)]
    names = ["as it is", *(SHORT[kind] for kind, _, _ in stretches)]
    if item is None and report.target is not None:
        item = report.target.item_id
    lines = [_line(report, place, line, item) for place, line in enumerate(report.lines)]
    return rank_flow(
        lines,
        colours,
        height=FLOW,
        deepest=max(rank for line in lines for rank in line.ranks),
        dense=True,
        margin={"t": 10, "b": 8},
        xaxis={**ticks(places, names), **BARE, "range": [-0.8, len(report.variants) + 0.8], "tickangle": -45},
        shapes=[upright(first - 0.5, colours.rule) for _, first, _ in stretches],
    )


def _line(report: RobustnessReport, place: int, line: RankLine, item: str | None) -> FlowLine:
    ranks = [line.rank, *(row.ranks[place] for row in report.variants)]
    variants = ["as it is", *(f"{SHORT[row.kind]}: {safe_mark(row.words, 90)}" for row in report.variants)]
    texts = [
        f"{safe_mark(line.title, 60)}<br>{ordinal(rank)}<br>{words}"
        for rank, words in zip(ranks, variants, strict=True)
    ]
    return FlowLine(line.item_id, line.title, ranks, texts, line.is_target, line.item_id == item)


def _stretches(rows: Sequence[VariantRow]) -> list[tuple[PerturbationKind, int, int]]:
    """Kind, first place and the place after its last, for each run of variants of one kind; places from 1."""
    stretches, first = [], 1
    for kind, members in groupby(row.kind for row in rows):
        stop = first + len(list(members))
        stretches.append((kind, first, stop))
        first = stop
    return stretches


def flow_alt(report: RobustnessReport) -> str:
    """How far the target and the first place move, in words."""
    if not report.variants or not report.lines:
        return "No change has been tried yet."
    count = len(report.variants)
    target, first = report.target_line, report.lines[0]
    changed = sum(row.flips for row in report.variants)
    text = f"{plain(first.title)} comes first in {count - changed} of {count} variants."
    if target is None:
        return text
    places = [row.ranks[target] for row in report.variants]
    line = report.lines[target]
    return (
        f"{text} The target, {plain(line.title)}, is {ordinal(line.rank)} as it is and goes from "
        f"{ordinal(min(places))} to {ordinal(max(places))}."
    )


def place_column(item_id: str) -> str:
    """The column of `flow_table` that holds the places of one candidate."""
    return f"{columns.RANK}_{item_id}"


def flow_table(report: RobustnessReport) -> pd.DataFrame:
    """One row per variant: what was done, what comes first, the changes, and the rank of every candidate drawn."""
    names = {line.item_id: line for line in report.lines}
    rows = []
    for row in report.variants:
        top = names.get(row.top)
        cells: dict[str, object] = {
            KIND: NAMES[row.kind],
            STRENGTH: row.strength,
            "what_was_done": row.words,
            "first_item": row.top,
            "first_title": None if top is None else top.title,
            "flips": row.flips,
            "kendall_tau": row.tau,
            "rank_biased_overlap": row.overlap,
            "target_rank": row.place,
            "margin_change": row.margin,
            **({} if report.noise is None else {columns.WITHIN_NOISE: row.within_noise}),
            "ndcg_change": row.ndcg,
            "score_change_nats": row.score,
        }
        cells |= {place_column(line.item_id): rank for line, rank in zip(report.lines, row.ranks, strict=True)}
        rows.append(cells)
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class TargetMeasure:
    """One thing of the target that the variants change."""

    name: Literal["place", "margin", "score"]
    words: str
    """On a switch."""
    axis: str
    unit: str
    signed: bool
    """Whether it has a direction."""

    def of(self, row: KindRow) -> Estimate | None:
        """The estimate of a row; None where it is not defined."""
        value: Estimate | None = getattr(row, self.name)
        return value

    def written(self, value: Estimate) -> str:
        """`2.4 places (90 % 1.1 to 3.0)`, `+0.42 nats`; no interval where both ends look alike."""
        if self.signed:
            return f"{signed(value.mean)} {self.unit}{with_interval(value.low, value.high)}"
        low, high = (number(end, 1) for end in (value.low, value.high))
        return f"{number(value.mean, 1)} {self.unit}" + (f" (90 % {low} to {high})" if low != high else "")


MEASURES: dict[str, TargetMeasure] = {
    row.name: row
    for row in (
        TargetMeasure("place", "Places", "how far the target moves, either way (places)", "places", signed=False),
        TargetMeasure("margin", "Margin", "change of the target's margin over the field (nats)", "nats", signed=True),
        TargetMeasure("score", "Own score", "change of the target's own score (nats)", "nats", signed=True),
    )
}


@cached_figure
def moves(report: RobustnessReport, colours: Palette, *, measure: str = "place") -> go.Figure:
    """Mean change of one measure of the target per kind (rows) and strength, with its 90 % interval.

    Kinds have room for one mark per strength and way of recommending. Raises `ValueError` where no change is known.
    """
    what = MEASURES[measure]
    rows = [row for row in report.rows if what.of(row) is not None]
    if not rows:
        raise ValueError("a chart of the target's changes needs a target")
    kinds, strengths = kinds_of(rows), _strengths(rows)
    modes = [mode for mode in MODES if any(row.mode == mode for row in rows)]
    slots = [(mode, strength) for mode in modes for strength in strengths]
    traces = []
    for slot, (mode, strength) in enumerate(slots):
        chosen = [(row, what.of(row)) for row in rows if (row.mode, row.strength) == (mode, strength)]
        shift = 0.7 * ((slot + 0.5) / len(slots) - 0.5)
        y = [kinds.index(row.kind) + shift for row, _ in chosen]
        traces.append(_dots([(row, value) for row, value in chosen if value], what, mode, strength, y, colours))
    values = [value for row in rows if (value := what.of(row))]
    bound = 1.1 * symmetric(end for value in values for end in (value.mean, value.low, value.high) if end is not None)
    return framed(
        traces,
        colours,
        height=BAR * len(kinds) + 80,
        shapes=[upright(0, colours.neutral_mark)],
        xaxis={"range": [-bound if what.signed else 0, bound], "title": {"text": what.axis}, "zeroline": False},
        yaxis=row_axis([SHORT[kind] for kind in kinds], colours),
        margin={"t": 40, "b": 40},
        showlegend=len(slots) > 1,
        legend=legend(colours),
    )


def _dots(
    rows: list[tuple[KindRow, Estimate]],
    what: TargetMeasure,
    mode: Mode,
    strength: float,
    y: list[float],
    colours: Palette,
) -> go.Scatter:
    """Marks of one strength: the larger the strength, the larger the mark."""
    symbol, name = MODES[mode]
    series = f"{percent(strength)}, {name}"
    ink = colours.ink if mode == "plain" else colours.muted
    means = [value.mean for _, value in rows]
    low, high = [value.low for _, value in rows], [value.high for _, value in rows]
    return go.Scatter(
        name=series,
        mode="markers",
        x=means,
        y=y,
        marker={"symbol": symbol, "size": 6 + 7 * strength, "color": ink},
        error_x=whiskers(means, low, high, ink, thickness=1.4, width=3),
        customdata=[row.kind for row, _ in rows],
        **hover(f"{NAMES[row.kind]}, {series}<br>{what.written(value)}" for row, value in rows),
    )


def moves_alt(report: RobustnessReport, *, mode: Mode = "plain") -> str:
    """What moves the target farthest, and the largest mean changes of its margin, in words."""
    rows = [row for row in report.rows if row.mode == mode and row.place is not None]
    if not rows:
        return "How far the target moves is not known: the case has no target among its candidates."
    far = max(rows, key=lambda row: row.place.mean if row.place else 0.0)
    assert far.place is not None
    text = f"The target moves most with {NAMES[far.kind]}, {percent(far.strength)} touched: "
    text += f"{MEASURES['place'].written(far.place)} on average."
    margins = [(row, row.margin) for row in rows if row.margin is not None]
    ends = extremes(margins, lambda pair: pair[1].mean, ("rises", "falls"))
    return text + "".join(
        f" Its margin {word} most with {NAMES[row.kind]}, {percent(row.strength)} touched: {nats(value.mean)}"
        f"{with_interval(value.low, value.high)} on average."
        for word, (row, value) in reversed(ends)
    )


def table(report: RobustnessReport) -> pd.DataFrame:
    """One row per kind, strength and way of recommending: each mean with the ends of its 90 % interval."""
    rows = []
    for row in report.rows:
        cells: dict[str, object] = {
            KIND: NAMES[row.kind],
            STRENGTH: row.strength,
            MODEL: row.mode,
            COUNT: row.count,
        }
        estimates = {
            "flip_rate": row.flips,
            "kendall_tau": row.tau,
            "rank_biased_overlap": row.overlap,
            "ndcg_change": row.ndcg,
            "places_size": row.place,
            "margin_change": row.margin,
            "score_change_nats": row.score,
        }
        for name, value in estimates.items():
            cells[name] = None if value is None else value.mean
            cells[f"{name}_{columns.LOW}"] = None if value is None else value.low
            cells[f"{name}_{columns.HIGH}"] = None if value is None else value.high
        rows.append(cells)
    return pd.DataFrame(rows)


def percent(share: float | None) -> str:
    """`25 %`; a dash where there is no number."""
    return "–" if share is None else f"{number(100 * share, 0)} %"


def _strengths(rows: Sequence[KindRow]) -> list[float]:
    return sorted({row.strength for row in rows})


def _signed_mean(value: Estimate | None) -> str:
    return "not defined" if value is None else signed(value.mean)
