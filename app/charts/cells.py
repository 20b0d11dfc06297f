"""Maps of cells: their colours, numbers that can be read, and marks that can be clicked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go

from app.charts.frame import hover
from app.text import safe_mark
from app.theme import Palette, diverging, shade, signed, text_on
from core.metrics.ranking import Rank
from core.words import NOTHING

Grid = Sequence[Sequence[float | None]]
"""[line][column]; None is an empty cell."""
CellContent = Callable[[int, int], tuple[Any, str] | None]
"""The data of a click and the hover text of a cell, by column and line; None where there is no cell."""
INKS = ("#000000", "#FFFFFF")


def signed_map(
    z: Grid, bound: float, colours: Palette, cell: CellContent, *, size: int, written: bool = False, **more: Any
) -> list[go.Heatmap | go.Scatter]:
    """Cells on the symmetric scale up to `bound`, their numbers where they are `written`, and marks to click on.

    `cell` and `size` are those of `click_marks`; `more` as Plotly names it for the coloured cells.
    """
    tiles = _tiles(z, (-bound, bound), diverging(colours), zmid=0, **more)
    texts = numbers(z, signed, lambda value: shade(value, bound, colours)) if z and written else []
    return [tiles, *texts, click_marks(len(z[0]) if z else 0, len(z), cell, size=size)]


def greys(z: Grid, ends: tuple[float, float], colours: Palette, **more: Any) -> go.Heatmap:
    """Cells from pale to dark: lengths and shares have no sign, so neither raising nor lowering has a place in them."""
    return _tiles(z, ends, [[0, colours.neutral], [1, colours.ink]], **more)


def _tiles(z: Grid, ends: tuple[float, float], scale: list[list[Any]], **more: Any) -> go.Heatmap:
    """Coloured cells, with a gap between them; a colour bar only where `more` describes it."""
    look = {"xgap": 2, "ygap": 2, "hoverinfo": "skip", "showscale": "colorbar" in more}
    return go.Heatmap(
        z=[list(line) for line in z],
        x=list(range(len(z[0]) if z else 0)),
        y=list(range(len(z))),
        zmin=ends[0],
        zmax=ends[1],
        colorscale=scale,
        **look | more,
    )


def numbers(
    z: Grid, write: Callable[[float], str], ground: Callable[[float], str], *, size: int = 11
) -> list[go.Heatmap]:
    """The cells' numbers in the ink that reads better on `ground`: an invisible map per ink, which holds their text."""
    return [
        go.Heatmap(
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
        for ink in INKS
    ]


def click_marks(columns: int, lines: int, cell: CellContent, *, size: int) -> go.Scatter:
    """An invisible mark of `size` pixels in each cell, because a heat map takes no clicks."""
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


def candidate_name(title: str, rank: Rank | None, *, is_target: bool, is_selected: bool) -> str:
    """The name of a candidate's row: its title and rank, a diamond before the target, bold where it is selected."""
    text = f"{'◆ ' if is_target else ''}{safe_mark(title, 30)}  {NOTHING if rank is None else rank}"
    return f"<b>{text}</b>" if is_selected else text
