"""How do the demonstrations reorder the candidates?"""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from app.charts.figure_cache import cached_figure
from app.charts.frame import framed
from app.text import plain, safe_mark
from app.theme import Palette, ordinal
from core import columns
from core.analysis.explain.explanation import CandidateRow, Explanation
from core.metrics.ranking import best_first

ROW = 22


@cached_figure
def figure(explanation: Explanation, colours: Palette, *, item: str | None = None) -> go.Figure:
    """A line per candidate from its rank without demonstrations to its rank with them; rank 1 on top."""
    rows = [row for row in explanation.candidates if row.rank is not None and row.zero_shot_rank is not None]
    ordered = sorted(rows, key=lambda row: (row.is_target, row.item_id == item))
    places = {explanation.candidates[index].item_id: place for place, index in enumerate(_order(explanation), start=1)}
    return framed(
        [_line(row, colours, strong=_strong(row, item)) for row in ordered],
        colours,
        height=ROW * max(len(rows), 4) + 56,
        margin={"t": 30, "b": 8},
        xaxis={
            "range": [-0.06, 2.05],
            "tickmode": "array",
            "tickvals": [0, 1],
            "ticktext": ["without", "with"],
            "side": "top",
            "showgrid": False,
            "zeroline": False,
        },
        yaxis={
            "range": [len(explanation.candidates) + 0.7, 0.3],
            "showgrid": False,
            "zeroline": False,
            "dtick": 5,
            "tick0": 0,
            "title": {"text": "rank"},
        },
        annotations=[_name(row, places[row.item_id], colours, strong=_strong(row, item)) for row in ordered],
    )


def _order(explanation: Explanation) -> list[int]:
    return best_first([row.rank for row in explanation.candidates], explanation.candidates)


def _strong(row: CandidateRow, item: str | None) -> bool:
    return row.is_target or row.item_id == item


def _line(row: CandidateRow, colours: Palette, *, strong: bool) -> go.Scatter:
    return go.Scatter(
        x=[0, 1],
        y=[row.zero_shot_rank, row.rank],
        mode="lines+markers",
        customdata=[row.item_id, row.item_id],
        name=row.item_id,
        line={"width": 2.6 if strong else 1.2, "color": colours.ink if strong else colours.neutral_mark},
        marker={"size": 9 if strong else 6, "symbol": "diamond" if row.is_target else "circle"},
        hovertext=[_hover(row)] * 2,
        hovertemplate="%{hovertext}<extra></extra>",
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
    )


def _name(row: CandidateRow, place: int, colours: Palette, *, strong: bool) -> dict[str, Any]:
    """The title at its own place, so that those of candidates with equal scores can be read."""
    title = safe_mark(row.title, 26)
    return {
        "x": 1.03,
        "xanchor": "left",
        "y": place,
        "text": f"<b>{title}</b>" if strong else title,
        "showarrow": False,
        "font": {"size": 12, "color": colours.ink if strong else colours.muted},
    }


def change(row: CandidateRow) -> str:
    """`▲ 8`, `▼ 2`, `=`; a dash while a rank is missing."""
    if row.rank is None or row.zero_shot_rank is None:
        return "–"
    moved = row.zero_shot_rank - row.rank
    return "=" if moved == 0 else f"{'▲' if moved > 0 else '▼'} {abs(moved):g}"


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
        return "No candidate changes its rank."
    return (
        f"Largest climb: {plain(best.title)}, from {ordinal(best.zero_shot_rank)} to {ordinal(best.rank)}. "
        f"Largest drop: {plain(worst.title)}, from {ordinal(worst.zero_shot_rank)} to {ordinal(worst.rank)}."
    )


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
            columns.POPULARITY: [row.popularity for row in rows],
            "chosen_next": [row.is_target for row in rows],
        }
    )
