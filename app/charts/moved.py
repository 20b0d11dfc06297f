"""Which of the newest interactions moves which candidate, and does the adapter listen to others than the base?"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import plotly.graph_objects as go

from app.charts import lists
from app.charts.cells import numbers, targets, tiles
from app.charts.figure_cache import cached_figure
from app.charts.frame import box, heading
from app.text import plain, safe_mark
from app.theme import Palette, amount, nats, shade, signed, symmetric, template
from core import columns
from core.personal.personalise_task import MovedRow, PersonaliseReport, Which

ROW = 25
"""Pixels of one candidate's row."""
ROOM = 16
"""Most columns, of both models together, whose cells have room for their number."""
GAP = 0.04
"""Share of the width between two panels."""


def models(report: PersonaliseReport) -> tuple[Which, ...]:
    """The models whose last list was taken apart, the base first."""
    return tuple(which for which in lists.NAMES if any(row.which == which for row in report.moved))


def rows_of(report: PersonaliseReport, which: Which) -> list[MovedRow]:
    """The demonstrations of the last list in prompt order: `D1` is the first."""
    return [row for row in report.moved if row.which == which]


def strongest(report: PersonaliseReport, which: Which, candidate: int) -> tuple[int, MovedRow] | None:
    """Place (from 0) and row of the demonstration that raises a candidate most; None where none raises it."""
    rows = list(enumerate(rows_of(report, which)))
    best = max(rows, key=lambda pair: pair[1].effects[candidate], default=None)
    return best if best is not None and best[1].effects[candidate] > 0 else None


@cached_figure
def figure(report: PersonaliseReport, colours: Palette, *, limit: int, item: str | None = None) -> go.Figure:
    """Candidates (rows, best last rank first) x demonstrations (columns), nats; blue: it raises the candidate.

    One panel per model on one colour scale. An invisible mark in every cell carries `[demonstration, item id]`.
    Raises `ValueError` for a report whose last list was not taken apart.
    """
    which = models(report)
    if not which:
        raise ValueError("a map of what moved the list needs the effects of its demonstrations")
    shown = lists.drawn(report, limit, item)
    bound = symmetric(row.effects[index] for row in report.moved for index in shown)
    height = ROW * max(len(shown), 1) + 92
    figure = go.Figure(layout={"template": template(colours), "height": height})
    for panel, name in enumerate(which):
        axis = "x" if panel == 0 else f"x{panel + 1}"
        traces = _panel(report, name, shown, bound, colours)
        figure.add_traces([trace.update(xaxis=axis) for trace in traces])
        count = len(rows_of(report, name))
        domain = _domain(panel, len(which))
        figure.update_layout({axis.replace("x", "xaxis"): _demos(count, domain)})
        figure.add_annotation(heading(lists.NAMES[name], domain[0], colours))
        _outline(figure, report, shown, item, count, axis, colours)
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(shown))),
        ticktext=[_tick(report, index, item) for index in shown],
        range=[len(shown) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
        tickfont={"color": colours.ink, "size": 12.5},
        ticklabelstandoff=4,
    )
    figure.update_layout(margin={"t": 60, "b": 8})
    return figure


def _domain(panel: int, count: int) -> list[float]:
    width = (1 - GAP * (count - 1)) / count
    start = panel * (width + GAP)
    return [start, start + width]


def _demos(count: int, domain: list[float]) -> dict[str, object]:
    return {
        "domain": domain,
        "tickmode": "array",
        "tickvals": list(range(count)),
        "ticktext": [f"D{place}" for place in range(1, count + 1)],
        "side": "top",
        "showgrid": False,
        "zeroline": False,
        "range": [-0.5, count - 0.5],
    }


def _panel(
    report: PersonaliseReport, which: Which, shown: list[int], bound: float, colours: Palette
) -> list[go.Heatmap | go.Scatter]:
    rows = rows_of(report, which)
    z = [[row.effects[index] for row in rows] for index in shown]
    grid = tiles(z, len(rows), bound, colours, name=which)
    cells = [(demo, line, index) for line, index in enumerate(shown) for demo in range(len(rows))]
    marks = targets(
        [(demo, line) for demo, line, _ in cells],
        [[demo, report.candidates[index].item_id] for demo, _, index in cells],
        [_hover(report, rows[demo], demo, index) for demo, _, index in cells],
        size=ROW - 4,
    )
    written = numbers(z, signed, lambda value: shade(value, bound, colours)) if z and len(report.moved) <= ROOM else []
    return [grid, *written, marks]


def _hover(report: PersonaliseReport, row: MovedRow, demo: int, candidate: int) -> str:
    return (
        f"{named(row, demo, safe_mark)} on {safe_mark(report.candidates[candidate].title, 60)}"
        f"<br>removal effect {nats(row.effects[candidate])}, {lists.NAMES[row.which]}"
    )


def named(row: MovedRow, place: int, safe: Callable[[str], str] = plain) -> str:
    """`D2 Fargo (1996) (Yes)`; `safe` makes the title fit for where it is shown."""
    return f"D{place + 1} {safe(row.title)}{f' ({row.answer})' if row.answer else ''}"


def _tick(report: PersonaliseReport, candidate: int, item: str | None) -> str:
    row = report.candidates[candidate]
    rank = lists.moves(report, lists.leading(report))[candidate].after
    text = f"{'◆ ' if row.is_target else ''}{safe_mark(row.title, 30)}  {rank}"
    return f"<b>{text}</b>" if row.item_id == item else text


def _outline(
    figure: go.Figure,
    report: PersonaliseReport,
    shown: list[int],
    item: str | None,
    count: int,
    axis: str,
    colours: Palette,
) -> None:
    at = next((line for line, index in enumerate(shown) if report.candidates[index].item_id == item), None)
    if at is not None:
        figure.add_shape(box(-0.5, count - 0.5, at - 0.5, at + 0.5, colours), xref=axis, yref="y")


def alt(report: PersonaliseReport) -> str:
    """The largest effect of every model, either way, in words."""
    parts = []
    for which in models(report):
        cells = [
            (value, place, row, index)
            for place, row in enumerate(rows_of(report, which))
            for index, value in enumerate(row.effects)
        ]
        said = []
        for word, pick, sign in (("falls", max, 1), ("rises", min, -1)):
            value, place, row, index = pick(cells, key=lambda cell: cell[0])
            if value * sign > 0:
                title = plain(report.candidates[index].title)
                said.append(f"without {named(row, place)} the score of {title} {word} most, by {amount(value)}")
        name = lists.NAMES[which][:1].upper() + lists.NAMES[which][1:]
        parts.append(f"{name}: {'; '.join(said) or 'no demonstration moves a score'}.")
    return " ".join(parts) or "The last list has not been taken apart yet."


def table(report: PersonaliseReport) -> pd.DataFrame:
    """One row per candidate, best last rank first, one column per model and demonstration; nats."""
    found = lists.moves(report, lists.leading(report))
    data: dict[str, object] = {
        columns.RANK: [move.after for move in found],
        columns.ITEM: [row.item_id for row in report.candidates],
        columns.TITLE: [row.title for row in report.candidates],
    }
    for which in models(report):
        data |= {f"{which}_D{place}": list(row.effects) for place, row in enumerate(rows_of(report, which), start=1)}
    return pd.DataFrame(data).sort_values([columns.RANK, columns.TITLE, columns.ITEM], ignore_index=True)
