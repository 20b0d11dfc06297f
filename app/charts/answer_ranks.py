"""How high each way of answering ranks the item really chosen."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from app.charts.ability import WAY, Stroke, ends, value_columns, value_text
from app.charts.figure_cache import cached_figure
from app.charts.frame import framed, hover, legend, row_axis, upright, whiskers
from app.theme import Palette, number
from core.metrics.ranking import ndcg_by_chance
from core.prompt.families import FAMILIES, Family
from core.tuning.evaluation.record import Evaluation, RankingRow

ROW, AROUND = 34, 108
"""Pixels of one way's row, and of axis and legend."""
SHIFTS: dict[Family | None, float] = {"yes_no": -0.17, "next_item": 0.17, None: 0.0}
"""Shift of each family's marks and of the references', in rows."""
REFERENCE = "classical reference"
FAMILY, NDCG = "family", "ndcg_at_10"


@cached_figure
def figure(evaluation: Evaluation, colours: Palette) -> go.Figure:
    """NDCG@10 with its interval: one row per way, one mark per family, and the line of a random order."""
    ways, chance = _ways(evaluation), ndcg_by_chance(evaluation.candidates)
    strokes = {
        "yes_no": Stroke("circle", "solid", colours.ink, 1.6),
        "next_item": Stroke("diamond", "solid", colours.muted, 1.6),
        None: Stroke("x-thin-open", "solid", colours.neutral_mark, 1.6),
    }
    traces = []
    for family, shift in SHIFTS.items():
        rows = [row for row in evaluation.ranking if row.family == family and row.ndcg.value is not None]
        if rows:
            traces.append(_marks(rows, [ways.index(row.way) + shift for row in rows], strokes[family]))
    return framed(
        traces,
        colours,
        height=ROW * len(ways) + AROUND,
        shapes=[upright(chance, colours.muted, width=1.2, dash="dot")],
        xaxis={"title": {"text": "NDCG@10"}, "zeroline": False},
        yaxis=row_axis([way.replace("demonstration", "demo") for way in ways], colours, tickfont=None),
        showlegend=True,
        legend=legend(colours),
        margin={"t": 56, "b": 44},
    )


def _marks(rows: Sequence[RankingRow], places: list[float], mark: Stroke) -> go.Scatter:
    values = [row.ndcg.value for row in rows]
    return go.Scatter(
        name=_question(rows[0]) or REFERENCE,
        mode="markers",
        x=values,
        y=places,
        marker=mark.marker,
        error_x=whiskers(values, *ends([row.ndcg for row in rows]), mark.colour),
        **hover(f"{_name(row)}<br>NDCG@10 {value_text(row.ndcg)}" for row in rows),
    )


def alt(evaluation: Evaluation) -> str:
    """Which way ranks best, with and without a language model, beside a random order."""
    measured = [row for row in evaluation.ranking if row.ndcg.value is not None]
    groups = ([row for row in measured if row.family], [row for row in measured if not row.family])
    best = [max(rows, key=lambda row: row.ndcg.value or 0.0) for rows in groups if rows]
    if not best:
        return "No list is ranked yet."
    parts = [f"{_name(row)} has {value_text(row.ndcg)}" for row in best]
    chance = f"a random order {number(ndcg_by_chance(evaluation.candidates))}"
    lists = f"{evaluation.ranked} lists of {evaluation.candidates}"
    return f"Best NDCG@10 on {lists}: {'; among classical references '.join(parts)}; {chance}."


def table(evaluation: Evaluation) -> pd.DataFrame:
    """One row per way and family: NDCG@10 with the ends of its interval."""
    rows = evaluation.ranking
    return pd.DataFrame(
        {
            WAY: [row.way for row in rows],
            FAMILY: [_question(row) for row in rows],
            **value_columns(NDCG, [row.ndcg for row in rows]),
        }
    )


def _ways(evaluation: Evaluation) -> list[str]:
    return list(dict.fromkeys(row.way for row in evaluation.ranking))


def _name(row: RankingRow) -> str:
    question = _question(row)
    return row.way if question is None else f"{row.way}, {question}"


def _question(row: RankingRow) -> str | None:
    """What the model is asked, in words; None for a reference, which is asked nothing."""
    return None if row.family is None else FAMILIES[row.family].words
