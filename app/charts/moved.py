"""What leaving out each demonstration of the last list does to each candidate, with the base model and the adapter."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import plotly.graph_objects as go

from app.charts import lists
from app.charts.alt_text import extremes
from app.charts.cells import candidate_name, signed_map
from app.charts.figure_cache import cached_figure
from app.charts.frame import axis_key, axis_name, column_axis, framed, panel_domains, panel_headings, row_axis, row_box
from app.text import capital, plain, safe_mark
from app.theme import Palette, amount, nats, ordinal, symmetric
from core import columns
from core.personal.personalise_task import MovedRow, PersonaliseReport, PlayedModel
from core.personal.target_steps import margin_effects

ROW = 25
"""Pixels of one candidate's row."""
ROOM = 16
"""Most columns, of both models together, whose cells have room for their number."""
GAP = 0.04
"""Share of the width between two panels."""


def models(report: PersonaliseReport) -> tuple[PlayedModel, ...]:
    """The models whose last list was taken apart, the base first."""
    return tuple(which for which in lists.NAMES if any(row.which == which for row in report.moved))


def rows_of(report: PersonaliseReport, which: PlayedModel) -> list[MovedRow]:
    """The demonstrations of the last list in prompt order: `D1` is the first."""
    return [row for row in report.moved if row.which == which]


def strongest(report: PersonaliseReport, which: PlayedModel, candidate: int) -> tuple[int, MovedRow] | None:
    """Place (from 0) and row of the demonstration that raises a candidate's margin most; None where none raises it."""
    rows = list(enumerate(rows_of(report, which)))
    best = max(rows, key=lambda pair: margin_effects(pair[1])[candidate], default=None)
    return best if best is not None and margin_effects(best[1])[candidate] > 0 else None


@cached_figure
def figure(report: PersonaliseReport, colours: Palette, *, limit: int, item: str | None = None) -> go.Figure:
    """Candidates (rows, best last rank first) x demonstrations (columns): what each holds of the margin, nats.

    Blue: without it the candidate's margin over the field falls.

    One panel per model on one colour scale. An invisible mark in every cell carries `[demonstration, item id]`.
    Raises `ValueError` for a report whose last list was not taken apart.
    """
    which = models(report)
    if not which:
        raise ValueError("a map of what moved the list needs the effects of its demonstrations")
    drawn = lists.drawn(report, limit, item)
    bound = symmetric(effects[index] for effects in map(margin_effects, report.moved) for index in drawn)
    selected = [line for line, index in enumerate(drawn) if report.candidates[index].item_id == item]
    traces, shapes, axes, domains = [], [], {}, panel_domains(len(which), GAP)
    for panel, name in enumerate(which):
        axis, count = axis_name("x", panel), len(rows_of(report, name))
        traces += [trace.update(xaxis=axis) for trace in _panel(report, name, drawn, bound, colours)]
        shapes += [row_box(line, count, colours, axis=axis) for line in selected]
        axes[axis_key("x", panel)] = column_axis([f"D{demo + 1}" for demo in range(count)], domain=domains[panel])
    return framed(
        traces,
        colours,
        height=ROW * max(len(drawn), 1) + 92,
        margin={"t": 60, "b": 8},
        yaxis=row_axis([_tick(report, index, item) for index in drawn], colours, ticklabelstandoff=4),
        annotations=panel_headings([lists.NAMES[name] for name in which], domains, colours),
        shapes=shapes,
        **axes,
    )


def _panel(
    report: PersonaliseReport, which: PlayedModel, drawn: list[int], bound: float, colours: Palette
) -> list[go.Heatmap | go.Scatter]:
    rows = rows_of(report, which)
    effects = [margin_effects(row) for row in rows]
    z = [[values[index] for values in effects] for index in drawn]

    def cell(demo: int, line: int) -> tuple[list[object], str]:
        index = drawn[line]
        return [demo, report.candidates[index].item_id], _hover(report, rows[demo], demo, index)

    return signed_map(z, bound, colours, cell, size=ROW - 4, written=len(report.moved) <= ROOM, name=which)


def _hover(report: PersonaliseReport, row: MovedRow, demo: int, candidate: int) -> str:
    return (
        f"{demo_words(row, demo, safe_mark)} on {safe_mark(report.candidates[candidate].title, 60)}"
        f"<br>{lists.NAMES[row.which]}: {place_without(report, row, candidate)}"
        f"<br>holds {nats(margin_effects(row)[candidate])} of its margin, {nats(row.effects[candidate])} of its score"
    )


def place_without(report: PersonaliseReport, row: MovedRow, candidate: int) -> str:
    """`11th without it instead of 9th`, `9th without it too`: measured."""
    now, without = lists.moves(report, row.which)[candidate].after, row.ranks[candidate]
    if now == without:
        return f"{ordinal(without)} without it too"
    return f"{ordinal(without)} without it instead of {ordinal(now)}"


def demo_words(row: MovedRow, place: int, safe: Callable[[str], str] = plain) -> str:
    """`D2 Fargo (1996) (Yes)`; `safe` makes the title fit for where it is shown."""
    return f"D{place + 1} {safe(row.title)}{f' ({row.answer})' if row.answer else ''}"


def _tick(report: PersonaliseReport, candidate: int, item: str | None) -> str:
    row = report.candidates[candidate]
    rank = lists.moves(report, lists.leading(report))[candidate].after
    return candidate_name(row.title, rank, is_target=row.is_target, is_selected=row.item_id == item)


def alt(report: PersonaliseReport) -> str:
    """The largest effect on a margin of every model, either way, in words."""
    parts = []
    for which in models(report):
        cells = [
            (value, place, row, index)
            for place, row in enumerate(rows_of(report, which))
            for index, value in enumerate(margin_effects(row))
        ]
        ends = [
            f"without {demo_words(row, place)} the margin of {plain(report.candidates[index].title)} {word} most, "
            f"by {amount(value)}, {place_without(report, row, index)}"
            for word, (value, place, row, index) in extremes(cells, lambda cell: cell[0], ("falls", "rises"))
        ]
        parts.append(f"{capital(lists.NAMES[which])}: {'; '.join(ends) or 'no demonstration moves a candidate'}.")
    return " ".join(parts) or "The last list has not been taken apart yet."


def table(report: PersonaliseReport) -> pd.DataFrame:
    """One row per candidate, best last place first; for each model and demonstration its effect on the candidate's
    margin over the field (nats) and the place without it, then its effect on the own score (nats)."""
    changes = lists.moves(report, lists.leading(report))
    data: dict[str, object] = {
        columns.RANK: [change.after for change in changes],
        columns.ITEM: [row.item_id for row in report.candidates],
        columns.TITLE: [row.title for row in report.candidates],
    }
    for which in models(report):
        for place, row in enumerate(rows_of(report, which), start=1):
            data[f"{which}_D{place}"] = list(margin_effects(row))
            data[f"{which}_D{place}_place"] = list(row.ranks)
            data[f"{which}_D{place}_score"] = list(row.effects)
    return pd.DataFrame(data).sort_values([columns.RANK, columns.TITLE, columns.ITEM], ignore_index=True)
