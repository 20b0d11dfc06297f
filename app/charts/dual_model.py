"""Is the dual form exact, where do the demonstrations write, and how far does an explicit dual model come?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.charts.cells import targets
from app.charts.figure_cache import cached_figure
from app.text import plain, safe_mark
from app.theme import Palette, interval, number, template
from core import columns
from core.analysis.dual.dual_task import Descent, DualReport, FeaturePoint

View = Literal["residual", "zero_factor", "norm", "features", "descent"]
"""`residual` and `zero_factor` are layer x head, `norm` demonstrations x layers, `features` the error of the explicit
dual model over the number of features, `descent` gradient descent on it."""

ROW = 27
HEIGHT = 320
PROMISED = 1e-5
"""The largest residual that single precision may leave."""
DECADES = (-9, -4)
"""Powers of ten at the two ends of the residual's colour scale."""
LAYERS = "layer, from the first (0) to the last"
AS_IS = "the head as it is"
FEATURES, ERROR, KIND, STEP, DECAY, LOSS = "features", "relative error", "of", "step", "weight decay", "loss"


@cached_figure
def figure(report: DualReport, view: View, colours: Palette, *, head: int | None = None) -> go.Figure:
    """The figure of one view; for `norm`, `head` picks one head where None is the mean over heads.

    Raises `ValueError` where the report does not hold the view (yet).
    """
    _check(report, view)
    if view == "norm":
        return _demo_map(report, colours, head)
    if view in ("features", "descent"):
        return {"features": _features, "descent": _descent}[view](report, colours)
    return _head_map(report, {"residual": RESIDUAL, "zero_factor": FACTOR}[view], colours)


def alt(report: DualReport, view: View, *, head: int | None = None) -> str:
    """What a view shows, in words. Raises `ValueError` where the report does not hold it (yet)."""
    _check(report, view)
    if view == "norm":
        return _norm_alt(report, head)
    says: dict[str, Callable[[DualReport], str]] = {
        "residual": _residual_alt,
        "zero_factor": _factor_alt,
        "features": _features_alt,
        "descent": _descent_alt,
    }
    return says[view](report)


def table(report: DualReport, view: View, *, head: int | None = None) -> pd.DataFrame:
    """The numbers of a view. Raises `ValueError` where the report does not hold it (yet)."""
    _check(report, view)
    if view == "norm":
        z = report.norm_by_layer(head)
        data: dict[str, object] = {columns.LAYER: list(range(len(report.norm)))}
        return pd.DataFrame(data | {row.label: list(z[place]) for place, row in enumerate(report.demos)})
    if view == "features":
        return _features_table(report)
    if view == "descent":
        return _descent_table(report)
    z = report.residual if view == "residual" else report.zero_factor
    heads = {f"{columns.HEAD} {place}": [layer[place] for layer in z] for place in range(len(z[0]))}
    return pd.DataFrame({columns.LAYER: list(range(len(z))), **heads})


def _check(report: DualReport, view: View) -> None:
    held: dict[View, Sequence[object]] = {"norm": report.demos, "features": report.curve, "descent": report.descents}
    if not held.get(view, report.residual):
        raise ValueError(f"the report holds nothing to show of {view}")


@dataclass(frozen=True)
class _Scale:
    """How a map without a sign turns numbers into shades, pale to dark, and into words."""

    values: Callable[[DualReport], tuple[tuple[float, ...], ...]]
    shade: Callable[[float], float]
    ends: tuple[float, float]
    ticks: tuple[tuple[float, str], ...]
    title: str
    words: Callable[[float], str]


def _decade(value: float) -> float:
    """log10, nothing at all as the smallest on the scale."""
    return math.log10(value) if value > 0 else float(DECADES[0])


