"""The score of the target from zero-shot to few-shot, one bar per demonstration."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go

from app.charts.alt_text import extremes
from app.charts.figure_cache import cached_figure
from app.charts.frame import UNFADED, framed, hover, quiet_line, row_axis, tick_font, whiskers
from app.list_reading import score_parts
from app.text import plain, safe_mark
from app.theme import Palette, amount, blend, colour, nats, number, ordinal, signed, with_interval
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
FIELD_PART, LIFT_PART = "field_part", "lift_part"
LIFT_TONE = 0.5
"""How far the tone of a lift part is on its way from the mark's colour to the paper."""


def order_of(contributions: Contributions, order: BarOrder) -> list[int]:
    """Indices of the demonstrations from top to bottom."""
    indices = list(range(len(contributions.values)))
    return indices if order == "prompt" else sorted(indices, key=lambda index: -abs(contributions.values[index]))


@cached_figure
def figure(
    explanation: Explanation, colours: Palette, *, selected: int | None = None, order: BarOrder = "prompt"
) -> go.Figure:
    """One bar per demonstration from the zero-shot to the few-shot score, and the residual; nats.

    The bar of an own score has two tones: its upper half is the part against the other candidates, and its lower half,
    which begins where that ends, the part on all alike. Each bar's `customdata` is the index of its demonstration;
    `selected` is drawn with an outline.
    """
    contributions = _contributions(explanation)
    indices = order_of(contributions, order)
    sums = list(accumulate((contributions.values[index] for index in indices), initial=contributions.zero_shot))
    rows = len(indices) + 3
    return framed(
        [
            _connectors([*sums, contributions.few_shot], colours),
            _ends(contributions, rows, colours),
            *_tones(explanation, indices, sums[:-1], colours),
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


def _tones(explanation: Explanation, indices: list[int], starts: list[float], colours: Palette) -> list[go.Bar]:
    """Field and lift part of each bar, where an own score is explained; clicks and hovers pass to the whole bar."""
    parts = score_parts(explanation)
    if parts is None:
        return []
    field, lift = ([float(part[index]) for index in indices] for part in parts)
    tones = [_tone(explanation, index, colours) for index in indices]
    turns = [start + value for start, value in zip(starts, field, strict=True)]
    return [
        _half("field part", starts, field, _filled(field, tones, colours), colours, -BAR / 2),
        _half("lift part", turns, lift, _filled(lift, tones, colours, lift_colour), colours, 0.0),
    ]


def _tone(explanation: Explanation, index: int, colours: Palette) -> str | None:
    """Grey for a bar that is noise of the server; None for all others."""
    return colours.neutral_mark if _contributions(explanation).is_noise(index) else None


def _filled(
    values: list[float], tones: list[str | None], colours: Palette, of: Callable[[float, Palette], str] = colour
) -> list[str]:
    """The colour of each bar: its tone, or that of its sign."""
    return [tone or of(value, colours) for value, tone in zip(values, tones, strict=True)]


def lift_colour(value: float, colours: Palette) -> str:
    """The lighter tone of a lift part."""
    return blend(colour(value, colours), colours.paper, LIFT_TONE)


def _half(
    name: str, starts: list[float], values: list[float], fill: list[str], colours: Palette, offset: float
) -> go.Bar:
    return go.Bar(
        name=name,
        orientation="h",
        base=starts,
        x=values,
        y=list(range(1, len(values) + 1)),
        width=BAR / 2,
        offset=offset,
        hoverinfo="skip",
        marker={"color": fill, "pattern": _hatch(values, colours), "line": {"width": 0}},
        **UNFADED,
    )


def _hatch(values: list[float], colours: Palette) -> dict[str, Any]:
    """The pattern of bars that lower, so that the sign shows without colour."""
    shapes = ["/" if value < 0 else "" for value in values]
    return {"shape": shapes, "size": 5, "solidity": 0.25, "fgcolor": colours.paper, "fillmode": "overlay"}


def _bars(
    explanation: Explanation, indices: list[int], starts: list[float], colours: Palette, selected: int | None
) -> go.Bar:
    contributions = _contributions(explanation)
    values = [contributions.values[index] for index in indices]
    spread = None
    if contributions.low is not None and contributions.high is not None:
        low, high = ([ends[index] for index in indices] for ends in (contributions.low, contributions.high))
        spread = whiskers(values, low, high, colours.ink, thickness=1.2)
    whole = score_parts(explanation) is None
    tones = [_tone(explanation, index, colours) for index in indices]
    return go.Bar(
        name="contribution",
        orientation="h",
        base=starts,
        x=values,
        y=list(range(1, len(indices) + 1)),
        width=BAR,
        offset=-BAR / 2,
        customdata=indices,
        error_x=spread,
        marker={
            "color": _filled(values, tones, colours) if whole else "rgba(0,0,0,0)",
            "pattern": _hatch(values if whole else [], colours),
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
    noise = "<br>noise of the server" if contributions.is_noise(index) else ""
    return f"{row.label} · {safe_mark(row.title, 60)}{answer}<br>contribution {value}{spread}{noise}" + _split(
        explanation, index
    )


def _split(explanation: Explanation, index: int) -> str:
    """Both parts of the contribution to an own score, for a hover text."""
    parts = score_parts(explanation)
    if parts is None:
        return ""
    field, lift = (signed(float(part[index])) for part in parts)
    return f"<br>of it {field} against the other candidates, {lift} on all alike"


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
        offset=-BAR / 2,
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
            "range": _reach(explanation, indices, sums),
            "title": {"text": f"{_explained(contributions)} (nats){_halves(explanation)}"},
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


def _halves(explanation: Explanation) -> str:
    """What the two tones of a bar are, behind what the axis measures."""
    return "" if score_parts(explanation) is None else "; upper half: against the others, lower half: on all alike"


def _reach(explanation: Explanation, indices: list[int], sums: list[float]) -> list[float]:
    """Both ends of the score axis: every bar, every part, every interval, and a little air."""
    contributions, parts = _contributions(explanation), score_parts(explanation)
    ends = [contributions.few_shot, contributions.few_shot - contributions.residual, *sums]
    for side in (contributions.low, contributions.high) if contributions.low and contributions.high else ():
        ends += [start + side[index] for index, start in zip(indices, sums[:-1], strict=True)]
    ends += [start + parts[0][index] for index, start in zip(indices, sums[:-1], strict=True)] if parts else []
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
    """The chart as a table: the same numbers, one row per bar, in prompt order; nats.

    A contribution to an own score stands there with its two parts.
    """
    contributions, parts = _contributions(explanation), score_parts(explanation)
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
                columns.WITHIN_NOISE: contributions.is_noise(index),
                **({} if parts is None else {FIELD_PART: float(parts[0][index]), LIFT_PART: float(parts[1][index])}),
            }
        )
    rows.append({columns.DEMO: "residual", columns.CONTRIBUTION: contributions.residual})
    rows.append({columns.DEMO: "few-shot", columns.SCORE: contributions.few_shot})
    tones = [] if parts is None else [FIELD_PART, LIFT_PART]
    tones += [] if contributions.within_noise is None else [columns.WITHIN_NOISE]
    names = [columns.DEMO, columns.TITLE, columns.CONTRIBUTION, columns.LOW, columns.HIGH, *tones, columns.SCORE]
    return pd.DataFrame(rows, columns=names)


def place(explanation: Explanation, index: int) -> str:
    """Where a demonstration stands by size, for a label: `largest of 8`."""
    order = order_of(_contributions(explanation), "size")
    return f"{ordinal(order.index(index) + 1)} largest of {len(order)}"
