"""What the choice of demonstrations of a data set rests on: accuracy over their number, and over tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from app.charts.ability import Stroke, line, shifts, value_columns, value_text
from app.charts.figure_cache import cached_figure
from app.charts.frame import BARE, framed, hover, legend, panel_domains, panel_headings, ticks
from app.theme import Palette
from core.comparison.arm_row import ArmRow, winner
from core.comparison.kept_choice import Choice
from core.data.records import Strategy
from core.data.strategies import STRATEGIES
from core.prompt.families import FAMILIES
from core.words import counted

HEIGHT = 400
GAP = 0.09
NUMBERS = "demonstrations in the prompt"
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x", "pentagon", "star", "hexagram")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
NDCG, GAIN = "ndcg_at_10", "ndcg_gain"
APART = 0.055
"""Shift of one strategy's marks against the next one's, in places, so that no interval hides another."""
ROOM = 0.45
"""Left and right of the first and the last number, in places."""


@dataclass(frozen=True)
class _Curve:
    """The rows of one strategy that differ in their number of demonstrations alone, fewest first."""

    strategy: Strategy
    rows: tuple[ArmRow, ...]
    stroke: Stroke
    shift: float
    """Of its marks over the number of demonstrations."""


@cached_figure
def figure(choice: Choice, colours: Palette) -> go.Figure:
    """NDCG@10 with intervals over the number of demonstrations, a curve per strategy, and over the prompt's tokens.

    Both panels share their y axis. Marks of rows that left the race early are open: they rest on fewer lists.
    """
    curves, numbers, domains = list(_curves(choice, colours)), _numbers(choice), panel_domains(2, GAP)
    traces = [trace for curve in curves for trace in _both(curve, choice, numbers)]
    return framed(
        [*traces, *_bare(choice, numbers, colours), *_chosen(choice, numbers, curves, colours)],
        colours,
        height=HEIGHT,
        annotations=[
            {**each, "yshift": 6} for each in panel_headings(["Number of demonstrations", "Tokens"], domains, colours)
        ],
        xaxis={
            **ticks(range(len(numbers)), [str(number) for number in numbers]),
            "domain": domains[0],
            "range": [-ROOM, len(numbers) - 1 + ROOM],
            "title": {"text": NUMBERS},
            **BARE,
        },
        xaxis2={"domain": domains[1], "title": {"text": "mean tokens of the prompt"}, "rangemode": "tozero", **BARE},
        yaxis={"title": {"text": "NDCG@10"}, "zeroline": False},
        showlegend=True,
        legend=legend(colours, y=-0.22, yanchor="top"),
        margin={"t": 36, "b": 60},
    )


def _curves(choice: Choice, colours: Palette) -> Iterator[_Curve]:
    """The strategies of the chosen family in their own order; that of the best row is drawn strongest."""
    rows = [row for row in _plain_rows(choice) if row.demos]
    strategies = [name for name in STRATEGIES if any(row.strategy == name for row in rows)]
    for strategy, shift in zip(strategies, shifts(len(strategies), APART), strict=True):
        of_strategy = sorted((row for row in rows if row.strategy == strategy), key=lambda row: row.demos)
        yield _Curve(strategy, tuple(of_strategy), _stroke(strategy, choice, colours), shift)


def _stroke(strategy: Strategy, choice: Choice, colours: Palette) -> Stroke:
    """Mark and dash of a strategy, the same in every figure; the chosen one is drawn strongest."""
    turn, symbol = divmod(list(STRATEGIES).index(strategy), len(SYMBOLS))
    best = winner(choice.rows)
    ink, width = (colours.ink, 2.6) if strategy == best.strategy and best.demos else (colours.muted, 1.4)
    return Stroke(SYMBOLS[symbol], DASHES[(turn + symbol) % len(DASHES)], ink, width)


def _plain_rows(choice: Choice) -> list[ArmRow]:
    """The rows of the chosen family and scoring with the order and the choices of each that every strategy has."""
    return [
        row
        for row in choice.rows
        if (row.family, row.scoring, row.order, row.each) == (choice.family, choice.scoring, "nearest_last", 1)
    ]


def _numbers(choice: Choice) -> list[int]:
    """The numbers of demonstrations that were tried, none first."""
    return sorted({0, *(row.demos for row in choice.rows)})


def _both(curve: _Curve, choice: Choice, numbers: Sequence[int]) -> Iterator[go.Scatter]:
    """A curve over the number of demonstrations, and its marks over tokens."""
    name, rows = STRATEGIES[curve.strategy].words, curve.rows
    symbols = [_symbol(curve.stroke, row, choice) for row in rows]
    more: dict[str, Any] = {"legendgroup": curve.strategy, **hover(map(_hover, rows))}
    over_numbers = [numbers.index(row.demos) + curve.shift for row in rows]
    for axis, places in (("x", over_numbers), ("x2", [row.tokens for row in rows])):
        trace = line(name, places, [row.ndcg for row in rows], curve.stroke, xaxis=axis, **more)
        trace.marker.symbol = symbols
        trace.showlegend = axis == "x"
        trace.mode = "lines+markers" if axis == "x" else "markers"
        yield trace


def _symbol(stroke: Stroke, row: ArmRow, choice: Choice) -> str:
    return stroke.symbol if row.lists == choice.lists else f"{stroke.symbol}-open"


def _bare(choice: Choice, numbers: Sequence[int], colours: Palette) -> Iterator[go.Scatter]:
    """The prompt without demonstrations, as a mark at the left end of both panels."""
    rows = [row for row in _plain_rows(choice) if not row.demos]
    stroke = Stroke("line-ew", "solid", colours.neutral_mark, 1.2)
    for axis, places in (("x", [numbers.index(0)]), ("x2", [row.tokens for row in rows])):
        if rows:
            texts = hover(map(_hover, rows))
            trace = line("none", places[: len(rows)], [row.ndcg for row in rows], stroke, xaxis=axis, **texts)
            trace.update(mode="markers", legendgroup="none", showlegend=axis == "x")
            trace.marker.update(size=16, line={"width": 2.4, "color": colours.neutral_mark})
            yield trace


def _chosen(choice: Choice, numbers: Sequence[int], curves: Sequence[_Curve], colours: Palette) -> Iterator[go.Scatter]:
    """A ring around the row that was chosen, in both panels."""
    best = winner(choice.rows)
    shift = next((curve.shift for curve in curves if best.demos and curve.strategy == best.strategy), 0.0)
    ring = {"symbol": "circle-open", "size": 20, "color": colours.raises, "line": {"width": 2.6}}
    for axis, place in (("x", numbers.index(best.demos) + shift), ("x2", best.tokens)):
        yield go.Scatter(
            name="chosen",
            mode="markers",
            x=[place],
            y=[best.ndcg.value],
            xaxis=axis,
            marker=ring,
            legendgroup="chosen",
            showlegend=axis == "x",
            hoverinfo="skip",
        )


def _hover(row: ArmRow) -> str:
    return (
        f"{arm_words(row)}<br>NDCG@10 {value_text(row.ndcg)}<br>over none {value_text(row.gain)}"
        f"<br>{row.tokens:.0f} tokens, {counted(row.lists, 'list')}"
    )


def arm_words(row: ArmRow) -> str:
    """`16 demonstrations, users who liked the same items, nearest first`."""
    if not row.demos:
        return "no demonstrations"
    order = "nearest first" if row.order == "nearest_first" else ""
    several = f"{row.each} of each neighbour" if row.each > 1 else ""
    parts = (counted(row.demos, "demonstration"), STRATEGIES[row.strategy].words, order, several)
    return ", ".join(filter(None, parts))


def alt(choice: Choice) -> str:
    """What was chosen, what none has, and the best number of each strategy."""
    best, rows = winner(choice.rows), _plain_rows(choice)
    bare = next((row for row in rows if not row.demos), None)
    first = (
        f"NDCG@10 on {counted(choice.lists, 'validation list')}. Chosen: {arm_words(best)}, {value_text(best.ndcg)}."
    )
    none = "" if bare is None else f" Without demonstrations {value_text(bare.ndcg)}."
    tops = [
        max(curve, key=lambda row: row.ndcg.value or 0.0)
        for strategy in STRATEGIES
        if (curve := [row for row in rows if row.strategy == strategy and row.demos])
    ]
    each = "; ".join(f"{arm_words(row)}, {value_text(row.ndcg)}, {row.tokens:.0f} tokens" for row in tops)
    return f"{first}{none}{f' Best of each strategy: {each}.' if each else ''}"


def table(choice: Choice) -> pd.DataFrame:
    """Every row that was measured, the best first: NDCG@10, gain over none with the ends of their intervals, tokens."""
    best = winner(choice.rows)
    rows = sorted(choice.rows, key=lambda row: -(row.ndcg.value or 0.0))
    return pd.DataFrame(
        {
            "chosen": [row is best for row in rows],
            "family": [FAMILIES[row.family].words for row in rows],
            "strategy": [STRATEGIES[row.strategy].words if row.demos else "none" for row in rows],
            "demonstrations": [row.demos for row in rows],
            "order": [row.order.replace("_", " ") for row in rows],
            "each": [row.each for row in rows],
            "scoring": [row.scoring for row in rows],
            **value_columns(NDCG, [row.ndcg for row in rows]),
            **value_columns(GAIN, [row.gain for row in rows]),
            "tokens": [row.tokens for row in rows],
            "lists": [row.lists for row in rows],
        }
    )