RESIDUAL = _Scale(
    values=lambda report: report.residual,
    shade=_decade,
    ends=DECADES,
    ticks=tuple((float(power), f"1e{power}") for power in range(DECADES[0], DECADES[1] + 1)),
    title="residual",
    words=lambda value: f"residual {value:.1e}",
)
FACTOR = _Scale(
    values=lambda report: report.zero_factor,
    shade=lambda value: value,
    ends=(0, 1),
    ticks=((0, "0"), (0.5, "0.5"), (1, "1")),
    title="Z_T / Z",
    words=lambda value: f"Z_T / Z is {number(value, 3)}",
)


def _head_map(report: DualReport, scale: _Scale, colours: Palette) -> go.Figure:
    """Heads (rows) x layers (columns); an invisible marker in every cell carries `[layer, head]`."""
    values = scale.values(report)
    layers, heads = range(len(values)), range(len(values[0]))
    cells = [(layer, head) for head in heads for layer in layers]
    figure = _map(
        [[scale.shade(values[layer][head]) for layer in layers] for head in heads],
        cells,
        [f"layer {layer}, head {head}<br>{scale.words(values[layer][head])}" for layer, head in cells],
        scale.ends,
        _bar(scale.title, scale.ticks, colours),
        colours,
    )
    figure.update_yaxes(title_text="head", dtick=1 if len(heads) <= 16 else 4)
    _outline(figure, (report.layer - 0.5, report.layer + 0.5), (report.head - 0.5, report.head + 0.5), colours)
    return figure


def _demo_map(report: DualReport, colours: Palette, head: int | None) -> go.Figure:
    """Demonstrations (rows, prompt order) x layers (columns); each cell's marker carries the demonstration."""
    z = report.norm_by_layer(head)
    layers, demos = range(len(report.norm)), range(len(z))
    cells = [(layer, demo) for demo in demos for layer in layers]
    names = [f"{row.label} {safe_mark(row.title, 40)}" for row in report.demos]
    most = max(value for line in z for value in line) or 1.0
    figure = _map(
        [list(line) for line in z],
        cells,
        [f"{names[demo]}<br>layer {layer}: length {number(z[demo][layer], 3)}" for layer, demo in cells],
        (0, most),
        _bar("length", ((0, "0"), (most, number(most, 2))), colours),
        colours,
    )
    figure.data[1].customdata = [demo for _, demo in cells]
    figure.update_yaxes(tickmode="array", tickvals=list(demos), ticktext=[row.label for row in report.demos])
    return figure


def _map(
    z: list[list[float]],
    cells: list[tuple[int, int]],
    hover: list[str],
    ends: tuple[float, float],
    bar: dict[str, object],
    colours: Palette,
) -> go.Figure:
    """A map in greys: lengths and shares have no sign, so neither raising nor lowering has a place in it."""
    figure = go.Figure(layout={"template": template(colours), "height": ROW * max(len(z), 3) + 62})
    figure.add_trace(
        go.Heatmap(
            z=z,
            x=list(range(len(z[0]))),
            y=list(range(len(z))),
            zmin=ends[0],
            zmax=ends[1],
            colorscale=[[0, colours.neutral], [1, colours.ink]],
            xgap=1,
            ygap=1,
            hoverinfo="skip",
            colorbar=bar,
        )
    )
    figure.add_trace(targets(cells, [list(cell) for cell in cells], hover, size=ROW - 8))
    quiet = {"showgrid": False, "zeroline": False}
    figure.update_xaxes(**quiet, title_text=LAYERS, dtick=5, range=[-0.5, len(z[0]) - 0.5])
    figure.update_yaxes(**quiet, range=[len(z) - 0.5, -0.5], tickfont={"color": colours.ink, "size": 12.5})
    return figure


def _bar(title: str, ticks: Sequence[tuple[float, str]], colours: Palette) -> dict[str, object]:
    return {
        "thickness": 10,
        "outlinewidth": 0,
        "tickvals": [at for at, _ in ticks],
        "ticktext": [text for _, text in ticks],
        "tickfont": {"color": colours.muted, "size": 12},
        "title": {"text": title, "side": "right", "font": {"size": 12, "color": colours.muted}},
    }


