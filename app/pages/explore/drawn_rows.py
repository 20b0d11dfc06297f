"""What the table of demonstrations shows in each row: texts, and bars as shares of their box."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.charts.waterfall import lift_colour
from app.list_reading import score_parts, target_without
from app.pages.explore.demo_rows import RowState
from app.sentences import SOURCES
from app.text import capital, isolated, shortened, visible
from app.theme import Palette, nats, ordinal, signed, symmetric, with_interval
from core.analysis.explain.explanation import Contributions, Explanation
from core.analysis.explain.list_estimates import Estimates
from core.analysis.quality.quality_task import QualityReport
from core.question.targets import EXPLAINED
from core.question.task import DemoRow

LONGEST = 300
"""Characters of a title that reach the browser; the row itself shows as many as fit."""


@dataclass(frozen=True)
class Column:
    """One column of the table, as the browser knows it."""

    name: str
    text: str
    help: str = ""
    unseen: bool = False
    """Whether the heading is there for screen readers only."""


KEEP = Column("keep", "keep", "Whether it stays in the prompt.", unseen=True)
DEMO = Column("demo", "no.", "Its place in the prompt.", unseen=True)
TITLE = Column("title", "demonstration", "Its title; below it how it was picked, and what it shows of the candidates.")
ANSWER = Column("answer", "answer", "The answer that the prompt gives for it; press to change it.")
EFFECT = Column("effect", "effect, nats", "Average effect over what else stands in the prompt, with its 90 % interval.")
WITHOUT = Column(
    "without",
    "place without it",
    "Place of the explained candidate when this one alone is taken out: measured, or predicted with its 90 % interval.",
)
QUALITY = Column("quality", "gain", "Gain: the score \u201cQuality\u201d that says how far it raises the target, nats.")
MOVE = Column("move", "move", "To another place in the prompt.", unseen=True)


def columns_of(explanation: Explanation, quality: QualityReport | None, *, labelled: bool) -> list[Column]:
    """The columns of which something is known, from left to right."""
    columns = [KEEP, DEMO, TITLE, *([ANSWER] if labelled else [])]
    columns += [EFFECT] if explanation.contributions is not None else []
    columns += [WITHOUT] if explanation.list_effects is not None else []
    measured = quality is not None and any(row.gain is not None for row in quality.rows)
    return [*columns, *([QUALITY] if measured else []), MOVE]


def drawn_rows(
    explanation: Explanation,
    rows: Sequence[RowState],
    quality: QualityReport | None,
    predicted: Mapping[str, Estimates],
) -> list[dict[str, Any]]:
    """Each row as `table.js` draws it; `predicted` has the effects [1] of rows that a person added, by key."""
    bars = _bars(explanation, predicted.values())
    return [_common(row) | _known(explanation, row, bars, quality, predicted.get(row.key)) for row in rows]


def _known(
    explanation: Explanation,
    row: RowState,
    bars: EffectBars | None,
    quality: QualityReport | None,
    predicted: Estimates | None,
) -> dict[str, Any]:
    """What is known of a row beyond its title and what a person changed."""
    if row.index is not None:
        return _of_result(explanation, row.index, quality) | _effect(bars, row.index)
    return {} if bars is None or predicted is None else _predicted(bars, predicted)


def colours_of(colours: Palette) -> dict[str, str]:
    """Colours of the marks, which the page's style sheet does not have."""
    lighter = {f"{name}-light": lift_colour(sign, colours) for name, sign in (("raises", 1.0), ("lowers", -1.0))}
    return {"raises": colours.raises, "lowers": colours.lowers, "nothing": colours.neutral_mark} | lighter


def _common(row: RowState) -> dict[str, Any]:
    return {
        "key": row.key,
        "label": row.label if row.index is not None else "+",
        "title": isolated(shortened(visible(row.title), LONGEST)),
        "answer": row.answer,
        "flipped": row.flipped,
        "stays": row.stays,
        "added": row.index is None,
        "selectable": row.index is not None,
        "under": "added, not run yet",
        **dict.fromkeys(("effect", "effect_words", "without", "without_note", "quality", "direction"), ""),
        "bar": None,
    }


def _of_result(explanation: Explanation, index: int, quality: QualityReport | None) -> dict[str, Any]:
    demo = explanation.demos[index]
    source = "as logged" if explanation.task.case.imported else SOURCES.get(demo.source, demo.source)
    parts = [shows(demo, explanation), source, f"{demo.tokens} tokens"]
    return {
        "under": " \u00b7 ".join(visible(part) for part in parts if part),
        "quality": _gain(quality, index),
        **_place(explanation, index),
    }


def _gain(quality: QualityReport | None, index: int) -> str:
    row = None if quality is None or index >= len(quality.rows) else quality.rows[index]
    return "" if row is None or row.gain is None else signed(row.gain)


