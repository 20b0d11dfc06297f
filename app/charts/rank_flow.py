"""The rank flow: a line per candidate over lists that stand side by side, rank 1 on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from app.charts.frame import BARE, UNFADED, framed, hover, ticks
from app.text import safe_mark
from app.theme import Palette
from core.metrics.ranking import Rank

ROW = 22
"""Pixels of one rank."""


@dataclass(frozen=True)
class FlowLine:
    """One candidate of a rank flow."""

    item_id: str
    title: str
    ranks: Sequence[Rank]
    """Its rank in each list, from left to right."""
    hover: Sequence[str]
    """The hover text at each rank."""
    is_target: bool
    is_selected: bool = False
    row: Rank | None = None
    """Where its title stands beside the last list: candidates with equal scores have one rank, but a row each."""
    before_title: str = ""
    name: str | None = None
    """Name of the trace; none: the item's id."""
    ink: str | None = None
    """Its colour; none: ink for the target and the selected, grey for the others."""
    x: Sequence[float] | None = None
    """Where the lists stand; none: 0, 1, 2 …"""
    axis: str = "x"

    @property
    def strong(self) -> bool:
        """Whether the line stands out: the target, or what is selected."""
        return self.is_target or self.is_selected


def rank_flow(
    lines: Sequence[FlowLine],
    colours: Palette,
    *,
    height: float,
    deepest: Rank,
    titles: dict[str, Any] | None = None,
    title_length: int = 26,
    crowded: bool = False,
    dense: bool = False,
    yaxis: dict[str, Any] | None = None,
    annotations: Sequence[dict[str, Any]] = (),
    **layout: Any,
) -> go.Figure:
    """The figure of `lines` down to the rank `deepest`; the target's is drawn last. `dense`: thin, and in steps.

    Every point carries the candidate's id. `titles` says where titles begin (`x` and its reference, as in an
    annotation); they have at most `title_length` characters, and where it is `crowded` only strong lines have one.
    """
    titled = [line for line in lines if line.row is not None and (line.strong or not crowded)]
    ordered = sorted(lines, key=lambda line: (line.is_target, line.is_selected))
    ranks = {"range": [deepest + 0.7, 0.3], **BARE, "dtick": 5, "tick0": 0, "title": {"text": "place"}}
    return framed(
        [_trace(line, colours, dense) for line in ordered],
        colours,
        height=height,
        yaxis=ranks | (yaxis or {}),
        annotations=[*annotations, *(_title(line, title_length, colours) | (titles or {}) for line in titled)],
        **layout,
    )


def _trace(line: FlowLine, colours: Palette, dense: bool) -> go.Scatter:
    ink = line.ink or (colours.ink if line.strong else colours.neutral_mark)
    thin, large, small = (1.0, 7, 4) if dense else (1.2, 9, 6)
    return go.Scatter(
        name=line.name or line.item_id,
        x=list(range(len(line.ranks)) if line.x is None else line.x),
        y=list(line.ranks),
        xaxis=line.axis,
        mode="lines+markers",
        customdata=[line.item_id] * len(line.ranks),
        line={"width": 2.6 if line.strong else thin, "color": ink, "shape": "hv" if dense else None},
        marker={"size": large if line.strong else small, "symbol": "diamond" if line.is_target else "circle"},
        **hover(line.hover),
        **UNFADED,
    )


def _title(line: FlowLine, length: int, colours: Palette) -> dict[str, Any]:
    title = safe_mark(line.title, length)
    return {
        "xanchor": "left",
        "y": line.row,
        "text": line.before_title + (f"<b>{title}</b>" if line.strong else title),
        "showarrow": False,
        "font": {"size": 12, "color": colours.ink if line.strong else colours.muted},
    }


def list_axis(places: Sequence[float], names: Sequence[str], ends: Sequence[float], **more: Any) -> dict[str, Any]:
    """The x axis of a rank flow: the lists' names above it; `ends` leave room for titles at the right."""
    return {**ticks(places, names), "range": list(ends), "side": "top"} | BARE | more
