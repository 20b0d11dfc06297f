"""The effect of each demonstration on each candidate."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from app.charts.cells import candidate_name, signed_map
from app.charts.figure_cache import cached_figure
from app.charts.frame import box, column_axis, framed, row_axis, row_box
from app.text import plain, safe_mark
from app.theme import Palette, amount, nats, symmetric
from core import columns
from core.analysis.explain.explanation import Explanation, Matrix
from core.metrics.ranking import best_first

ROW = 25
"""Pixels of one candidate's row."""
ROOM = 12
"""Most demonstrations whose cells have room for their number."""


def drawn(explanation: Explanation, limit: int, selected: str | None = None) -> list[int]:
    """Indices of the candidates to draw, best rank first: at most `limit`, and always the target and the selected."""
    ranked = best_first([row.rank for row in explanation.candidates], explanation.candidates)
    always = [
        i
        for i in ranked[limit:]
        if explanation.candidates[i].is_target or explanation.candidates[i].item_id == selected
    ]
    return ranked[:limit] + always


@cached_figure
def figure(
    explanation: Explanation, colours: Palette, *, limit: int, demo: int | None = None, item: str | None = None
) -> go.Figure:
    """Candidates (rows, best rank first) x demonstrations (columns), nats; blue: the score falls without it.

    An invisible marker in every cell carries `[demonstration, item id]`, because a heat map takes no clicks.
    """
    matrix = _matrix(explanation)
    rows = drawn(explanation, limit, item)
    z = [[matrix.values[d][c] for d in range(len(explanation.demos))] for c in rows]
    bound = symmetric(value for line in z for value in line)
    labels = [row.label for row in explanation.demos]

    def cell(demo: int, line: int) -> tuple[list[object], str]:
        candidate = rows[line]
        return [demo, explanation.candidates[candidate].item_id], _hover(explanation, matrix, demo, candidate)

    return framed(
        signed_map(z, bound, colours, cell, size=ROW - 4, written=len(labels) <= ROOM),
        colours,
        height=ROW * len(rows) + 64,
        margin={"t": 30, "b": 8},
        xaxis=column_axis(labels),
        yaxis=row_axis([_tick(explanation, c, item) for c in rows], colours, ticklabelstandoff=4),
        shapes=_outlines(explanation, rows, demo, item, colours),
    )


def _hover(explanation: Explanation, matrix: Matrix, demo: int, candidate: int) -> str:
    row = explanation.candidates[candidate]
    return (
        f"{explanation.demos[demo].label} on {safe_mark(row.title, 60)}"
        f"<br>removal effect {nats(matrix.values[demo][candidate])}"
        f"<br>rank {'–' if row.rank is None else row.rank} with it, {matrix.ranks_without[demo][candidate]} without it"
    )


def _tick(explanation: Explanation, candidate: int, item: str | None) -> str:
    row = explanation.candidates[candidate]
    return candidate_name(row.title, row.rank, is_target=row.is_target, is_selected=row.item_id == item)


def _outlines(
    explanation: Explanation, rows: list[int], demo: int | None, item: str | None, colours: Palette
) -> list[dict[str, Any]]:
    at = next((place for place, c in enumerate(rows) if explanation.candidates[c].item_id == item), None)
    column = [] if demo is None else [box((demo - 0.5, demo + 0.5), (-0.5, len(rows) - 0.5), colours)]
    return column + ([] if at is None else [row_box(at, len(explanation.demos), colours)])


def _matrix(explanation: Explanation) -> Matrix:
    if explanation.matrix is None:
        raise ValueError("a heat map needs the matrix")
    return explanation.matrix


def alt(explanation: Explanation) -> str:
    """The largest effects in words."""
    matrix = _matrix(explanation)
    cells = [(value, d, c) for d, line in enumerate(matrix.values) for c, value in enumerate(line)]
    text = f"{len(explanation.demos)} demonstrations by {len(explanation.candidates)} candidates."
    for word, pick in (("falls", max), ("rises", min)):
        value, d, c = pick(cells)
        if (value > 0) == (word == "falls") and value != 0:
            title = plain(explanation.candidates[c].title)
            text += f" Without {explanation.demos[d].label} the score of {title} {word} most, by {amount(value)}."
    return text


def table(explanation: Explanation) -> pd.DataFrame:
    """One row per candidate, one column per demonstration; removal effects in nats, positive where the score falls."""
    matrix = _matrix(explanation)
    data: dict[str, object] = {
        columns.RANK: [row.rank for row in explanation.candidates],
        columns.ITEM: [row.item_id for row in explanation.candidates],
        columns.TITLE: [row.title for row in explanation.candidates],
    }
    data |= {row.label: list(matrix.values[d]) for d, row in enumerate(explanation.demos)}
    return pd.DataFrame(data).sort_values([columns.RANK, columns.TITLE, columns.ITEM], ignore_index=True)
