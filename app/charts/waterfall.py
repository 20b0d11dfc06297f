"""The score of the target from zero-shot to few-shot, one bar per demonstration."""

from __future__ import annotations

from itertools import accumulate
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go

from app.charts.alt_text import extremes
from app.charts.figure_cache import cached_figure
from app.charts.frame import UNFADED, framed, hover, quiet_line, row_axis, tick_font, whiskers
from app.text import plain, safe_mark
from app.theme import Palette, amount, colour, nats, number, ordinal, signed, with_interval
from core import columns
from core.analysis.explain.explanation import Contributions, Explanation
from core.question.targets import EXPLAINED

BarOrder = Literal["prompt", "size"]
ROW = 27
"""Pixels of one bar's row."""
LABEL = 24
"""Characters of a title beside its bar."""
BAR = 0.62
"""Width of a bar, in rows."""


def order_of(contributions: Contributions, order: BarOrder) -> list[int]:
    """Indices of the demonstrations from top to bottom."""
    indices = list(range(len(contributions.values)))
    return indices if order == "prompt" else sorted(indices, key=lambda index: -abs(contributions.values[index]))


@cached_figure
def figure(
    explanation: Explanation, colours: Palette, *, selected: int | None = None, order: BarOrder = "prompt"
) -> go.Figure:
    """One bar per demonstration from the zero-shot to the few-shot score, and the residual; nats.

    Each bar's `customdata` is the index of its demonstration; `selected` is drawn with an outline.
    """
    contributions = _contributions(explanation)
    indices = order_of(contributions, order)
    sums = list(accumulate((contributions.values[index] for index in indices), initial=contributions.zero_shot))
    rows = len(indices) + 3
    return framed(
        [
            _connectors([*sums, contributions.few_shot], colours),
            _ends(contributions, rows, colours),
            _bars(explanation, indices, sums[:-1], colours, selected),
            _residual(contributions, sums[-1], rows, colours),
        ],
        colours,
        height=ROW * rows + 62,
        **_axes(explanation, indices, sums, selected, colours),
    )


def _contributions(explanation: Explanation) -> Contributions:
    if explanation.contributions is None:
        raise ValueError("a waterfall needs contributions")
    return explanation.contributions


def _bars(
    explanation: Explanation, indices: list[int], starts: list[float], colours: Palette, selected: int | None
) -> go.Bar:
    contributions = _contributions(explanation)
    values = [contributions.values[index] for index in indices]
    spread = None
    if contributions.low is not None and contributions.high is not None:
        low, high = ([ends[index] for index in indices] for ends in (contributions.low, contributions.high))
        spread = whiskers(values, low, high, colours.ink, thickness=1.2)
    return go.Bar(
        name="contribution",
        orientation="h",
        base=starts,
        x=values,
        y=list(range(1, len(indices) + 1)),
        width=BAR,
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
        **hover(_hover(explanation, contributions, index) for index in indices),
        **UNFADED,
    )


def _hover(explanation: Explanation, contributions: Contributions, index: int) -> str:
    row, low, high = explanation.demos[index], contributions.low, contributions.high
    answer = f" · {row.answer}" if row.answer else ""
    spread = with_interval(low[index], high[index]) if low and high else ""
    value = nats(contributions.values[index])
    return f"{row.label} · {safe_mark(row.title, 60)}{answer}<br>contribution {value}{spread}"


def _ends(contributions: Contributions, rows: int, colours: Palette) -> go.Scatter:
    return go.Scatter(
        name="score",
        mode="markers",
        x=[contributions.zero_shot, contributions.few_shot],
        y=[0, rows - 1],
        marker={
            "symbol": ["diamond-open", "diamond"],
            "size": 11,
            "color": colours.ink,
            "line": {"width": 2, "color": colours.ink},
        },
        hovertemplate="score %{x:.2f} nats<extra></extra>",
    )


def _residual(contributions: Contributions, start: float, rows: int, colours: Palette) -> go.Bar:
    return go.Bar(
        name="residual",
        orientation="h",
        base=[start],
        x=[contributions.residual],
        y=[rows - 2],
        width=BAR,
        marker={"color": "rgba(0,0,0,0)", "line": {"width": 1.5, "color": colours.neutral_mark}},
        hovertemplate=f"interaction between demonstrations<br>{nats(contributions.residual)}<extra></extra>",
        **UNFADED,
    )


