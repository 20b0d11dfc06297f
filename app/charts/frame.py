"""One figure, made at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from app.theme import Palette, template


def framed(traces: Sequence[Any], colours: Palette, *, height: int, **layout: Any) -> go.Figure:
    """The figure of `traces` in our frame; `layout` as Plotly names it (`xaxis`, `shapes`, …).

    Plotly checks whatever is added to a figure later together with what is there: a figure in pieces takes three to
    four times as long, and every click makes its figures anew.
    """
    return go.Figure(data=list(traces), layout={"template": template(colours), "height": height, **layout})


def legend(colours: Palette) -> dict[str, Any]:
    """A legend in one line above the figure, from its left end."""
    return {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"color": colours.ink}}


def whiskers(
    values: Sequence[float | None],
    low: Sequence[float | None],
    high: Sequence[float | None],
    ink: str,
    *,
    thickness: float = 1.3,
    width: float = 4,
) -> dict[str, Any]:
    """The intervals of marks, as `error_x` or `error_y`; no length where a value or an end is missing."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [_apart(value, end) for value, end in zip(values, high, strict=True)],
        "arrayminus": [_apart(end, value) for value, end in zip(values, low, strict=True)],
        "color": ink,
        "thickness": thickness,
        "width": width,
    }


def _apart(lower: float | None, upper: float | None) -> float:
    return 0.0 if lower is None or upper is None else upper - lower


def heading(text: str, x: float, colours: Palette) -> dict[str, Any]:
    """Our own bold words above a panel, as an annotation; `x` is the panel's left end as a share of the width."""
    return {
        "x": x,
        "xref": "paper",
        "xanchor": "left",
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "yshift": 26,
        "text": f"<b>{text}</b>",
        "showarrow": False,
        "font": {"size": 13, "color": colours.ink},
    }


def box(x0: float, x1: float, y0: float, y1: float, colours: Palette) -> dict[str, Any]:
    """The outline of what is selected, as a shape in the axes' units."""
    return {
        "type": "rect",
        "x0": x0,
        "x1": x1,
        "y0": y0,
        "y1": y1,
        "line": {"color": colours.ink, "width": 2},
    }