def _outline(figure: go.Figure, x: tuple[float, float], y: tuple[float, float], colours: Palette) -> None:
    """A ring that is seen on pale and on dark cells."""
    for colour, width in ((colours.paper, 4), (colours.ink, 2)):
        figure.add_shape(type="rect", x0=x[0], x1=x[1], y0=y[0], y1=y[1], line={"color": colour, "width": width})


def _draws(point: FeaturePoint) -> str:
    between = interval(point.low, point.high, number)
    return f" ({between})" if between else ""


def _softened(report: DualReport) -> bool:
    return report.softening is not None and report.softening < 1


def _soft_name(report: DualReport) -> str:
    return f"the head softened, logits × {number(report.softening, 3)}"


def _features(report: DualReport, colours: Palette) -> go.Figure:
    """Relative error over the number of features, both logarithmic; bars hold eight in ten draws of the features."""
    figure = go.Figure(layout={"template": template(colours), "height": HEIGHT})
    figure.add_trace(_errors(AS_IS, report.curve, "solid", "circle", colours.ink))
    drawn = report.curve
    if _softened(report):
        figure.add_trace(_errors(_soft_name(report), report.softened, "dash", "square", colours.muted))
        drawn = report.softened
    first = drawn[0]
    figure.add_trace(
        go.Scatter(
            name="1 / root of the features",
            mode="lines",
            x=[point.features for point in drawn],
            y=[first.error * math.sqrt(first.features / point.features) for point in drawn],
            line={"dash": "dot", "width": 1, "color": colours.neutral_mark},
            hoverinfo="skip",
        )
    )
    counts = [point.features for point in report.curve]
    figure.update_xaxes(
        type="log", title_text="random features", tickmode="array", tickvals=counts, ticktext=[f"{m:,}" for m in counts]
    )
    figure.update_yaxes(type="log", dtick="D2", title_text="relative error of W φ(q)")
    figure.update_layout(showlegend=True, legend=_legend(colours))
    return figure


def _errors(name: str, points: Sequence[FeaturePoint], dash: str, symbol: str, ink: str) -> go.Scatter:
    return go.Scatter(
        name=name,
        mode="lines+markers",
        x=[point.features for point in points],
        y=[point.error for point in points],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [point.high - point.error for point in points],
            "arrayminus": [point.error - point.low for point in points],
            "color": ink,
            "thickness": 1.4,
        },
        line={"dash": dash, "width": 1.8, "color": ink},
        marker={"symbol": symbol, "size": 8, "color": ink},
        customdata=[point.features for point in points],
        hovertext=[
            f"{name}, {point.features:,} features<br>{number(point.error, 3)}{_draws(point)}" for point in points
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _legend(colours: Palette) -> dict[str, object]:
    return {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"color": colours.ink, "size": 12}}


def _descent(report: DualReport, colours: Palette) -> go.Figure:
    """Loss and error after each step, without and with weight decay; a dotted line marks where decay leads."""
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.12)
    figure.update_layout(template=template(colours), height=HEIGHT, showlegend=True, legend=_legend(colours))
    for one in report.descents:
        dash, symbol, ink = ("dash", "square", colours.muted) if one.weight_decay else ("solid", "circle", colours.ink)
        style = {"line": {"dash": dash, "width": 1.8, "color": ink}, "marker": {"symbol": symbol, "size": 6}}
        for column, (what, values) in enumerate(((LOSS, one.loss), (ERROR, one.error)), start=1):
            trace = go.Scatter(
                name=_decay_name(one),
                legendgroup=_decay_name(one),
                showlegend=column == 1,
                mode="lines+markers",
                x=list(range(len(values))),
                y=list(values),
                customdata=list(range(len(values))),
                hovertext=[f"{_decay_name(one)}, step {n}<br>{what} {number(v, 3)}" for n, v in enumerate(values)],
                hovertemplate="%{hovertext}<extra></extra>",
                **style,
            )
            trace.marker.color = ink
            figure.add_trace(trace, row=1, col=column)
        for column, limit in enumerate((one.limit_loss, one.limit_error), start=1):
            if limit is not None:
                figure.add_hline(y=limit, line={"dash": "dot", "width": 1.2, "color": ink}, row=1, col=column)
    figure.update_xaxes(title_text="steps of gradient descent")
    figure.update_yaxes(title_text="loss, in falls of one plain step", row=1, col=1)
    figure.update_yaxes(title_text="relative error of W φ(q)", rangemode="tozero", row=1, col=2)
    return figure


