"""What did the user meet, what of it was played, and what was added by hand?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import pandas as pd
import plotly.graph_objects as go

from app.charts.figure_cache import cached_figure
from app.charts.frame import legend
from app.text import plain, safe_mark
from app.theme import Palette, template
from core import columns
from core.personal.personalise_task import PersonaliseReport

State = Literal["known", "played", "added", "later"]
NAMES: dict[State, str] = {
    "known": "known before the play",
    "played": "played",
    "added": "added by hand",
    "later": "not known yet",
}
SYMBOLS: dict[State, tuple[str, str]] = {
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
class Met:
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
    state: State
    timestamp: float | None
    position: int | None = None
    step: int | None = None
    """The step at which it is played."""
    demo: str | None = None
    """Its label as a demonstration of the last list."""


def marks(report: PersonaliseReport, history: Sequence[Met], until: int) -> list[Mark]:
    """The user's stream in time order, then what was added by hand.

    `history` may be empty; then only what was played is there. `until` is how many of it are known before anything
    is played.
    """
    played = {row.position: row for row in report.stream if row.kind == "stream" and row.position is not None}
    until = max(played) + 1 if played else until
    shown = report.stream[-1].demo_ids if report.stream else ()
    labels = {one.rpartition(":")[2]: f"D{place}" for place, one in enumerate(shown, start=1)}
    met = {one.position: one for one in history} | {
        at: Met(at, row.title or "", bool(row.liked), row.timestamp) for at, row in played.items()
    }
    found = [
        Mark(
            one.title,
            one.liked,
            "played" if at in played else "known" if at < until else "later",
            one.timestamp,
            at,
            played[at].step if at in played else None,
            labels.get(str(at)),
        )
        for at, one in sorted(met.items())
    ]
    hands = [row for row in report.stream if row.kind == "added"]
    return found + [
        Mark(row.title or "", bool(row.liked), "added", row.timestamp, None, row.step, labels.get(f"added-{n}"))
        for n, row in enumerate(hands, start=1)
    ]


def drawn(found: Sequence[Mark]) -> list[Mark]:
    """At most `EARLIER` marks before the play and `LATER` not known yet after it, and all of the play between."""
    before = [mark for mark in found if mark.state == "known"][-EARLIER:]
    played = [mark for mark in found if mark.state == "played"]
    later = [mark for mark in found if mark.state == "later"][:LATER]
    return before + played + [mark for mark in found if mark.state == "added"] + later


@cached_figure
def figure(found: Sequence[Mark], colours: Palette, *, step: int | None = None) -> go.Figure:
    """One mark per interaction, time to the right, liked above disliked; played ones carry their step.

    The number of its step is the `customdata` of every played or added mark; `step` is drawn with a ring.
    """
    shown = drawn(found)
    figure = go.Figure(layout={"template": template(colours), "height": HEIGHT})
    for state in NAMES:
        places = [place for place, mark in enumerate(shown) if mark.state == state]
        if places:
            figure.add_trace(_trace(shown, places, state, colours))
    ring = next((place for place, mark in enumerate(shown) if mark.step is not None and mark.step == step), None)
    if ring is not None:
        figure.add_vline(x=ring, line={"color": colours.neutral_mark, "width": 1, "dash": "dot"})
    at, texts = _ticks(shown)
    timed = any(mark.timestamp is not None for mark in shown)
    figure.update_xaxes(
        range=[-0.7, max(len(shown), 2) - 0.3],
        tickmode="array",
        tickvals=at,
        ticktext=texts,
        showgrid=False,
        zeroline=False,
        title_text="time (UTC), one place per interaction" if timed else "place in the stream",
    )
    figure.update_yaxes(
        range=[-0.55, 1.75],
        tickmode="array",
        tickvals=[0, 1],
        ticktext=["not liked", "liked"],
        gridcolor=colours.rule,
        zeroline=False,
        tickfont={"color": colours.ink, "size": 12.5},
    )
    figure.update_layout(margin={"t": 30, "b": 40}, showlegend=True, legend=legend(colours))
    return figure


def _trace(shown: Sequence[Mark], places: list[int], state: State, colours: Palette) -> go.Scatter:
    mine = [shown[place] for place in places]
    strong = state in ("played", "added")
    liked, disliked = SYMBOLS[state]
    return go.Scatter(
        name=NAMES[state],
        mode="markers+text" if strong else "markers",
        x=places,
        y=[int(mark.liked) for mark in mine],
        text=[str(mark.step) for mark in mine] if strong else None,
        textposition="top center",
        textfont={"size": 12, "color": colours.ink},
        marker={
            "symbol": [liked if mark.liked else disliked for mark in mine],
            "size": 14 if strong else 9,
            "color": colours.ink if strong else colours.neutral_mark,
            "line": {"width": 2 if strong else 1.4, "color": colours.ink if strong else colours.neutral_mark},
        },
        customdata=[mark.step for mark in mine],
        hovertext=[_hover(mark) for mark in mine],
        hovertemplate="%{hovertext}<extra></extra>",
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
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


def _ticks(shown: Sequence[Mark]) -> tuple[list[int], list[str]]:
    """Places and words of at most `TICKS` ticks: days, or minutes where all is one day; positions without time."""
    count = len(shown)
    places = sorted({round(n * (count - 1) / (TICKS - 1)) for n in range(TICKS)}) if count else []
    days = {when(mark.timestamp, "%Y-%m-%d") for mark in shown if mark.timestamp is not None}
    form = "%Y-%m-%d" if len(days) > 1 else "%H:%M"
    at: list[int] = []
    texts: list[str] = []
    for place in places:
        text = _tick(shown[place], form)
        if text and (not texts or text != texts[-1]):
            at.append(place)
            texts.append(text)
    if len(days) == 1 and texts:
        texts[0] = f"{next(iter(days))} {texts[0]}".strip()
    return at, texts


def _tick(mark: Mark, form: str) -> str:
    if mark.timestamp is not None:
        return when(mark.timestamp, form)
    return "by hand" if mark.state == "added" else str(mark.position)


def alt(found: Sequence[Mark]) -> str:
    """How many are known, which were played and whether they were liked, in words."""
    if not found:
        return "Nothing of the stream is known yet."
    known = sum(mark.state == "known" for mark in found)
    new = [mark for mark in found if mark.step]
    liked = sum(mark.liked for mark in found if mark.state == "known")
    text = f"{known} interaction{'s' * (known != 1)} known before the play, {liked} of them liked."
    if not new:
        return f"{text} None is played."
    said = "; ".join(f"{plain(mark.title)} {'liked' if mark.liked else 'not liked'}" for mark in new[-6:])
    by_hand = sum(mark.state == "added" for mark in new)
    hands = f", {by_hand} of them added by hand" if by_hand else ""
    return f"{text} {len(new)} new one{'s' * (len(new) != 1)}{hands}: {said}."


def table(found: Sequence[Mark]) -> pd.DataFrame:
    """One row per interaction in time order, those added by hand last; time in UTC."""
    return pd.DataFrame(
        {
            columns.POSITION: pd.array([mark.position for mark in found], dtype="Int64"),
            "time_utc": [when(mark.timestamp, "%Y-%m-%d %H:%M:%S") for mark in found],
            columns.TITLE: [mark.title for mark in found],
            "liked": [mark.liked for mark in found],
            "state": [NAMES[mark.state] for mark in found],
            "step": pd.array([mark.step for mark in found], dtype="Int64"),
            columns.DEMO: [mark.demo or "" for mark in found],
        }
    )
