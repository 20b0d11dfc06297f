"""The case's own list before and after a better set of demonstrations."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from app.charts.alt_text import from_to
from app.charts.figure_cache import cached_figure
from app.charts.rank_flow import ROW, FlowLine, list_axis, rank_flow
from app.text import counted, plain, safe_mark
from app.theme import Palette, number, ordinal
from core import columns
from core.metrics.ranking import Rank
from core.selection.improve_task import ImproveReport, PlacesRow, SetRole
from core.selection.verdict import compared

TITLES = 1.5
"""Room for the titles, in distances between two lists."""
LISTS: dict[SetRole, str] = {
    "zero_shot": "no demonstrations",
    "current": "own demonstrations",
    "best": "set found",
}
"""The lists from left to right, as they are headed."""


def lists(report: ImproveReport) -> tuple[SetRole, ...]:
    """The lists that differ in their demonstrations, the one without any first and the advised one last."""
    before, after = compared(report)
    return tuple(dict.fromkeys([which for which in ("zero_shot", before, after) if which != after] + [after]))


def rank(row: PlacesRow, which: SetRole) -> Rank:
    """Place of a candidate in one of the lists."""
    place: Rank = getattr(row, f"{which}_rank")
    return place


def score(row: PlacesRow, which: SetRole) -> float:
    """Score of a candidate in one of the lists, nats."""
    value: float = getattr(row, f"{which}_score")
    return value


@cached_figure
def figure(report: ImproveReport, colours: Palette) -> go.Figure:
    """A line per candidate over the lists, place 1 on top; the target is drawn strong.

    Every point carries the candidate's id. Raises `ValueError` for a report without lists.
    """
    if not report.candidates:
        raise ValueError("a before and after needs the case's lists")
    shown = lists(report)
    ordered = sorted(report.candidates, key=lambda row: rank(row, shown[-1]))
    return rank_flow(
        [_line(row, place, shown) for place, row in enumerate(ordered, start=1)],
        colours,
        height=ROW * len(ordered) + 60,
        deepest=len(ordered),
        titles={"x": len(shown) - 1, "xshift": 12},
        title_length=34,
        xaxis=list_axis(range(len(shown)), [LISTS[which] for which in shown], [-0.4, len(shown) - 1 + TITLES]),
        margin={"t": 44, "b": 8},
    )


def _line(row: PlacesRow, place: int, shown: tuple[SetRole, ...]) -> FlowLine:
    title = safe_mark(row.title, 60)
    texts = [
        f"{title}<br>{LISTS[which]}: {ordinal(rank(row, which))}, score {number(score(row, which))} nats"
        for which in shown
    ]
    ranks = [rank(row, which) for which in shown]
    return FlowLine(row.item_id, row.title, ranks, texts, row.is_target, row=place)


def alt(report: ImproveReport) -> str:
    """The target's move, and how many candidates change their place."""
    if not report.candidates:
        return "The case's own list is not scored yet."
    before, after = compared(report)
    moved = sum(rank(row, before) != rank(row, after) for row in report.candidates)
    text = f"{counted(moved, 'candidate')} of {len(report.candidates)} change their place."
    target = next((row for row in report.candidates if row.is_target), None)
    if target is None:
        return text
    if rank(target, before) == rank(target, after):
        return f"{text} The target, {plain(target.title)}, is {ordinal(rank(target, after))} in both lists."
    return f"{text} The target: {from_to(target.title, rank(target, before), rank(target, after))}."


def table(report: ImproveReport) -> pd.DataFrame:
    """One row per candidate, the best place after first: its places and scores (nats) after and before."""
    if not report.candidates:
        return pd.DataFrame()
    before, after = compared(report)
    rows = sorted(report.candidates, key=lambda row: rank(row, after))
    data: dict[str, list[object]] = {
        columns.RANK: [rank(row, after) for row in rows],
        "rank_before": [rank(row, before) for row in rows],
        "climb": [rank(row, before) - rank(row, after) for row in rows],
        columns.TITLE: [row.title for row in rows],
        "chosen_next": [row.is_target for row in rows],
        columns.SCORE: [score(row, after) for row in rows],
        "score_before": [score(row, before) for row in rows],
        "rank_without": [row.zero_shot_rank for row in rows],
        "score_without": [row.zero_shot_score for row in rows],
        columns.ITEM: [row.item_id for row in rows],
    }
    return pd.DataFrame(data)
