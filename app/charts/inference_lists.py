"""Ways of recommending beside the plain model: how stable and how good they are, and what they move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from app.charts.alt_text import extremes, from_to
from app.charts.figure_cache import cached_figure
from app.charts.frame import framed, hover, level, ticks, upright, whiskers
from app.charts.rank_flow import ROW, FlowLine, list_axis, rank_flow
from app.text import plain, safe_mark
from app.theme import Palette, between, climb_mark, colour, number, ordinal, value_missing
from core import columns
from core.analysis.robustness.robustness_task import RankLine, RobustnessReport
from core.metrics.ranking import Rank, best_first

LABEL = 40
"""Characters of a setting's name beside its mark."""
HEIGHT = 420
TITLE = 20
"""Characters of a title beside its line: with its rank and step, what fits on a narrow screen."""


@dataclass(frozen=True)
class Standing:
    """One way of recommending, measured over cases: means with the ends of their intervals; None where undefined."""

    name: str
    ndcg: float | None
    """Mean NDCG@10."""
    ndcg_low: float | None
    ndcg_high: float | None
    flips: float | None
    """Share of perturbed prompts whose first place changes, 0 to 1."""
    flips_low: float | None
    flips_high: float | None


@cached_figure
def figure(standings: Sequence[Standing], colours: Palette) -> go.Figure:
    """A mark per setting, NDCG@10 across and flip rate up, both with their intervals; the plain model comes first.

    The plain model is a diamond and two dotted lines; a filled circle flips less than it at no lower NDCG@10.
    """
    drawn = _drawn(standings)
    reference = standings[0] if standings and standings[0] in drawn else None
    means, grey = [row.ndcg or 0.0 for row in drawn], colours.neutral_mark
    middle = (min(means, default=0.0) + max(means, default=0.0)) / 2
    lines = []
    if reference is not None:
        lines = [upright(reference.ndcg or 0.0, grey, dash="dot"), level(reference.flips or 0.0, grey, dash="dot")]
    return framed(
        [_mark(row, reference, middle, colours) for row in drawn],
        colours,
        height=HEIGHT,
        shapes=lines,
        xaxis={"title": {"text": "NDCG@10 (higher is better)"}, "zeroline": False, "tickformat": "~g"},
        yaxis={
            "title": {"text": "variants with another first item (lower is better)"},
            "zeroline": False,
            "tickformat": ".0%",
        },
    )


def _mark(row: Standing, reference: Standing | None, middle: float, colours: Palette) -> go.Scatter:
    """One setting; its name stands on the side of `middle` where there is room."""
    is_plain = row is reference
    better = reference is not None and _is_better(row, reference)
    ink = colours.ink if is_plain or better else colours.neutral_mark
    return go.Scatter(
        name=safe_mark(row.name, LABEL),
        x=[row.ndcg],
        y=[row.flips],
        mode="markers+text",
        text=[safe_mark(row.name, LABEL)],
        textposition="top right" if (row.ndcg or 0.0) <= middle else "top left",
        textfont={"size": 12, "color": colours.ink if is_plain or better else colours.muted},
        error_x=_whiskers(row.ndcg, row.ndcg_low, row.ndcg_high, ink),
        error_y=_whiskers(row.flips, row.flips_low, row.flips_high, ink),
        marker={
            "symbol": "diamond" if is_plain else "circle" if better else "circle-open",
            "size": 12 if is_plain else 10,
            "color": ink,
            "line": {"width": 2, "color": ink},
        },
        **hover([_hover(row)]),
    )


def _drawn(standings: Sequence[Standing]) -> list[Standing]:
    return [row for row in standings if not (value_missing(row.ndcg) or value_missing(row.flips))]


def _is_better(row: Standing, reference: Standing) -> bool:
    """Whether it flips less at no lower NDCG; both rows have numbers."""
    return (row.flips or 0.0) < (reference.flips or 0.0) and (row.ndcg or 0.0) >= (reference.ndcg or 0.0)


def _whiskers(value: float | None, low: float | None, high: float | None, ink: str) -> dict[str, object] | None:
    if value is None or value_missing(low) or value_missing(high):
        return None
    return whiskers([value], [low], [high], ink, thickness=1, width=3)


def _hover(row: Standing) -> str:
    return (
        f"{safe_mark(row.name, 60)}<br>NDCG@10 {between(row.ndcg, row.ndcg_low, row.ndcg_high)}"
        f"<br>flip rate {between(row.flips, row.flips_low, row.flips_high)}"
    )


