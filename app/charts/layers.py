"""In which layers of the model does each demonstration act?"""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from app.charts.cells import targets, tiles
from app.charts.figure_cache import cached_figure
from app.charts.frame import box, framed
from app.text import safe_mark
from app.theme import Palette, nats, signed, symmetric
from core import columns
from core.analysis.explain.explanation import Explanation

ROW = 27


def parts(explanation: Explanation) -> tuple[tuple[float, ...], ...]:
    """[demo][layer], nats."""
    made = explanation.contributions
    if made is None or made.by_layer is None:
        raise ValueError("a layer map needs a gradient answer")
    return made.by_layer


@cached_figure
def figure(explanation: Explanation, colours: Palette, *, selected: int | None = None) -> go.Figure:
    """Demonstrations (rows, prompt order) x layers (columns), nats; each row adds up to its gradient part."""
    z = parts(explanation)
    bound = symmetric(value for line in z for value in line)
    layers, demos = list(range(len(z[0]) if z else 0)), list(range(len(z)))
    cells = [(layer, demo) for demo in demos for layer in layers]
    names = [f"{row.label} {safe_mark(row.title, 40)}" for row in explanation.demos]
    grid = tiles(z, len(layers), bound, colours, xgap=1, bar=_bar(bound, colours))
    hover = [f"{names[d]}<br>layer {layer}: gradient part {signed(z[d][layer], 3)} nats" for layer, d in cells]
    ticks = [f"<b>{row.label}</b>" if index == selected else row.label for index, row in enumerate(explanation.demos)]
    return framed(
        [grid, targets(cells, [demo for _, demo in cells], hover, size=ROW - 6)],
        colours,
        height=ROW * len(z) + 62,
        xaxis={
            "title": {"text": "layer, from the first (0) to the last"},
            "showgrid": False,
            "zeroline": False,
            "dtick": 5,
            "range": [-0.5, len(layers) - 0.5],
        },
        yaxis={
            "tickmode": "array",
            "tickvals": demos,
            "ticktext": ticks,
            "range": [len(z) - 0.5, -0.5],
            "showgrid": False,
            "zeroline": False,
            "tickfont": {"color": colours.ink, "size": 12.5},
        },
        shapes=[] if selected is None else [box(-0.5, len(layers) - 0.5, selected - 0.5, selected + 0.5, colours)],
    )


def _bar(bound: float, colours: Palette) -> dict[str, object]:
    return {
        "thickness": 10,
        "outlinewidth": 0,
        "tickvals": [-bound, 0, bound],
        "ticktext": [signed(-bound), "0", signed(bound)],
        "tickfont": {"color": colours.muted, "size": 12},
        "title": {"text": "nats", "font": {"size": 12, "color": colours.muted}},
    }


def alt(explanation: Explanation) -> str:
    """The strongest layer in words."""
    z = parts(explanation)
    cells = [(abs(value), demo, layer) for demo, line in enumerate(z) for layer, value in enumerate(line)]
    if not cells:
        return "No layers to show."
    _, demo, layer = max(cells)
    strongest = f"{explanation.demos[demo].label} in layer {layer}, {nats(z[demo][layer])}"
    return f"{len(z)} demonstrations by {len(z[0])} layers. Strongest: {strongest}."


def table(explanation: Explanation) -> pd.DataFrame:
    """One row per layer, one column per demonstration; nats."""
    z = parts(explanation)
    data: dict[str, object] = {columns.LAYER: list(range(len(z[0]) if z else 0))}
    return pd.DataFrame(data | {row.label: list(z[index]) for index, row in enumerate(explanation.demos)})
