"""What are more demonstrations worth to the untouched, the plainly tuned and the in-context tuned model?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from app.charts.figure_cache import cached_figure
from app.charts.frame import legend, whiskers
from app.theme import Palette, interval, number, template
from core import columns
from core.tuning.evaluation.record import Evaluation, Measured, WayRow
from core.tuning.evaluation.ways import TUNED, Tuned

HEIGHT = 320
APART = 0.14
"""Shift of one model's marks against the next one's, in demonstrations, so that no interval hides another."""
CHANCE = 0.5
AUC, UAUC, WAY, DEMOS = "auc", "uauc", "way", "demonstrations"


@dataclass(frozen=True)
class Stroke:
    """How one model is drawn: told apart by mark and dash, never by colour alone."""

    symbol: str
    dash: str
    colour: str
    width: float


def stroke(tuned: Tuned | None, colours: Palette) -> Stroke:
    """The stroke of a model; None is a classical reference."""
    if tuned == "recicl":
        return Stroke("circle", "solid", colours.ink, 2.6)
    if tuned == "tallrec":
        return Stroke("diamond", "dash", colours.muted, 1.8)
    if tuned == "base":
        return Stroke("square", "dot", colours.neutral_mark, 1.8)
    return Stroke("x-thin-open", "longdashdot", colours.neutral_mark, 1.2)


@cached_figure
def figure(evaluation: Evaluation, colours: Palette) -> go.Figure:
    """AUC with its interval over the number of demonstrations, a line a model, and the best classical reference."""
    figure = framed(colours)
    shown = [(tuned, rows) for tuned in TUNED if (rows := _rows(evaluation, tuned))]
    for place, (tuned, rows) in enumerate(shown):
        shift = APART * (place - (len(shown) - 1) / 2)
        figure.add_trace(
            line(
                TUNED[tuned],
                [(row.demos or 0) + shift for row in rows],
                [row.auc for row in rows],
                stroke(tuned, colours),
                customdata=[row.demos for row in rows],
                hovertext=[f"{row.way}<br>AUC {said(row.auc)}" for row in rows],
            )
        )
    most = max((row.demos or 0 for row in evaluation.ways), default=0)
    best = best_reference(evaluation)
    if best is not None:
        ends, mark = [-0.5, most + 0.5], stroke(None, colours)
        figure.add_trace(
            go.Scatter(
                name=best.way,
                mode="lines",
                x=ends,
                y=[best.auc.value] * 2,
                line={"dash": mark.dash, "width": mark.width, "color": mark.colour},
                hoverinfo="skip",
            )
        )
    ticks = sorted({row.demos for row in evaluation.ways if row.demos is not None})
    figure.update_xaxes(
        title_text="most recent interactions shown as demonstrations",
        tickvals=ticks,
        ticktext=[str(tick) for tick in ticks],
        range=[-0.5, most + 0.5],
        zeroline=False,
    )
    return figure


def framed(colours: Palette) -> go.Figure:
    """An empty figure of AUC with its legend, and the line of chance."""
    figure = go.Figure(layout={"template": template(colours), "height": HEIGHT})
    figure.add_hline(y=CHANCE, line={"color": colours.rule, "width": 1.2})
    figure.update_yaxes(title_text="AUC (0.5 is chance)", zeroline=False)
    figure.update_layout(showlegend=True, legend=legend(colours), margin={"t": 56, "b": 44})
    return figure


def line(
    name: str,
    x: Sequence[float],
    figures: Sequence[Measured],
    mark: Stroke,
    *,
    open_marks: bool = False,
    **more: Any,
) -> go.Scatter:
    """Marks with whiskers joined by a line; what is not defined leaves a gap."""
    values = [one.value for one in figures]
    symbol = f"{mark.symbol}-open" if open_marks and not mark.symbol.endswith("-open") else mark.symbol
    return go.Scatter(
        name=name,
        mode="lines+markers",
        x=list(x),
        y=values,
        line={"dash": mark.dash, "width": mark.width, "color": mark.colour},
        marker={"symbol": symbol, "size": 9, "color": mark.colour, "line": {"width": 1.6, "color": mark.colour}},
        error_y=whiskers(values, [one.low for one in figures], [one.high for one in figures], mark.colour),
        hovertemplate="%{hovertext}<extra></extra>",
        **more,
    )


def said(figure: Measured) -> str:
    """`0.70 (0.67 to 0.73)`."""
    between = interval(figure.low, figure.high, number)
    return f"{number(figure.value)} ({between})" if between else number(figure.value)


def best_reference(evaluation: Evaluation) -> WayRow | None:
    """The classical reference with the highest AUC; None where there is none."""
    found = [row for row in evaluation.ways if row.tuned is None and row.auc.value is not None]
    return max(found, key=lambda row: row.auc.value or 0.0, default=None)


def alt(evaluation: Evaluation) -> str:
    """What demonstrations do to the AUC of each model, and how the best reference stands."""
    parts = [_told(TUNED[tuned], rows) for tuned in reversed(TUNED) if (rows := _rows(evaluation, tuned))]
    if not parts:
        return "No model is evaluated yet."
    best = best_reference(evaluation)
    last = "" if best is None else f" The best classical reference, {best.way}, has {said(best.auc)}."
    return f"On {evaluation.interactions} test interactions of {evaluation.users} users: {'; '.join(parts)}.{last}"


def _told(name: str, rows: Sequence[WayRow]) -> str:
    first, last = rows[0], rows[-1]
    if first is last:
        return f"{name} has AUC {said(first.auc)} with {first.demos}"
    before, after = first.auc.value or 0.0, last.auc.value or 0.0
    word = "goes" if round(before, 2) == round(after, 2) else "rises" if after > before else "falls"
    return f"AUC of {name} {word} from {said(first.auc)} with {first.demos} to {said(last.auc)} with {last.demos}"


def table(evaluation: Evaluation) -> pd.DataFrame:
    """One row a way, references last: AUC and UAUC with the ends of their intervals."""
    rows = [*(row for row in evaluation.ways if row.tuned), *(row for row in evaluation.ways if not row.tuned)]
    cells: dict[str, object] = {
        WAY: [row.way for row in rows],
        DEMOS: pd.array([row.demos for row in rows], dtype="Int64"),
    }
    for name, figures in ((AUC, [row.auc for row in rows]), (UAUC, [row.uauc for row in rows])):
        cells[name] = [one.value for one in figures]
        cells[f"{name}_{columns.LOW}"] = [one.low for one in figures]
        cells[f"{name}_{columns.HIGH}"] = [one.high for one in figures]
    return pd.DataFrame(cells)


def _rows(evaluation: Evaluation, tuned: Tuned) -> list[WayRow]:
    """The rows of one model, fewest demonstrations first."""
    return sorted((row for row in evaluation.ways if row.tuned == tuned), key=lambda row: row.demos or 0)