def alt(standings: Sequence[Standing]) -> str:
    """Whether any setting flips less than the plain model (the first row) at no lower NDCG@10, and which least."""
    drawn = _drawn(standings)
    if not standings or standings[0] not in drawn:
        return "The plain model is not measured yet."
    reference, others = drawn[0], drawn[1:]
    ours = f"the plain model has a flip rate of {number(reference.flips)} at NDCG@10 {number(reference.ndcg)}"
    better = [row for row in others if _is_better(row, reference)]
    if not better:
        return f"None of {len(others)} settings flips less than the plain model at no lower NDCG@10; {ours}."
    best = min(better, key=lambda row: (row.flips or 0.0, -(row.ndcg or 0.0)))
    verb = "flips" if len(better) == 1 else "flip"
    return (
        f"{len(better)} of {len(others)} settings {verb} less than the plain model at no lower NDCG@10. "
        f"Fewest flips: {plain(best.name)}, {number(best.flips)} at NDCG@10 {number(best.ndcg)}; {ours}."
    )


def table(standings: Sequence[Standing]) -> pd.DataFrame:
    """One row per setting in the order given; flip rates are shares."""
    return pd.DataFrame(
        {
            "setting": [row.name for row in standings],
            "ndcg_at_10": [row.ndcg for row in standings],
            "ndcg_low": [row.ndcg_low for row in standings],
            "ndcg_high": [row.ndcg_high for row in standings],
            "flip_rate": [row.flips for row in standings],
            "flip_low": [row.flips_low for row in standings],
            "flip_high": [row.flips_high for row in standings],
        }
    )


def moved(report: RobustnessReport) -> list[RankLine]:
    """The candidates that have a rank under the changed dual models too; best first under the plain model."""
    return [line for line in report.lines if line.changed_rank is not None]


def changed_name(report: RobustnessReport) -> str:
    """What the changed dual models are called: `decay 0.1 · noise 0.2 (8 samples)`."""
    return next((mode.name for mode in report.modes if mode.mode == "changed"), "the changed dual model")


@cached_figure
def moves(report: RobustnessReport, colours: Palette) -> go.Figure:
    """A line per candidate from its place in the plain list to its place in the changed one; rank 1 on top.

    Places are those among the candidates shown, the ranks beside them those among all. Raises `ValueError` for a
    report without changed dual models.
    """
    lines = moved(report)
    if not lines:
        raise ValueError("a chart of two lists needs changed dual models")
    order = best_first([line.changed_rank for line in lines], lines)
    after = {lines[index].item_id: place for place, index in enumerate(order, start=1)}
    return rank_flow(
        [
            FlowLine(
                line.item_id,
                line.title,
                [before, after[line.item_id]],
                [_moved_hover(line)] * 2,
                line.is_target,
                row=after[line.item_id],
                before_title=f"{_changed_rank(line):g} {step(line)} ",
                ink=colour(line.rank - _changed_rank(line), colours),
            )
            for before, line in enumerate(lines, start=1)
        ],
        colours,
        height=ROW * max(len(lines), 4) + 56,
        deepest=len(lines),
        titles={"x": 1.04},
        title_length=TITLE,
        margin={"t": 30, "b": 8},
        xaxis=list_axis([0, 1], ["plain", "changed"], [-0.06, 2.3]),
        yaxis=ticks(range(1, len(lines) + 1), [f"{line.rank:g}" for line in lines]),
    )


def _changed_rank(line: RankLine) -> Rank:
    assert line.changed_rank is not None
    return line.changed_rank


def step(line: RankLine) -> str:
    """`▲4`, `▼2`, `=`: places climbed or dropped under the changed dual models."""
    return climb_mark(line.rank - _changed_rank(line)).replace(" ", "")


def _moved_hover(line: RankLine) -> str:
    spread = "" if value_missing(line.changed_spread) else f" ± {number(line.changed_spread)}"
    return (
        f"{safe_mark(line.title, 60)}<br>{ordinal(line.rank)} plain, {ordinal(line.changed_rank)} changed"
        f"<br>{number(line.score)} nats plain, {number(line.changed_score)}{spread} nats changed"
    )


def moves_alt(report: RobustnessReport) -> str:
    """How many candidates change their rank, the largest climb and the largest drop."""
    lines = moved(report)
    changed = sum(line.rank != line.changed_rank for line in lines)
    if not changed:
        return f"No candidate changes its place under {plain(changed_name(report), 80)}."
    ends = extremes(lines, lambda line: line.rank - _changed_rank(line), ("climb", "drop"))
    text = f"{changed} of {len(lines)} candidates change their place under {plain(changed_name(report), 80)}. "
    return text + " ".join(
        f"Largest {word}: {from_to(line.title, line.rank, line.changed_rank)}." for word, line in ends
    )


def moves_table(report: RobustnessReport) -> pd.DataFrame:
    """One row per candidate shown, best first under the plain model; scores in nats."""
    lines = moved(report)
    return pd.DataFrame(
        {
            columns.RANK: [line.rank for line in lines],
            "rank_changed": [line.changed_rank for line in lines],
            columns.ITEM: [line.item_id for line in lines],
            columns.TITLE: [line.title for line in lines],
            columns.SCORE: [line.score for line in lines],
            "score_changed": [line.changed_score for line in lines],
            "spread_changed": [line.changed_spread for line in lines],
            "chosen_next": [line.is_target for line in lines],
        }
    )
