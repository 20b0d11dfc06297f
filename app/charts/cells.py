"""What every map of cells is made of beside its colours: numbers that can be read, and marks that can be clicked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go

from app.theme import Palette, diverging, text_on

Cells = Sequence[Sequence[float | None]]
INKS = ("#000000", "#FFFFFF")


def tiles(
    z: Cells,
    columns: int,
    bound: float,
    colours: Palette,
    *,
    xgap: int = 2,
    name: str | None = None,
    bar: dict[str, object] | None = None,
) -> go.Heatmap:
    """The coloured cells [line, column] on the symmetric scale up to `bound`; `bar` is their colour bar, if any."""
    return go.Heatmap(
        name=name,
        z=[list(line) for line in z],
        x=list(range(columns)),
        y=list(range(len(z))),
        zmin=-bound,
        zmax=bound,
        zmid=0,
        colorscale=diverging(colours),
        xgap=xgap,
        ygap=2,
        hoverinfo="skip",
        showscale=bar is not None,
        colorbar=bar,
    )


def numbers(
    z: Cells, say: Callable[[float], str], ground: Callable[[float], str], *, size: int = 11
) -> list[go.Heatmap]:
    """The cells' numbers, once in each ink where it is the readable one on `ground`: the text of maps not seen."""
    return [_in_ink(z, say, ground, ink, size) for ink in INKS]


def _in_ink(z: Cells, say: Callable[[float], str], ground: Callable[[float], str], ink: str, size: int) -> go.Heatmap:
    return go.Heatmap(
        name=f"numbers in {ink}",
        z=z,
        x=list(range(len(z[0]))),
        y=list(range(len(z))),
        colorscale=[[0, "rgba(0,0,0,0)"], [1, "rgba(0,0,0,0)"]],
        showscale=False,
        hoverinfo="skip",
        text=[
            [say(value) if value is not None and text_on(ground(value)) == ink else "" for value in line] for line in z
        ],
        texttemplate="%{text}",
        textfont={"size": size, "color": ink},
    )


def targets(
    places: Sequence[tuple[int, int]], customdata: Sequence[Any], hovertext: Sequence[str], *, size: int
) -> go.Scatter:
    """An invisible mark at each (column, line), because a heat map takes no clicks; `size` in pixels."""
    return go.Scatter(
        name="cells",
        mode="markers",
        x=[column for column, _ in places],
        y=[line for _, line in places],
        marker={"symbol": "square", "size": size, "opacity": 0},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        customdata=customdata,
        hovertext=hovertext,
        hovertemplate="%{hovertext}<extra></extra>",
    )
