"""Charts of the dual form: its residual, where the demonstrations write, and the error of an explicit dual model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go

from app.charts.cells import Grid, click_marks, greys
from app.charts.figure_cache import cached_figure
from app.charts.frame import (
    BARE,
    LAYERS,
    axis_name,
    box,
    colour_bar,
    framed,
    hover,
    legend,
    level,
    panel_domains,
    quiet_line,
    tick_font,
    ticks,
    whiskers,
)
from app.text import plain, safe_mark
from app.theme import Palette, between, number
from core import columns
from core.analysis.dual.dual_task import Descent, DualReport, FeaturePoint
from core.words import power

DualView = Literal["residual", "zero_factor", "norm", "features", "descent"]
"""`residual` and `zero_factor` are layer x head, `norm` demonstrations x layers, `features` the error of the explicit
dual model over the number of features, `descent` gradient descent on it."""

ROW = 27
HEIGHT = 320
PROMISED = 1e-5
"""The largest residual that single precision may leave."""
DECADES = (-9, -4)
"""Powers of ten at the two ends of the residual's colour scale."""
AS_IS = "the head as it is"
FEATURES, ERROR, KIND, STEP, DECAY, LOSS = "features", "relative error", "of", "step", "weight decay", "loss"


@cached_figure
def figure(report: DualReport, view: DualView, colours: Palette, *, head: int | None = None) -> go.Figure:
    """The figure of one view; for `norm`, `head` picks one head where None is the mean over heads.

    Raises `ValueError` where the report does not hold the view (yet).
    """
    return _row(report, view).draw(report, colours, head)


def alt(report: DualReport, view: DualView, *, head: int | None = None) -> str:
    """What a view shows, in words. Raises `ValueError` where the report does not hold it (yet)."""
    return _row(report, view).words(report, head)


def table(report: DualReport, view: DualView, *, head: int | None = None) -> pd.DataFrame:
    """The numbers of a view. Raises `ValueError` where the report does not hold it (yet)."""
    return _row(report, view).table(report, head)


def _row(report: DualReport, view: DualView) -> _ViewRow:
    row = VIEWS[view]
    if not row.needs(report):
        raise ValueError(f"the report holds nothing to show of {view}")
    return row


@dataclass(frozen=True)
class _ViewRow:
    """One view: what it needs of the report, and its figure, words and table, each for a chosen head or None."""

    needs: Callable[[DualReport], Sequence[object]]
    draw: Callable[[DualReport, Palette, int | None], go.Figure]
    words: Callable[[DualReport, int | None], str]
    table: Callable[[DualReport, int | None], pd.DataFrame]


@dataclass(frozen=True)
class _Scale:
    """How a map without a sign turns numbers into shades, pale to dark, and into words."""

    values: Callable[[DualReport], tuple[tuple[float, ...], ...]]
    shade: Callable[[float], float]
    ends: tuple[float, float]
    ticks: dict[float, str]
    title: str
    words: Callable[[float], str]

    def table(self, report: DualReport, _head: int | None) -> pd.DataFrame:
        """One row per layer, one column per head."""
        values = self.values(report)
        heads = {f"{columns.HEAD} {head}": [layer[head] for layer in values] for head in range(len(values[0]))}
        return pd.DataFrame({columns.LAYER: list(range(len(values))), **heads})


def _decade(value: float) -> float:
    """log10; zero counts as the smallest on the scale."""
    return math.log10(value) if value > 0 else float(DECADES[0])


RESIDUAL = _Scale(
    values=lambda report: report.residual,
    shade=_decade,
    ends=DECADES,
    ticks={decade: power(10.0**decade).removeprefix("1.0 · ") for decade in range(DECADES[0], DECADES[1] + 1)},
    title="relative residual",
    words=lambda value: f"relative residual {power(value)}",
)
FACTOR = _Scale(
    values=lambda report: report.zero_factor,
    shade=lambda value: value,
    ends=(0, 1),
    ticks={0: "0", 0.5: "0.5", 1: "1"},
    title="Z_T/Z",
    words=lambda value: f"Z_T/Z is {number(value, 3)}",
)


