"""How do the demonstrations carry the target's score from zero-shot to few-shot?"""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go

from app.charts.figure_cache import cached_figure
from app.charts.frame import framed, whiskers
from app.text import plain, safe_mark
from app.theme import Palette, amount, colour, nats, number, ordinal, signed, with_interval
from core import columns
from core.analysis.explain.explanation import Contributions, Explanation

Order = Literal["prompt", "size"]
ROW = 27
"""Pixels of one bar's row."""
LABEL = 24
"""Characters of a title beside its bar."""


def order_of(contributions: Contributions, order: Order) -> list[int]:
    """Indices of the demonstrations from top to bottom."""
    indices = list(range(len(contributions.values)))
    return indices if order == "prompt" else sorted(indices, key=lambda index: -abs(contributions.values[index]))


@cached_figure
def figure(
    explanation: Explanation, colours: Palette, *, selected: int | None = None, order: Order = "prompt"
) -> go.Figure:
    """One bar per demonstration from the zero-shot to the few-shot score, and the residual; nats.

    Each bar's `customdata` is the index of its demonstration; `selected` is drawn with an outline.
    """
    made = _made(explanation)
    indices = order_of(made, order)
    starts, running = [], made.zero_shot
    for index in indices:
        starts.append(running)
        running += made.values[index]
    rows = len(indices) + 3
    totals = [made.zero_shot, *[start + made.values[i] for start, i in zip(starts, indices, strict=True)]]
    return framed(
        [
            _connectors(totals, made, colours),
            _ends(made, rows, colours),
            _bars(explanation, made, indices, starts, colours, selected),
            _residual(made, running, rows, colours),
        ],
        colours,
        height=ROW * rows + 62,
        **_axes(explanation, made, indices, starts, selected, colours),
    )


def _made(explanation: Explanation) -> Contributions:
    if explanation.contributions is None:
        raise ValueError("a waterfall needs contributions")
    return explanation.contributions


def _bars(
    explanation: Explanation,
    made: Contributions,
    indices: list[int],
    starts: list[float],
    colours: Palette,
    selected: int | None,
) -> go.Bar:
    values = [made.values[index] for index in indices]
    spread = None
    if made.low is not None and made.high is not None:
        low, high = ([ends[index] for index in indices] for ends in (made.low, made.high))
        spread = whiskers(values, low, high, colours.ink, thickness=1.2)
    return go.Bar(
        name="contribution",
        orientation="h",
        base=starts,
        x=values,
        y=list(range(1, len(indices) + 1)),
        width=0.62,
        customdata=indices,
        error_x=spread,
        marker={
            "color": [colour(value, colours) for value in values],
            "pattern": {
                "shape": ["/" if value < 0 else "" for value in values],
                "size": 5,
                "solidity": 0.25,
                "fgcolor": colours.paper,
                "fillmode": "overlay",
            },
            "line": {"width": [2.5 if index == selected else 0 for index in indices], "color": colours.ink},
        },
        hovertext=[_hover(explanation, made, index) for index in indices],
        hovertemplate="%{hovertext}<extra></extra>",
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
    )


def _hover(explanation: Explanation, made: Contributions, index: int) -> str:
    row = explanation.demos[index]
    answer = f" · {row.answer}" if row.answer else ""
    spread = with_interval(made.low[index], made.high[index]) if made.low and made.high else ""
    return f"{row.label} · {safe_mark(row.title, 60)}{answer}<br>contribution {nats(made.values[index])}{spread}"


def _ends(made: Contributions, rows: int, colours: Palette) -> go.Scatter:
    return go.Scatter(
        name="score",
        mode="markers",
        x=[made.zero_shot, made.few_shot],
        y=[0, rows - 1],
        marker={
            "symbol": ["diamond-open", "diamond"],
            "size": 11,
            "color": colours.ink,
            "line": {"width": 2, "color": colours.ink},
        },
        hovertemplate="score %{x:.2f} nats<extra></extra>",
    )


def _residual(made: Contributions, running: float, rows: int, colours: Palette) -> go.Bar:
    return go.Bar(
        name="residual",
        orientation="h",
        base=[running],
        x=[made.residual],
        y=[rows - 2],
        width=0.62,
        marker={"color": "rgba(0,0,0,0)", "line": {"width": 1.5, "color": colours.neutral_mark}},
        hovertemplate=f"interaction between demonstrations<br>{nats(made.residual)}<extra></extra>",
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
    )


def _connectors(totals: list[float], made: Contributions, colours: Palette) -> go.Scatter:
    x: list[float | None] = []
    y: list[float | None] = []
    for row, total in enumerate([*totals, made.few_shot]):
        x += [total, total, None]
        y += [row, row + 1, None]
    return go.Scatter(
        x=x[:-3],
        y=y[:-3],
        mode="lines",
        line={"width": 1, "color": colours.neutral_mark, "dash": "dot"},
        hoverinfo="skip",
        name="running score",
    )