def _decay_name(one: Descent) -> str:
    return f"weight decay {number(one.weight_decay, 2)}" if one.weight_decay else "no weight decay"


def _residual_alt(report: DualReport) -> str:
    value, layer, head = max((v, n, h) for n, line in enumerate(report.residual) for h, v in enumerate(line))
    verdict = "every head is exact" if value <= PROMISED else f"that is more than the promised {PROMISED:.0e}"
    return (
        f"{_size(report)}. The parts add up to the model's own attention output with a relative residual of "
        f"at most {value:.1e} (layer {layer}, head {head}): {verdict}."
    )


def _factor_alt(report: DualReport) -> str:
    if not report.demos:
        return f"{_size(report)}. There are no demonstrations: W0 is zero-shot attention itself, Z_T / Z is 1."
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


def _features_alt(report: DualReport) -> str:
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


def _descent_alt(report: DualReport) -> str:
    plain_descent, decayed = report.descents
    of = "the softened head" if _softened(report) else "the head"
    return (
        f"Gradient descent on {of} with {report.descent_features:,} features. Without weight decay the loss falls "
        f"without end and the error is {_ends(plain_descent)}: one step is the attention output, more steps count the "
        f"demonstrations again. With weight decay {number(decayed.weight_decay, 2)} the error is {_ends(decayed)}, "
        f"and {number(decayed.limit_error, 3)} at the minimum."
    )


def _ends(one: Descent) -> str:
    return f"{number(one.error[1], 3)} after one step and {number(one.error[-1], 3)} after {len(one.error) - 1}"


def _size(report: DualReport) -> str:
    return f"{len(report.residual)} layers by {len(report.residual[0])} heads"


def _token(report: DualReport) -> str:
    shown = f"“{plain(report.token)}”" if report.token.strip() else "a space"
    return f"token {report.position}, {shown} ({report.place})"


def _features_table(report: DualReport) -> pd.DataFrame:
    """One row per number of features, for the head as it is and, where there is one, the softened head."""
    kinds = [(AS_IS, report.curve)] + ([(_soft_name(report), report.softened)] if _softened(report) else [])
    rows = [(kind, point) for kind, points in kinds for point in points]
    return pd.DataFrame(
        {
            KIND: [kind for kind, _ in rows],
            FEATURES: [point.features for _, point in rows],
            ERROR: [point.error for _, point in rows],
            columns.LOW: [point.low for _, point in rows],
            columns.HIGH: [point.high for _, point in rows],
        }
    )


def _descent_table(report: DualReport) -> pd.DataFrame:
    """One row per descent and step, and a last one at the minimum where there is one."""
    rows: list[tuple[float, str, float | None, float | None]] = []
    for one in report.descents:
        pairs = zip(one.loss, one.error, strict=True)
        rows += [(one.weight_decay, str(step), loss, error) for step, (loss, error) in enumerate(pairs)]
        if one.limit_error is not None:
            rows.append((one.weight_decay, "minimum", one.limit_loss, one.limit_error))
    return pd.DataFrame(rows, columns=[DECAY, STEP, LOSS, ERROR])