def _place(explanation: Explanation, index: int) -> dict[str, str]:
    place = target_without(explanation, index)
    if place is None:
        return {}
    note = "measured" if place.measured else f"{place.low:g} to {place.high:g}"
    return {"without": ordinal(place.nearest), "without_note": note}


def shows(demo: DemoRow, explanation: Explanation) -> str:
    """Titles of the candidates that a demonstration shows, the true one marked and first."""
    rows = [row for row in explanation.candidates if row.item_id in demo.shows]
    rows.sort(key=lambda row: not row.is_target)
    true = explanation.task.case.truth_mark.removeprefix("really ")
    return "; ".join(f"\u25c6 {true}: {row.title}" if row.is_target else f"\u25c7 {row.title}" for row in rows)


# ---- bars


NO_DIRECTION = {"direction": "nothing"}
"""Of what is noise of the server: it neither raises nor lowers."""


@dataclass(frozen=True)
class EffectBars:
    """Effects and the scale that they share."""

    contributions: Contributions
    bound: float
    """Nats at either end of the box."""
    parts: tuple[tuple[float, ...], tuple[float, ...]] | None
    """Field and lift part, where an own score is explained."""


def _bars(explanation: Explanation, predicted: Iterable[Estimates]) -> EffectBars | None:
    contributions = explanation.contributions
    if contributions is None:
        return None
    parts = score_parts(explanation)
    ends = [
        *contributions.values,
        *(contributions.low or ()),
        *(contributions.high or ()),
        *(parts[0] if parts else ()),
    ]
    ends += [float(end) for row in predicted for side in (row.low, row.high) for end in side]
    tones = None if parts is None else (tuple(parts[0].tolist()), tuple(parts[1].tolist()))
    return EffectBars(contributions, symmetric(ends), tones)


def _effect(bars: EffectBars | None, index: int) -> dict[str, Any]:
    if bars is None:
        return {}
    contributions = bars.contributions
    low, high = (None if ends is None else ends[index] for ends in (contributions.low, contributions.high))
    parts, number = _parts(bars, index), _number(contributions.values[index])
    if contributions.is_noise(index):
        parts, number = [part | NO_DIRECTION for part in parts], number | NO_DIRECTION
    bar = _bar(parts, low, high, bars.bound)
    return number | {"effect_words": _words(bars, index, low, high), "bar": bar}


def _predicted(bars: EffectBars, effect: Estimates) -> dict[str, Any]:
    value, low, high = (float(side[0]) for side in (effect.value, effect.low, effect.high))
    words = f"Predicted from the others, not measured: {nats(value)}{with_interval(low, high)}"
    bar = _bar([_part(0.0, value, "predicted", bars.bound)], low, high, bars.bound)
    return _number(value) | {"effect_words": words, "bar": bar, "under": "added, not run yet; effect predicted"}


def _number(value: float) -> dict[str, str]:
    """The amount as it is written, in the colour of what is written: `0.00` neither raises nor lowers."""
    return {"effect": signed(value), "direction": direction(round(value, 2))}


def _bar(parts: list[dict[str, Any]], low: float | None, high: float | None, bound: float) -> dict[str, Any]:
    ends = {"low": low, "high": high}
    return {"parts": parts} | {name: None if end is None else _share(end, bound) for name, end in ends.items()}


def _words(bars: EffectBars, index: int, low: float | None, high: float | None) -> str:
    contributions = bars.contributions
    name, amount = EXPLAINED[contributions.target.explain].words, nats(contributions.values[index])
    text = f"{capital(name)}: {amount}{with_interval(low, high)}"
    if contributions.is_noise(index):
        text += ", noise of the server"
    if bars.parts is None:
        return text
    field_part, lift_part = (part[index] for part in bars.parts)
    return f"{text}; {signed(field_part)} of it against the other candidates, {signed(lift_part)} on all alike"


def _parts(bars: EffectBars, index: int) -> list[dict[str, Any]]:
    if bars.parts is None:
        return [_part(0.0, bars.contributions.values[index], "whole", bars.bound)]
    field_part = bars.parts[0][index]
    return [
        _part(0.0, field_part, "field", bars.bound),
        _part(field_part, bars.contributions.values[index], "lift", bars.bound),
    ]


def _part(start: float, stop: float, tone: str, bound: float) -> dict[str, Any]:
    places = {"start": _share(start, bound), "stop": _share(stop, bound)}
    return places | {"tone": tone, "direction": direction(stop - start)}


def direction(value: float) -> str:
    """`raises`, `lowers` or, of exactly nothing, `nothing`."""
    return "raises" if value > 0 else "lowers" if value < 0 else "nothing"


def _share(value: float, bound: float) -> float:
    """Where a value stands in its box, in per cent from the left; 50 is nothing."""
    return round(50 + 50 * max(-1.0, min(1.0, value / bound)), 3)