def _axes(
    explanation: Explanation,
    made: Contributions,
    indices: list[int],
    starts: list[float],
    selected: int | None,
    colours: Palette,
) -> dict[str, Any]:
    """Both axes, and the amount of every row at its end."""
    names = [
        "Without demonstrations",
        *[_tick(explanation, index, index == selected) for index in indices],
        "Interaction (residual)",
        "With all of them",
    ]
    amounts = [
        number(made.zero_shot),
        *[signed(made.values[index]) for index in indices],
        signed(made.residual),
        number(made.few_shot),
    ]
    amount_of_row = {
        "x": 1,
        "xref": "paper",
        "xanchor": "right",
        "showarrow": False,
        "font": {"size": 12.5, "color": colours.ink},
    }
    return {
        "yaxis": {
            "tickmode": "array",
            "tickvals": list(range(len(names))),
            "ticktext": names,
            "range": [len(names) - 0.4, -0.6],
            "showgrid": False,
            "zeroline": False,
            "tickfont": {"color": colours.ink, "size": 12.5},
            "ticklabelstandoff": 6,
        },
        "xaxis": {
            "domain": [0, 0.87],
            "range": _reach(made, indices, starts),
            "title": {"text": "score of the target (nats)"},
            "zeroline": False,
            "showgrid": True,
            "nticks": 6,
            "tickformat": "~g",
        },
        "annotations": [amount_of_row | {"y": row, "text": text} for row, text in enumerate(amounts)],
    }


def _reach(made: Contributions, indices: list[int], starts: list[float]) -> list[float]:
    """Both ends of the score axis: every bar, every interval, and a little air."""
    ends = [made.zero_shot, made.few_shot, made.few_shot - made.residual, *starts]
    for index, start in zip(indices, starts, strict=True):
        low, high = (made.low[index], made.high[index]) if made.low and made.high else (0.0, 0.0)
        base = start if made.low else start + made.values[index]
        ends += [start + made.values[index], base + low, base + high]
    air = 0.04 * (max(ends) - min(ends) or 1.0)
    return [min(ends) - air, max(ends) + air]


def _tick(explanation: Explanation, index: int, selected: bool) -> str:
    row = explanation.demos[index]
    text = f"{row.label} {safe_mark(row.title, LABEL)}"
    return f"<b>{text}</b>" if selected else text


def alt(explanation: Explanation) -> str:
    """What the chart shows, in one or two plain sentences."""
    made = _made(explanation)
    total = made.few_shot - made.zero_shot
    ends = f"from {number(made.zero_shot)} to {number(made.few_shot)} nats ({signed(total)})"
    text = f"The demonstrations move the score of {plain(made.target.title)} {ends}."
    for word, index in (("raises", _extreme(made, max)), ("lowers", _extreme(made, min))):
        if index is not None:
            text += f" {explanation.demos[index].label} {word} it most, by {amount(made.values[index])}."
    return f"{text} Residual {nats(made.residual)}."


def _extreme(made: Contributions, pick: object) -> int | None:
    if not made.values:
        return None
    chosen = (max if pick is max else min)(range(len(made.values)), key=lambda index: made.values[index])
    value = made.values[chosen]
    return chosen if (value > 0 if pick is max else value < 0) else None


def table(explanation: Explanation) -> pd.DataFrame:
    """The chart as a table: the same numbers, one row per bar, in prompt order; nats."""
    made = _made(explanation)
    rows: list[dict[str, object]] = [{columns.DEMO: "zero-shot", columns.SCORE: made.zero_shot}]
    for index, value in enumerate(made.values):
        demo = explanation.demos[index]
        rows.append(
            {
                columns.DEMO: demo.label,
                columns.TITLE: demo.title,
                columns.CONTRIBUTION: value,
                columns.LOW: made.low[index] if made.low else None,
                columns.HIGH: made.high[index] if made.high else None,
            }
        )
    rows.append({columns.DEMO: "residual", columns.CONTRIBUTION: made.residual})
    rows.append({columns.DEMO: "few-shot", columns.SCORE: made.few_shot})
    names = [columns.DEMO, columns.TITLE, columns.CONTRIBUTION, columns.LOW, columns.HIGH, columns.SCORE]
    return pd.DataFrame(rows, columns=names)


def place(explanation: Explanation, index: int) -> str:
    """Where a demonstration stands by size, for a label: `largest of 8`."""
    order = order_of(_made(explanation), "size")
    return f"{ordinal(order.index(index) + 1)} largest of {len(order)}"