def _head_map(scale: _Scale, report: DualReport, colours: Palette, _head: int | None) -> go.Figure:
    """Heads (rows) x layers (columns); an invisible marker in every cell carries `[layer, head]`."""
    values = scale.values(report)
    heads = range(len(values[0]))

    def cell(layer: int, head: int) -> tuple[list[int], str]:
        return [layer, head], f"layer {layer}, head {head}<br>{scale.words(values[layer][head])}"

    return _map(
        [[scale.shade(layer[head]) for layer in values] for head in heads],
        cell,
        scale.ends,
        colour_bar(scale.title, scale.ticks, colours, side="right"),
        colours,
        yaxis={"title": {"text": "head"}, "dtick": 1 if len(heads) <= 16 else 4},
        shapes=_ring(report.layer, report.head, colours),
    )


def _demo_map(report: DualReport, colours: Palette, head: int | None) -> go.Figure:
    """Demonstrations (rows, prompt order) x layers (columns); each cell's marker carries the demonstration."""
    z = report.norm_by_layer(head)
    names = [f"{row.label} {safe_mark(row.title, 40)}" for row in report.demos]
    most = max(value for line in z for value in line) or 1.0

    def cell(layer: int, demo: int) -> tuple[int, str]:
        return demo, f"{names[demo]}<br>layer {layer}: length {number(z[demo][layer], 3)}"

    bar = colour_bar("length", {0: "0", most: number(most, 2)}, colours, side="right")
    yaxis = ticks(range(len(z)), [row.label for row in report.demos])
    return _map(z, cell, (0, most), bar, colours, yaxis=yaxis)


def _map(
    z: Grid,
    cell: Callable[[int, int], tuple[Any, str]],
    ends: tuple[float, float],
    bar: dict[str, Any],
    colours: Palette,
    *,
    yaxis: dict[str, Any],
    **layout: Any,
) -> go.Figure:
    """A map in greys over the layers."""
    rows = {"range": [len(z) - 0.5, -0.5], "tickfont": tick_font(colours)} | BARE
    return framed(
        [greys(z, ends, colours, xgap=1, ygap=1, colorbar=bar), click_marks(len(z[0]), len(z), cell, size=ROW - 8)],
        colours,
        height=ROW * max(len(z), 3) + 62,
        xaxis={"title": {"text": LAYERS}, "dtick": 5, "range": [-0.5, len(z[0]) - 0.5]} | BARE,
        yaxis=rows | yaxis,
        **layout,
    )


def _ring(column: int, row: int, colours: Palette) -> list[dict[str, Any]]:
    """A ring around a cell that is seen on pale and on dark ones."""
    ring = box((column - 0.5, column + 0.5), (row - 0.5, row + 0.5), colours)
    return [ring | {"line": {"color": ink, "width": width}} for ink, width in ((colours.paper, 4), (colours.ink, 2))]


def _softened(report: DualReport) -> bool:
    return report.softening is not None and report.softening < 1


def _curves(report: DualReport) -> list[tuple[str, Sequence[FeaturePoint]]]:
    """The errors of the head as it is and, where there is one, of the softened head, by name."""
    softened = (f"the head softened, logits × {number(report.softening, 3)}", report.softened)
    return [(AS_IS, report.curve), *([softened] if _softened(report) else [])]


def _features(report: DualReport, colours: Palette, _head: int | None) -> go.Figure:
    """Relative error over the number of features, both logarithmic; bars hold eight in ten draws of the features."""
    curves, styles = _curves(report), (("solid", "circle", colours.ink), ("dash", "square", colours.muted))
    last = curves[-1][1]
    first = last[0]
    root = quiet_line(
        "falling as 1 / √features",
        [point.features for point in last],
        [first.error * math.sqrt(first.features / point.features) for point in last],
        dash="dot",
        width=1,
        color=colours.neutral_mark,
    )
    counts = [point.features for point in report.curve]
    return framed(
        [*(_errors(*curve, *style) for curve, style in zip(curves, styles, strict=False)), root],
        colours,
        height=HEIGHT,
        xaxis={
            **ticks(counts, [f"{count:,}" for count in counts]),
            "type": "log",
            "title": {"text": "random features"},
        },
        yaxis={"type": "log", "dtick": "D2", "title": {"text": "relative error of W φ(q)"}},
        showlegend=True,
        legend=_legend(colours),
    )


