"""The order of the candidates without and with the demonstrations."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from app.charts.alt_text import from_to
from app.charts.figure_cache import cached_figure
from app.charts.rank_flow import ROW, FlowLine, list_axis, rank_flow
from app.text import safe_mark
from app.theme import Palette, climb_mark, ordinal
from core import columns
from core.analysis.explain.explanation import CandidateRow, Explanation
from core.metrics.ranking import best_first
from core.words import NOTHING


@cached_figure
def figure(explanation: Explanation, colours: Palette, *, item: str | None = None) -> go.Figure:
    """A line per candidate from its rank without demonstrations to its rank with them; rank 1 on top."""
    rows = {explanation.candidates[index].item_id: row for row, index in enumerate(_order(explanation), start=1)}
    lines = [
        FlowLine(
            row.item_id,
            row.title,
            [row.zero_shot_rank, row.rank],
            [_hover(row)] * 2,
            row.is_target,
            row.item_id == item,
            rows[row.item_id],
        )
        for row in explanation.candidates
        if row.rank is not None and row.zero_shot_rank is not None
    ]
    return rank_flow(
        lines,
        colours,
        height=ROW * max(len(lines), 4) + 56,
        deepest=len(explanation.candidates),
        titles={"x": 1.03},
        margin={"t": 30, "b": 8},
        xaxis=list_axis([0, 1], ["without", "with"], [-0.06, 2.05]),
    )


def _order(explanation: Explanation) -> list[int]:
    return best_first([row.rank for row in explanation.candidates], explanation.candidates)


def change(row: CandidateRow) -> str:
    """`▲ 8`, `▼ 2`, `=`; a dash while a rank is missing."""
    if row.rank is None or row.zero_shot_rank is None:
        return NOTHING
    return climb_mark(row.zero_shot_rank - row.rank)


def _hover(row: CandidateRow) -> str:
    return (
        f"{safe_mark(row.title, 60)}<br>{ordinal(row.zero_shot_rank)} without, {ordinal(row.rank)} with demonstrations"
    )


def alt(explanation: Explanation) -> str:
    """The largest moves in words."""
    rows = [
        (row.zero_shot_rank - row.rank, row)
        for row in (explanation.candidates[index] for index in _order(explanation))
        if row.rank is not None and row.zero_shot_rank is not None
    ]
    if not rows:
        return "The candidates are not ranked yet."
    gain, best = max(rows, key=lambda pair: pair[0])
    loss, worst = min(rows, key=lambda pair: pair[0])
    if gain == loss == 0:
        return "No candidate changes its place."
    return (
        f"Largest climb: {from_to(best.title, best.zero_shot_rank, best.rank)}. "
        f"Largest drop: {from_to(worst.title, worst.zero_shot_rank, worst.rank)}."
    )


def _blend(rows: list[CandidateRow]) -> dict[str, list[float | None]]:
    """What popularity adds to each score, and the place without it; no columns without a blend."""
    if all(row.model_rank is None for row in rows):
        return {}
    return {"prior": [row.prior for row in rows], "model_rank": [row.model_rank for row in rows]}


def table(explanation: Explanation) -> pd.DataFrame:
    """One row per candidate, best first; scores in nats."""
    rows = [explanation.candidates[index] for index in _order(explanation)]
    return pd.DataFrame(
        {
            columns.RANK: [row.rank for row in rows],
            "rank_without": [row.zero_shot_rank for row in rows],
            columns.ITEM: [row.item_id for row in rows],
            columns.TITLE: [row.title for row in rows],
            columns.SCORE: [row.score for row in rows],
            "score_without": [row.zero_shot_score for row in rows],
            **_blend(rows),
            columns.POPULARITY: [row.popularity for row in rows],
            "chosen_next": [row.is_target for row in rows],
        }
    )
