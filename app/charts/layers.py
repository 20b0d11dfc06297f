"""The layers of the model in which each demonstration acts."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from app.charts.cells import signed_map
from app.charts.figure_cache import cached_figure
from app.charts.frame import BARE, LAYERS, colour_bar, framed, row_axis, row_box
from app.text import safe_mark
from app.theme import Palette, nats, signed, symmetric
from core import columns
from core.analysis.explain.explanation import Explanation

ROW = 27


def parts(explanation: Explanation) -> tuple[tuple[float, ...], ...]:
    """[demo][layer], nats."""
    contributions = explanation.contributions
    if contributions is None or contributions.by_layer is None:
        raise ValueError("a layer map needs a gradient answer")
    return contributions.by_layer


@cached_figure
def figure(explanation: Explanation, colours: Palette, *, selected: int | None = None) -> go.Figure:
    """Demonstrations (rows, prompt order) x layers (columns), nats; each row adds up to its gradient part."""
    z = parts(explanation)
    bound, layers = symmetric(value for line in z for value in line), len(z[0]) if z else 0
    names = [f"{row.label} {safe_mark(row.title, 40)}" for row in explanation.demos]
    ticks = [f"<b>{row.label}</b>" if index == selected else row.label for index, row in enumerate(explanation.demos)]
    bar = colour_bar("nats", {-bound: signed(-bound), 0: "0", bound: signed(bound)}, colours)

    def cell(layer: int, demo: int) -> tuple[int, str]:
        return demo, f"{names[demo]}<br>layer {layer}: gradient part {signed(z[demo][layer], 3)} nats"

    return framed(
        signed_map(z, bound, colours, cell, size=ROW - 6, xgap=1, colorbar=bar),
        colours,
        height=ROW * len(z) + 62,
        xaxis={"title": {"text": LAYERS}, **BARE, "dtick": 5, "range": [-0.5, layers - 0.5]},
        yaxis=row_axis(ticks, colours),
        shapes=[] if selected is None else [row_box(selected, layers, colours)],
    )


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
