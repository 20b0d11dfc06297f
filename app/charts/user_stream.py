"""The user's stream of interactions: those known before the play, those played, and those added by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Literal

import pandas as pd
import plotly.graph_objects as go

from app.charts.figure_cache import cached_figure
from app.charts.frame import BARE, UNFADED, framed, hover, legend, tick_font, ticks, upright
from app.text import counted, plain, safe_mark
from app.theme import Palette
from core import columns
from core.data.strategies import STRATEGIES
from core.personal.personalise_task import PersonaliseReport

MarkState = Literal["known", "played", "added", "later"]
NAMES: dict[MarkState, str] = {
    "known": "known before the play",
    "played": "played",
    "added": "added by hand",
    "later": "not known yet",
}
SYMBOLS: dict[MarkState, tuple[str, str]] = {
    "known": ("circle", "circle-open"),
    "played": ("circle", "circle-open"),
    "added": ("square", "square-open"),
    "later": ("x-thin-open", "x-thin-open"),
}
"""Marks of a liked and of a disliked interaction."""
EARLIER, LATER = 30, 5
"""Most interactions drawn before the first and after the last that is played."""
HEIGHT = 190
TICKS = 6


@dataclass(frozen=True)
class RatedTitle:
    """One interaction of the user, as the data have it."""

    position: int
    title: str
    liked: bool
    timestamp: float | None


@dataclass(frozen=True)
class Mark:
    """One interaction in the timeline."""

    title: str
    liked: bool
    state: MarkState
    timestamp: float | None
    position: int | None = None
    step: int | None = None
    """The step at which it is played."""
    demo: str | None = None
    """Its label as a demonstration of the last list."""


def marks(report: PersonaliseReport, history: Sequence[RatedTitle], until: int) -> list[Mark]:
    """The user's stream in time order, then what was added by hand.

    `history` may be empty; then only what was played is there. `until` is how many of it are known before anything
    is played.
    """
    played = {row.position: row for row in report.stream if row.kind == "stream" and row.position is not None}
    until = max(played) + 1 if played else until
    demos = report.stream[-1].demo_ids if report.stream else ()
    user, labels = report.task.case.user, {demo: f"D{place}" for place, demo in enumerate(demos, start=1)}
    titles = {title.position: title for title in history} | {
        at: RatedTitle(at, row.title or "", bool(row.liked), row.timestamp) for at, row in played.items()
    }
    stream = [
        Mark(
            title.title,
            title.liked,
            "played" if at in played else "known" if at < until else "later",
            title.timestamp,
            at,
            played[at].step if at in played else None,
            labels.get(f"{user}:{at}"),
        )
        for at, title in sorted(titles.items())
    ]
    added = [row for row in report.stream if row.kind == "added"]
    return stream + [
        Mark(row.title or "", bool(row.liked), "added", row.timestamp, None, row.step, labels.get(f"added-{n}"))
        for n, row in enumerate(added, start=1)
    ]


def drawn(stream: Sequence[Mark]) -> list[Mark]:
    """At most `EARLIER` marks before the play and `LATER` not known yet after it, and all of the play between."""
    before = [mark for mark in stream if mark.state == "known"][-EARLIER:]
    played = [mark for mark in stream if mark.state == "played"]
    later = [mark for mark in stream if mark.state == "later"][:LATER]
    return before + played + [mark for mark in stream if mark.state == "added"] + later


@cached_figure
def figure(stream: Sequence[Mark], colours: Palette, *, step: int | None = None) -> go.Figure:
    """One mark per interaction, time to the right, liked above disliked; played ones carry their step.

    The number of its step is the `customdata` of every played or added mark; `step` is marked by a line.
    """
    timeline = drawn(stream)
    places = {state: [place for place, mark in enumerate(timeline) if mark.state == state] for state in NAMES}
    chosen = [place for place, mark in enumerate(timeline) if mark.step is not None and mark.step == step]
    timed = any(mark.timestamp is not None for mark in timeline)
    title = "time (UTC), one place per interaction" if timed else "place in the stream"
    return framed(
        [_trace(timeline, at, state, colours) for state, at in places.items() if at],
        colours,
        height=HEIGHT,
        shapes=[upright(place, colours.neutral_mark, dash="dot") for place in chosen[:1]],
        xaxis={
            **ticks(*_ticks(timeline)),
            **BARE,
            "range": [-0.7, max(len(timeline), 2) - 0.3],
            "title": {"text": title},
        },
        yaxis={
            **ticks([0, 1], ["not liked", "liked"]),
            "range": [-0.55, 1.75],
            "gridcolor": colours.rule,
            "zeroline": False,
            "tickfont": tick_font(colours),
        },
        margin={"t": 30, "b": 40},
        showlegend=True,
        legend=legend(colours),
    )


def _trace(timeline: Sequence[Mark], places: list[int], state: MarkState, colours: Palette) -> go.Scatter:
    chosen = [timeline[place] for place in places]
    strong = state in ("played", "added")
    ink = colours.ink if strong else colours.neutral_mark
    liked, disliked = SYMBOLS[state]
    return go.Scatter(
        name=NAMES[state],
        mode="markers+text" if strong else "markers",
        x=places,
        y=[int(mark.liked) for mark in chosen],
        text=[str(mark.step) for mark in chosen] if strong else None,
        textposition="top center",
        textfont={"size": 12, "color": colours.ink},
        marker={
            "symbol": [liked if mark.liked else disliked for mark in chosen],
            "size": 14 if strong else 9,
            "color": ink,
            "line": {"width": 2 if strong else 1.4, "color": ink},
        },
        customdata=[mark.step for mark in chosen],
        **hover(_hover(mark) for mark in chosen),
        **UNFADED,
    )


def _hover(mark: Mark) -> str:
    at = f", {when(mark.timestamp)}" if mark.timestamp is not None else ""
    label = f"<br>demonstration {mark.demo} of the last list" if mark.demo else ""
    step = f" at step {mark.step}" if mark.step else ""
    answer = "liked" if mark.liked else "not liked"
    return f"{safe_mark(mark.title, 60)}<br>{answer}{at}<br>{NAMES[mark.state]}{step}{label}"


def when(timestamp: float | None, form: str = "%Y-%m-%d %H:%M") -> str:
    """Date and time (UTC); empty for a missing or impossible one."""
    if timestamp is None:
        return ""
    try:
        return format(datetime.fromtimestamp(timestamp, UTC), form)
    except (ValueError, OverflowError, OSError):
        return ""


def _ticks(timeline: Sequence[Mark]) -> tuple[list[int], list[str]]:
    """Places and words of at most `TICKS` ticks: days, or minutes where all is one day; positions without time."""
    count = len(timeline)
    places = sorted({round(n * (count - 1) / (TICKS - 1)) for n in range(TICKS)}) if count else []
    days = {when(mark.timestamp, "%Y-%m-%d") for mark in timeline if mark.timestamp is not None}
    form = "%Y-%m-%d" if len(days) > 1 else "%H:%M"
    texts = {place: text for place in places if (text := _tick(timeline[place], form))}
    starts = dict(next(group) for _, group in groupby(texts.items(), key=lambda tick: tick[1]))
    at, names = list(starts), list(starts.values())
    if len(days) == 1 and names:
        names[0] = f"{next(iter(days))} {names[0]}".strip()
    return at, names


def _tick(mark: Mark, form: str) -> str:
    if mark.timestamp is not None:
        return when(mark.timestamp, form)
    return "by hand" if mark.state == "added" else str(mark.position)


def alt(stream: Sequence[Mark]) -> str:
    """How many are known, which were played and whether they were liked, in words."""
    if not stream:
        return "Nothing of the stream is known yet."
    before = [mark for mark in stream if mark.state == "known"]
    new = [mark for mark in stream if mark.step]
    liked = sum(mark.liked for mark in before)
    text = f"{counted(len(before), 'interaction')} known before the play, {liked} of them liked."
    if not new:
        return f"{text} None is played."
    last = "; ".join(f"{plain(mark.title)} {'liked' if mark.liked else 'not liked'}" for mark in new[-6:])
    by_hand = sum(mark.state == "added" for mark in new)
    hands = f", {by_hand} of them added by hand" if by_hand else ""
    return f"{text} {counted(len(new), 'new one')}{hands}: {last}."


def table(stream: Sequence[Mark]) -> pd.DataFrame:
    """One row per interaction in time order, those added by hand last; time in UTC."""
    return pd.DataFrame(
        {
            columns.POSITION: pd.array([mark.position for mark in stream], dtype="Int64"),
            "time_utc": [when(mark.timestamp, "%Y-%m-%d %H:%M:%S") for mark in stream],
            columns.TITLE: [mark.title for mark in stream],
            "liked": [mark.liked for mark in stream],
            "state": [NAMES[mark.state] for mark in stream],
            "step": pd.array([mark.step for mark in stream], dtype="Int64"),
            columns.DEMO: [mark.demo or "" for mark in stream],
        }
    )


def changes_table(report: PersonaliseReport) -> pd.DataFrame:
    """One row per demonstration that joined the prompt at a step or left it, with why."""
    rows = [
        (
            step.step,
            step.title,
            change,
            row.title,
            row.user_id,
            STRATEGIES[row.source].source,
            "time went on" if row.by_time else "the new interaction",
        )
        for step in report.stream
        for change, rows in (("joined", step.joined), ("left", step.left))
        for row in rows
    ]
    names = ("step", "new_interaction", "change", columns.TITLE, columns.USER, columns.SOURCE, "because_of")
    return pd.DataFrame(rows, columns=names)
