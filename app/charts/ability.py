"""AUC of the untouched, the plainly tuned and the in-context tuned model over the number of demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from app.charts.figure_cache import cached_figure
from app.charts.frame import framed, hover, legend, level, quiet_line, ticks, whiskers
from app.theme import Palette, between
from core import columns
from core.tuning.evaluation.record import Evaluation, MetricEstimate, WayRow
from core.tuning.evaluation.ways import VARIANT_LABELS, ModelVariant

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

    @property
    def line(self) -> dict[str, Any]:
        """The line as Plotly describes it."""
        return {"dash": self.dash, "width": self.width, "color": self.colour}

    @property
    def marker(self) -> dict[str, Any]:
        """The marks as Plotly describes them."""
        return {"symbol": self.symbol, "size": 9, "color": self.colour, "line": {"width": 1.6, "color": self.colour}}


def stroke(tuned: ModelVariant | None, colours: Palette) -> Stroke:
    """The stroke of a model; None is a classical reference."""
    strokes = {
        "recicl": Stroke("circle", "solid", colours.ink, 2.6),
        "tallrec": Stroke("diamond", "dash", colours.muted, 1.8),
        "base": Stroke("square", "dot", colours.neutral_mark, 1.8),
    }
    return strokes.get(tuned or "", Stroke("x-thin-open", "longdashdot", colours.neutral_mark, 1.2))


def shifts(count: int, apart: float) -> list[float]:
    """How far each of `count` models stands from its place, so that no interval hides another."""
    return [apart * (place - (count - 1) / 2) for place in range(count)]


@cached_figure
def figure(evaluation: Evaluation, colours: Palette) -> go.Figure:
    """AUC with its interval over the number of demonstrations, one line per model, and the best classical reference."""
    models = [(tuned, rows) for tuned in VARIANT_LABELS if (rows := _rows(evaluation, tuned))]
    most = max((row.demos or 0 for row in evaluation.ways), default=0)
    pairs = zip(models, shifts(len(models), APART), strict=True)
    traces = [_model(tuned, rows, shift, colours) for (tuned, rows), shift in pairs]
    if (best := best_reference(evaluation)) is not None:
        x, y = [-0.5, most + 0.5], [best.auc.value] * 2
        traces.append(quiet_line(best.way, x, y, **stroke(None, colours).line))
    demos = sorted({row.demos for row in evaluation.ways if row.demos is not None})
    return auc_figure(
        traces,
        colours,
        xaxis={
            **ticks(demos, [str(count) for count in demos]),
            "title": {"text": "most recent interactions shown as demonstrations"},
            "range": [-0.5, most + 0.5],
            "zeroline": False,
        },
    )


def _model(tuned: ModelVariant, rows: Sequence[WayRow], shift: float, colours: Palette) -> go.Scatter:
    return line(
        VARIANT_LABELS[tuned],
        [(row.demos or 0) + shift for row in rows],
        [row.auc for row in rows],
        stroke(tuned, colours),
        customdata=[row.demos for row in rows],
        **hover(f"{row.way}<br>AUC {value_text(row.auc)}" for row in rows),
    )


def auc_figure(traces: Sequence[go.Scatter], colours: Palette, *, xaxis: dict[str, Any]) -> go.Figure:
    """A figure of AUC with its legend, and the line of chance."""
    return framed(
        traces,
        colours,
        height=HEIGHT,
        shapes=[level(CHANCE, colours.rule, width=1.2)],
        xaxis=xaxis,
        yaxis={"title": {"text": "AUC (0.5 is chance)"}, "zeroline": False},
        showlegend=True,
        legend=legend(colours),
        margin={"t": 56, "b": 44},
    )


def line(
    name: str,
    x: Sequence[float],
    estimates: Sequence[MetricEstimate],
    mark: Stroke,
    *,
    open_marks: bool = False,
    **more: Any,
) -> go.Scatter:
    """Marks with whiskers joined by a line; what is not defined leaves a gap."""
    values = [estimate.value for estimate in estimates]
    symbol = f"{mark.symbol}-open" if open_marks and not mark.symbol.endswith("-open") else mark.symbol
    return go.Scatter(
        name=name,
        mode="lines+markers",
        x=list(x),
        y=values,
        line=mark.line,
        marker=mark.marker | {"symbol": symbol},
        error_y=whiskers(values, *ends(estimates), mark.colour),
        **more,
    )


def ends(estimates: Sequence[MetricEstimate]) -> tuple[list[float | None], list[float | None]]:
    """The low and the high ends of their intervals."""
    return [estimate.low for estimate in estimates], [estimate.high for estimate in estimates]


def value_text(estimate: MetricEstimate) -> str:
    """`0.70 (0.67 to 0.73)`."""
    return between(estimate.value, estimate.low, estimate.high)


def value_columns(name: str, estimates: Sequence[MetricEstimate]) -> dict[str, object]:
    """The columns of a table that hold values and the ends of their intervals."""
    low, high = ends(estimates)
    values = [estimate.value for estimate in estimates]
    return {name: values, f"{name}_{columns.LOW}": low, f"{name}_{columns.HIGH}": high}


def best_reference(evaluation: Evaluation) -> WayRow | None:
    """The classical reference with the highest AUC; None where there is none."""
    references = [row for row in evaluation.ways if row.tuned is None and row.auc.value is not None]
    return max(references, key=lambda row: row.auc.value or 0.0, default=None)


def alt(evaluation: Evaluation) -> str:
    """What demonstrations do to the AUC of each model, and how the best reference stands."""
    parts = [
        _auc_words(VARIANT_LABELS[tuned], rows)
        for tuned in reversed(VARIANT_LABELS)
        if (rows := _rows(evaluation, tuned))
    ]
    if not parts:
        return "No model is evaluated yet."
    best = best_reference(evaluation)
    last = "" if best is None else f" The best classical reference, {best.way}, has {value_text(best.auc)}."
    return f"On {evaluation.interactions:,} test interactions of {evaluation.users} users: {'; '.join(parts)}.{last}"


def _auc_words(name: str, rows: Sequence[WayRow]) -> str:
    first, last = rows[0], rows[-1]
    if first is last:
        return f"{name} has AUC {value_text(first.auc)} with {first.demos}"
    before, after = first.auc.value or 0.0, last.auc.value or 0.0
    word = "goes" if round(before, 2) == round(after, 2) else "rises" if after > before else "falls"
    start, end = (f"{value_text(row.auc)} with {row.demos}" for row in (first, last))
    return f"AUC of {name} {word} from {start} to {end}"


def table(evaluation: Evaluation) -> pd.DataFrame:
    """One row per way, references last: AUC and UAUC with the ends of their intervals."""
    rows = [*(row for row in evaluation.ways if row.tuned), *(row for row in evaluation.ways if not row.tuned)]
    return pd.DataFrame(
        {
            WAY: [row.way for row in rows],
            DEMOS: pd.array([row.demos for row in rows], dtype="Int64"),
            **value_columns(AUC, [row.auc for row in rows]),
            **value_columns(UAUC, [row.uauc for row in rows]),
        }
    )


def _rows(evaluation: Evaluation, tuned: ModelVariant) -> list[WayRow]:
    """The rows of one model, fewest demonstrations first."""
    return sorted((row for row in evaluation.ways if row.tuned == tuned), key=lambda row: row.demos or 0)