def _errors(name: str, points: Sequence[FeaturePoint], dash: str, symbol: str, ink: str) -> go.Scatter:
    errors, low, high = zip(*((point.error, point.low, point.high) for point in points), strict=True)
    return go.Scatter(
        name=name,
        mode="lines+markers",
        x=[point.features for point in points],
        y=errors,
        error_y=whiskers(errors, low, high, ink, thickness=1.4, width=None),
        line={"dash": dash, "width": 1.8, "color": ink},
        marker={"symbol": symbol, "size": 8, "color": ink},
        customdata=[point.features for point in points],
        **hover(
            f"{name}, {point.features:,} features<br>{between(point.error, point.low, point.high, 3)}"
            for point in points
        ),
    )


def _legend(colours: Palette) -> dict[str, Any]:
    return legend(colours, font={"color": colours.ink, "size": 12})


def _descent(report: DualReport, colours: Palette, _head: int | None) -> go.Figure:
    """Loss and error after each step, without and with weight decay; a dotted line marks where decay leads."""
    left, right = panel_domains(2, 0.12)
    limits = [
        (panel, limit, _ink(descent, colours))
        for descent in report.descents
        for panel, limit in enumerate((descent.limit_loss, descent.limit_error))
        if limit is not None
    ]
    steps = {"title": {"text": "steps of gradient descent"}}
    return framed(
        [_course(descent, panel, _ink(descent, colours)) for descent in report.descents for panel in (0, 1)],
        colours,
        height=HEIGHT,
        showlegend=True,
        legend=_legend(colours),
        shapes=[level(limit, ink, width=1.2, dash="dot", panel=panel) for panel, limit, ink in limits],
        xaxis={"domain": left, "anchor": "y"} | steps,
        xaxis2={"domain": right, "anchor": "y2"} | steps,
        yaxis={"anchor": "x", "title": {"text": "loss (1 is the fall of one plain step)"}},
        yaxis2={"anchor": "x2", "title": {"text": "relative error of W φ(q)"}, "rangemode": "tozero"},
    )


def _ink(descent: Descent, colours: Palette) -> str:
    return colours.muted if descent.weight_decay else colours.ink


def _course(descent: Descent, panel: int, ink: str) -> go.Scatter:
    """One descent in the panel of the loss (0) or of the error (1)."""
    measure, values = ((LOSS, descent.loss), (ERROR, descent.error))[panel]
    dash, symbol = ("dash", "square") if descent.weight_decay else ("solid", "circle")
    name, steps = _decay_name(descent), list(range(len(values)))
    return go.Scatter(
        name=name,
        legendgroup=name,
        showlegend=panel == 0,
        xaxis=axis_name("x", panel),
        yaxis=axis_name("y", panel),
        mode="lines+markers",
        x=steps,
        y=list(values),
        customdata=steps,
        line={"dash": dash, "width": 1.8, "color": ink},
        marker={"symbol": symbol, "size": 6, "color": ink},
        **hover(f"{name}, step {step}<br>{measure} {number(values[step], 3)}" for step in steps),
    )


def _decay_name(descent: Descent) -> str:
    return f"weight decay {number(descent.weight_decay, 2)}" if descent.weight_decay else "no weight decay"


def _residual_alt(report: DualReport, _head: int | None) -> str:
    value, layer, head = max((v, n, h) for n, line in enumerate(report.residual) for h, v in enumerate(line))
    verdict = "every head is exact" if value <= PROMISED else f"that is more than the promised {power(PROMISED)}"
    return (
        f"{_size(report)}. The parts add up to the model's own attention output with a relative residual of "
        f"at most {power(value)} (layer {layer}, head {head}): {verdict}."
    )


def _factor_alt(report: DualReport, _head: int | None) -> str:
    if not report.demos:
        return f"{_size(report)}. There are no demonstrations: W0 is zero-shot attention itself, Z_T/Z is 1."
    cells = [(v, n, h) for n, line in enumerate(report.zero_factor) for h, v in enumerate(line)]
    (low, layer, head), (high, _, _) = min(cells), max(cells)
    return (
        f"{_size(report)}. W0 is zero-shot attention times {number(low, 3)} to {number(high, 3)}; "
        f"the demonstrations hold most in layer {layer}, head {head}. Seen from {_token(report)}."
    )