def _connectors(scores: list[float], colours: Palette) -> go.Scatter:
    """Dotted lines from each row to the next at the score that is reached; the last row has none."""
    x = [place for score in scores[:-1] for place in (score, score, None)]
    y = [place for row in range(len(scores) - 1) for place in (row, row + 1, None)]
    return quiet_line("running score", x, y, width=1, color=colours.neutral_mark, dash="dot")


def _axes(
    explanation: Explanation, indices: list[int], sums: list[float], selected: int | None, colours: Palette
) -> dict[str, Any]:
    """Both axes, and the amount of every row at its end."""
    contributions = _contributions(explanation)
    bars = [(_tick(explanation, index, index == selected), signed(contributions.values[index])) for index in indices]
    rows = [
        ("Without demonstrations", number(contributions.zero_shot)),
        *bars,
        ("Interaction (residual)", signed(contributions.residual)),
        ("With all of them", number(contributions.few_shot)),
    ]
    at_the_end = {"x": 1, "xref": "paper", "xanchor": "right", "showarrow": False, "font": tick_font(colours)}
    names = [name for name, _ in rows]
    return {
        "yaxis": row_axis(names, colours, range=[len(names) - 0.4, -0.6], ticklabelstandoff=6),
        "xaxis": {
            "domain": [0, 0.87],
            "range": _reach(contributions, indices, sums),
            "title": {"text": f"{_explained(contributions)} (nats)"},
            "zeroline": False,
            "showgrid": True,
            "nticks": 6,
            "tickformat": "~g",
        },
        "annotations": [at_the_end | {"y": row, "text": text} for row, (_, text) in enumerate(rows)],
    }


def _explained(contributions: Contributions) -> str:
    """What the axis measures, with the title of the candidate."""
    target = contributions.target
    return f"{EXPLAINED[target.explain].words} of {safe_mark(target.title, LABEL)}"


def _reach(contributions: Contributions, indices: list[int], sums: list[float]) -> list[float]:
    """Both ends of the score axis: every bar, every interval, and a little air."""
    ends = [contributions.few_shot, contributions.few_shot - contributions.residual, *sums]
    for side in (contributions.low, contributions.high) if contributions.low and contributions.high else ():
        ends += [start + side[index] for index, start in zip(indices, sums[:-1], strict=True)]
    air = 0.04 * (max(ends) - min(ends) or 1.0)
    return [min(ends) - air, max(ends) + air]


def _tick(explanation: Explanation, index: int, selected: bool) -> str:
    row = explanation.demos[index]
    text = f"{row.label} {safe_mark(row.title, LABEL)}"
    return f"<b>{text}</b>" if selected else text


def alt(explanation: Explanation) -> str:
    """What the chart shows, in one or two plain sentences."""
    contributions = _contributions(explanation)
    total = contributions.few_shot - contributions.zero_shot
    ends = f"from {number(contributions.zero_shot)} to {number(contributions.few_shot)} nats ({signed(total)})"
    text = f"The demonstrations move the score of {plain(contributions.target.title)} {ends}."
    bars = enumerate(contributions.values)
    for word, (index, value) in extremes(bars, lambda bar: bar[1], ("raises", "lowers")):
        text += f" {explanation.demos[index].label} {word} it most, by {amount(value)}."
    return f"{text} Residual {nats(contributions.residual)}."


def table(explanation: Explanation) -> pd.DataFrame:
    """The chart as a table: the same numbers, one row per bar, in prompt order; nats."""
    contributions = _contributions(explanation)
    rows: list[dict[str, object]] = [{columns.DEMO: "zero-shot", columns.SCORE: contributions.zero_shot}]
    for index, value in enumerate(contributions.values):
        demo = explanation.demos[index]
        rows.append(
            {
                columns.DEMO: demo.label,
                columns.TITLE: demo.title,
                columns.CONTRIBUTION: value,
                columns.LOW: contributions.low[index] if contributions.low else None,
                columns.HIGH: contributions.high[index] if contributions.high else None,
            }
        )
    rows.append({columns.DEMO: "residual", columns.CONTRIBUTION: contributions.residual})
    rows.append({columns.DEMO: "few-shot", columns.SCORE: contributions.few_shot})
    names = [columns.DEMO, columns.TITLE, columns.CONTRIBUTION, columns.LOW, columns.HIGH, columns.SCORE]
    return pd.DataFrame(rows, columns=names)


def place(explanation: Explanation, index: int) -> str:
    """Where a demonstration stands by size, for a label: `largest of 8`."""
    order = order_of(_contributions(explanation), "size")
    return f"{ordinal(order.index(index) + 1)} largest of {len(order)}"
