"""The frame of every figure: size, axes, panels, hover texts, and marks that all charts share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import plotly.graph_objects as go

from app.theme import Palette, template

BARE = {"showgrid": False, "zeroline": False}
"""An axis without lines inside the plot."""
UNFADED = {"selected": {"marker": {"opacity": 1}}, "unselected": {"marker": {"opacity": 1}}}
"""Marks that keep their strength when another one is clicked."""
LAYERS = "layer, from the first (0) to the last"


def framed(traces: Sequence[Any], colours: Palette, *, height: float, **layout: Any) -> go.Figure:
    """The figure of `traces` in our frame; `layout` as Plotly names it (`xaxis`, `shapes`, …).

    Plotly checks whatever is added to a figure later together with what is there: a figure in pieces takes three to
    four times as long, and every click draws its figures anew.
    """
    return go.Figure(data=list(traces), layout={"template": template(colours), "height": height, **layout})


def hover(texts: Iterable[str]) -> dict[str, Any]:
    """The hover texts of a trace, one per mark, without the box that Plotly puts beside them."""
    return {"hovertext": list(texts), "hovertemplate": "%{hovertext}<extra></extra>"}


def ticks(places: Sequence[float], texts: Sequence[str]) -> dict[str, Any]:
    """The ticks of an axis: a text at each place."""
    return {"tickmode": "array", "tickvals": list(places), "ticktext": list(texts)}


def tick_font(colours: Palette) -> dict[str, Any]:
    """The font of ticks that name what is drawn, such as titles."""
    return {"color": colours.ink, "size": 12.5}


def row_axis(names: Sequence[str], colours: Palette, **more: Any) -> dict[str, Any]:
    """A y axis with a name for each row, the first on top."""
    rows = {**ticks(range(len(names)), names), "range": [len(names) - 0.5, -0.5]}
    return rows | BARE | {"tickfont": tick_font(colours)} | more


def column_axis(names: Sequence[str], **more: Any) -> dict[str, Any]:
    """An x axis above the plot with a name for each column."""
    return {**ticks(range(len(names)), names), "range": [-0.5, len(names) - 0.5], "side": "top"} | BARE | more


def panel_domains(count: int, gap: float, *, width: float = 1.0) -> list[list[float]]:
    """Start and end of `count` panels side by side in `width`, `gap` between two; all as shares of the figure."""
    size = (width - gap * (count - 1)) / count
    return [[place * (size + gap), place * (size + gap) + size] for place in range(count)]


def axis_name(letter: str, panel: int) -> str:
    """Plotly's name of a panel's axis: `x`, `x2`, `x3` …"""
    return letter if panel == 0 else f"{letter}{panel + 1}"


def axis_key(letter: str, panel: int) -> str:
    """Plotly's key of that axis in a layout: `xaxis`, `xaxis2` …"""
    return f"{letter}axis{panel + 1 if panel else ''}"


def quiet_line(name: str, x: Sequence[float | None], y: Sequence[float | None], **stroke: Any) -> go.Scatter:
    """A line that is only looked at; `stroke` as Plotly names it (`color`, `width`, `dash`, `shape`)."""
    return go.Scatter(name=name, mode="lines", x=list(x), y=list(y), line=stroke, hoverinfo="skip")


def legend(colours: Palette, **more: Any) -> dict[str, Any]:
    """A legend in one line above the figure, from its left end."""
    return {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"color": colours.ink}} | more


def colour_bar(title: str, texts: dict[float, str], colours: Palette, *, side: str = "top") -> dict[str, Any]:
    """A thin colour bar beside a map; `texts` are its ticks."""
    font = {"color": colours.muted, "size": 12}
    return {
        "thickness": 10,
        "outlinewidth": 0,
        "tickvals": list(texts),
        "ticktext": list(texts.values()),
        "tickfont": font,
        "title": {"text": title, "side": side, "font": font},
    }


def whiskers(
    values: Sequence[float | None],
    low: Sequence[float | None],
    high: Sequence[float | None],
    ink: str,
    *,
    thickness: float = 1.3,
    width: float | None = 4,
) -> dict[str, Any]:
    """The intervals of marks, as `error_x` or `error_y`; no length where a value or an end is missing."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [_distance(value, end) for value, end in zip(values, high, strict=True)],
        "arrayminus": [_distance(end, value) for value, end in zip(values, low, strict=True)],
        "color": ink,
        "thickness": thickness,
        "width": width,
    }


def _distance(lower: float | None, upper: float | None) -> float:
    return 0.0 if lower is None or upper is None else upper - lower


def upright(x: float, ink: str, *, axis: str = "x", **stroke: Any) -> dict[str, Any]:
    """A line from the bottom to the top of the figure, as a shape; `stroke` is its `width` and `dash`."""
    ends = {"xref": axis, "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1}
    return {"type": "line", **ends, "line": {"color": ink, "width": 1, **stroke}}


def level(y: float, ink: str, *, panel: int = 0, **stroke: Any) -> dict[str, Any]:
    """A line from the left to the right end of a panel, as a shape; `stroke` is its `width` and `dash`."""
    ends = {"xref": f"{axis_name('x', panel)} domain", "x0": 0, "x1": 1, "yref": axis_name("y", panel)}
    return {"type": "line", **ends, "y0": y, "y1": y, "line": {"color": ink, "width": 1, **stroke}}


def heading(text: str, x: float, colours: Palette, *, y: float = 1, **more: Any) -> dict[str, Any]:
    """Our own words above a panel, as an annotation; `x` is the panel's left end, `y` its upper one, as shares."""
    place = {"x": x, "xref": "paper", "xanchor": "left", "y": y, "yref": "paper", "yanchor": "bottom"}
    return {**place, "text": text, "showarrow": False, "font": {"size": 13, "color": colours.ink}} | more


def panel_headings(names: Sequence[str], domains: Sequence[Sequence[float]], colours: Palette) -> list[dict[str, Any]]:
    """Bold headings of panels side by side, above ticks that stand at their top."""
    pairs = zip(names, domains, strict=True)
    return [heading(f"<b>{name}</b>", domain[0], colours, yshift=26) for name, domain in pairs]


def box(x: Sequence[float], y: Sequence[float], colours: Palette, *, axis: str = "x") -> dict[str, Any]:
    """The outline of what is selected, as a shape in the axes' units; `x` and `y` are its ends."""
    line = {"color": colours.ink, "width": 2}
    return {"type": "rect", "xref": axis, "x0": x[0], "x1": x[1], "yref": "y", "y0": y[0], "y1": y[1], "line": line}


def row_box(row: int, columns: int, colours: Palette, *, axis: str = "x") -> dict[str, Any]:
    """The outline of a whole row of cells."""
    return box((-0.5, columns - 0.5), (row - 0.5, row + 0.5), colours, axis=axis)
