"""Maps of cells: their colours, numbers that can be read, and marks that can be clicked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go

from app.charts.frame import hover
from app.theme import Palette, diverging, text_on

Grid = Sequence[Sequence[float | None]]
"""[line][column]; None is an empty cell."""
INKS = ("#000000", "#FFFFFF")


def tiles(
    z: Grid,
    bound: float,
    colours: Palette,
    *,
    name: str | None = None,
    xgap: int = 2,
    bar: dict[str, Any] | None = None,
) -> go.Heatmap:
    """Coloured cells on the symmetric scale up to `bound`; `bar` is their colour bar, if any."""
    return _heatmap(z, (-bound, bound), diverging(colours), name=name, zmid=0, xgap=xgap, bar=bar)


def greys(
    z: Grid, ends: tuple[float, float], colours: Palette, *, gap: int = 2, bar: dict[str, Any] | None = None
) -> go.Heatmap:
    """Cells from pale to dark: lengths and shares have no sign, so neither raising nor lowering has a place in them."""
    return _heatmap(z, ends, [[0, colours.neutral], [1, colours.ink]], xgap=gap, ygap=gap, bar=bar)


def _heatmap(
    z: Grid,
    ends: tuple[float, float],
    scale: list[list[Any]],
    *,
    ygap: int = 2,
    bar: dict[str, Any] | None,
    **more: Any,
) -> go.Heatmap:
    return go.Heatmap(
        z=[list(line) for line in z],
        x=list(range(len(z[0]) if z else 0)),
        y=list(range(len(z))),
        zmin=ends[0],
        zmax=ends[1],
        colorscale=scale,
        ygap=ygap,
        hoverinfo="skip",
        showscale=bar is not None,
        colorbar=bar,
        **more,
    )


def numbers(
    z: Grid, write: Callable[[float], str], ground: Callable[[float], str], *, size: int = 11
) -> list[go.Heatmap]:
    """The cells' numbers, once in each ink where it is the readable one on `ground`: the text of maps not seen."""
    return [_in_ink(z, write, ground, ink, size) for ink in INKS]


def _in_ink(z: Grid, write: Callable[[float], str], ground: Callable[[float], str], ink: str, size: int) -> go.Heatmap:
    return go.Heatmap(
        name=f"numbers in {ink}",
        z=z,
        x=list(range(len(z[0]))),
        y=list(range(len(z))),
        colorscale=[[0, "rgba(0,0,0,0)"], [1, "rgba(0,0,0,0)"]],
        showscale=False,
        hoverinfo="skip",
        text=[
            [write(value) if value is not None and text_on(ground(value)) == ink else "" for value in line]
            for line in z
        ],
        texttemplate="%{text}",
        textfont={"size": size, "color": ink},
    )


def click_marks(
    columns: int, lines: int, cell: Callable[[int, int], tuple[Any, str] | None], *, size: int
) -> go.Scatter:
    """An invisible mark in each cell, because a heat map takes no clicks.

    `cell(column, line)` gives what a click tells and the hover text, or None where there is no cell; `size` in pixels.
    """
    places = [(column, line) for line in range(lines) for column in range(columns)]
    marks = [(*place, *mark) for place in places if (mark := cell(*place)) is not None]
    return go.Scatter(
        name="cells",
        mode="markers",
        x=[column for column, *_ in marks],
        y=[line for _, line, *_ in marks],
        marker={"symbol": "square", "size": size, "opacity": 0},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        customdata=[data for *_, data, _ in marks],
        **hover(text for *_, text in marks),
    )
