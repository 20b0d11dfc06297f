"""The effect of each demonstration on each candidate: on its margin over the field, or on its own score."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from app.charts.cells import candidate_name, signed_map
from app.charts.figure_cache import cached_figure
from app.charts.frame import box, column_axis, framed, row_axis, row_box
from app.list_reading import effect_map, place_without
from app.sentences import place_words
from app.text import plain, safe_mark
from app.theme import Palette, amount, nats, symmetric, with_interval
from core import columns
from core.analysis.explain.explanation import Explanation
from core.metrics.ranking import best_first
from core.question.targets import Explained

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
    explanation: Explanation,
    colours: Palette,
    *,
    limit: int,
    demo: int | None = None,
    item: str | None = None,
    explain: Explained = "field",
) -> go.Figure:
    """Candidates (rows, best rank first) x demonstrations (columns), effects in nats; blue raises the candidate.

    An invisible marker in every cell carries `[demonstration, item id]`, because a heat map takes no clicks. Raises
    `ValueError` for an explanation without effects on the whole list.
    """
    effects = effect_map(explanation, explain)
    rows = drawn(explanation, limit, item)
    z = effects.value[:, rows].T.tolist()
    bound = symmetric(value for line in z for value in line)
    labels = [row.label for row in explanation.demos]

    def cell(demo: int, line: int) -> tuple[list[object], str]:
        candidate = rows[line]
        return [demo, explanation.candidates[candidate].item_id], _hover(explanation, demo, candidate, explain)

    return framed(
        signed_map(z, bound, colours, cell, size=ROW - 4, written=len(labels) <= ROOM),
        colours,
        height=ROW * len(rows) + 64,
        margin={"t": 30, "b": 8},
        xaxis=column_axis(labels),
        yaxis=row_axis([_tick(explanation, c, item) for c in rows], colours, ticklabelstandoff=4),
        shapes=_outlines(explanation, rows, demo, item, colours),
    )


def _hover(explanation: Explanation, demo: int, candidate: int, explain: Explained) -> str:
    row, effects = explanation.candidates[candidate], effect_map(explanation, explain)
    value, low, high = (part[demo, candidate] for part in (effects.value, effects.low, effects.high))
    without = place_without(explanation, demo, candidate)
    place = "" if without is None else f"<br>without it {place_words(without, row.rank)}"
    return (
        f"{explanation.demos[demo].label} on {safe_mark(row.title, 60)}"
        f"<br>effect {nats(value)}{with_interval(low, high)}{place}"
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


def alt(explanation: Explanation, explain: Explained = "field") -> str:
    """The largest effects in words."""
    effects = effect_map(explanation, explain).value
    cells = [(value, d, c) for d, line in enumerate(effects.tolist()) for c, value in enumerate(line)]
    text = f"{len(explanation.demos)} demonstrations by {len(explanation.candidates)} candidates."
    for word, pick in (("raises", max), ("lowers", min)):
        value, d, c = pick(cells)
        if (value > 0) == (word == "raises") and value != 0:
            title = plain(explanation.candidates[c].title)
            text += f" {explanation.demos[d].label} {word} {title} most, by {amount(value)}."
    return text


def table(explanation: Explanation, explain: Explained = "field") -> pd.DataFrame:
    """One row per candidate, one column per demonstration and for each end of its interval; effects in nats."""
    effects = effect_map(explanation, explain)
    data: dict[str, object] = {
        columns.RANK: [row.rank for row in explanation.candidates],
        columns.ITEM: [row.item_id for row in explanation.candidates],
        columns.TITLE: [row.title for row in explanation.candidates],
    }
    for demo, row in enumerate(explanation.demos):
        data |= {row.label: effects.value[demo].tolist()}
        data |= {f"{row.label}_low": effects.low[demo].tolist(), f"{row.label}_high": effects.high[demo].tolist()}
    return pd.DataFrame(data).sort_values([columns.RANK, columns.TITLE, columns.ITEM], ignore_index=True)