def _norm_alt(report: DualReport, head: int | None) -> str:
    z = report.norm_by_layer(head)
    value, demo, layer = max((v, d, n) for d, line in enumerate(z) for n, v in enumerate(line))
    of = "mean over heads" if head is None else f"head {head}"
    return (
        f"{len(z)} demonstrations by {len(report.norm)} layers, {of}. Longest: {report.demos[demo].label} in layer "
        f"{layer}, {number(value, 2)}. A length is no contribution: it does not say what the model makes of it."
    )


def _features_alt(report: DualReport, _head: int | None) -> str:
    first, last = report.curve[0], report.curve[-1]
    text = (
        f"Layer {report.layer}, head {report.head}. Relative error of the explicit dual model: "
        f"{number(first.error, 3)} with {first.features:,} features, {number(last.error, 3)} with {last.features:,}"
    )
    if not _softened(report):
        return f"{text}."
    start, end = report.softened[0], report.softened[-1]
    return (
        f"{text}; it would take about e to the power of {number(report.exponent, 0)} features. With the head's logits "
        f"times {number(report.softening, 3)} the error goes from {number(start.error, 3)} to {number(end.error, 3)}."
    )


def _descent_alt(report: DualReport, _head: int | None) -> str:
    plain_descent, decayed = report.descents
    of = "the softened head" if _softened(report) else "the head"
    return (
        f"Gradient descent on {of} with {report.descent_features:,} features. Without weight decay the loss falls "
        f"without end and the error is {_ends(plain_descent)}: one step is the attention output, more steps count the "
        f"demonstrations again. With weight decay {number(decayed.weight_decay, 2)} the error is {_ends(decayed)}, "
        f"and {number(decayed.limit_error, 3)} at the minimum."
    )


def _ends(descent: Descent) -> str:
    error = descent.error
    return f"{number(error[1], 3)} after one step and {number(error[-1], 3)} after {len(error) - 1}"


def _size(report: DualReport) -> str:
    return f"{len(report.residual)} layers by {len(report.residual[0])} heads"


def _token(report: DualReport) -> str:
    token = f"“{plain(report.token)}”" if report.token.strip() else "a space"
    return f"token {report.position}, {token} ({report.place})"


def _features_table(report: DualReport, _head: int | None) -> pd.DataFrame:
    """One row per curve and number of features."""
    rows = [(kind, point) for kind, points in _curves(report) for point in points]
    return pd.DataFrame(
        {
            KIND: [kind for kind, _ in rows],
            FEATURES: [point.features for _, point in rows],
            ERROR: [point.error for _, point in rows],
            columns.LOW: [point.low for _, point in rows],
            columns.HIGH: [point.high for _, point in rows],
        }
    )


def _descent_table(report: DualReport, _head: int | None) -> pd.DataFrame:
    """One row per descent and step, and a last one at the minimum where there is one."""
    rows: list[tuple[float, str, float | None, float | None]] = []
    for descent in report.descents:
        pairs = zip(descent.loss, descent.error, strict=True)
        rows += [(descent.weight_decay, str(step), loss, error) for step, (loss, error) in enumerate(pairs)]
        if descent.limit_error is not None:
            rows.append((descent.weight_decay, "minimum", descent.limit_loss, descent.limit_error))
    return pd.DataFrame(rows, columns=[DECAY, STEP, LOSS, ERROR])


def _norm_table(report: DualReport, head: int | None) -> pd.DataFrame:
    """One row per layer, one column per demonstration."""
    z = report.norm_by_layer(head)
    data: dict[str, object] = {columns.LAYER: list(range(len(report.norm)))}
    return pd.DataFrame(data | {row.label: list(z[place]) for place, row in enumerate(report.demos)})


VIEWS: dict[DualView, _ViewRow] = {
    "residual": _ViewRow(lambda report: report.residual, partial(_head_map, RESIDUAL), _residual_alt, RESIDUAL.table),
    "zero_factor": _ViewRow(lambda report: report.residual, partial(_head_map, FACTOR), _factor_alt, FACTOR.table),
    "norm": _ViewRow(lambda report: report.demos, _demo_map, _norm_alt, _norm_table),
    "features": _ViewRow(lambda report: report.curve, _features, _features_alt, _features_table),
    "descent": _ViewRow(lambda report: report.descents, _descent, _descent_alt, _descent_table),
}
