"""A candidate's place as demonstrations are taken out one after the other, those first that lift or drop it most."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import plotly.graph_objects as go

from app.charts.figure_cache import cached_figure
from app.charts.frame import UNFADED, framed, hover, legend, level, ticks
from app.list_reading import PlaceWithout
from app.removal_reading import curves_of
from app.sentences import place_words
from app.text import plain
from app.theme import Palette, ordinal
from core import columns
from core.analysis.explain.explanation import Direction, Explanation, ListEffects, PlaceCurve
from core.analysis.explain.flip_words import set_words
from core.metrics.ranking import Rank

WAYS: dict[Direction, str] = {"up": "what lifts it most goes first", "down": "what drops it most goes first"}
SETS = "measured set"
HEIGHT = 400
LEAST = 9
"""Fewest places on the axis."""
BAND = 0.16
"""Opacity of the 90 % band."""


def effects(explanation: Explanation) -> ListEffects:
    """The model of the list; raises `ValueError` where the method models one score alone."""
    if explanation.list_effects is None:
        raise ValueError("places need effects on the whole list")
    return explanation.list_effects


def curves(explanation: Explanation, candidate: int) -> tuple[PlaceCurve, ...]:
    """Towards the first place, and towards the last."""
    seed = 0 if explanation.contributions is None else explanation.contributions.seed
    return curves_of(effects(explanation), candidate, seed)


@cached_figure
def figure(explanation: Explanation, candidate: int, colours: Palette, *, demo: int | None = None) -> go.Figure:
    """x: demonstrations taken out, y: place, the first on top; a line with its 90 % band for each order, a diamond for
    every set that was really measured. The step at which `demo` goes is outlined."""
    both, demos = curves(explanation, candidate), len(explanation.demos)
    inks = {"up": colours.raises, "down": colours.lowers}
    whole = explanation.candidates[candidate].rank
    traces = [
        *(_band(curve, inks[curve.direction]) for curve in both),
        _sets(explanation, candidate, colours),
        *(_line(explanation, curve, candidate, inks[curve.direction], colours, demo) for curve in both),
    ]
    counts = ["0<br>all stand", *map(str, range(1, demos)), f"{demos}<br>none left"]
    return framed(
        traces,
        colours,
        height=HEIGHT,
        xaxis=ticks(range(demos + 1), counts)
        | {"title": {"text": "demonstrations taken out"}, "range": [-0.3, demos + 0.3], "zeroline": False},
        yaxis=_places(explanation, candidate),
        showlegend=True,
        shapes=[] if whole is None else [level(whole, colours.muted, dash="dot")],
        legend=legend(colours),
        margin={"t": 34, "b": 60},
    )


def _places(explanation: Explanation, candidate: int) -> dict[str, object]:
    """The axis of the places that are reached, the best on top; at least `LEAST` of them."""
    ends = [place for curve in curves(explanation, candidate) for place in (*curve.low, *curve.high)]
    ends += [prompt.ranks[candidate] for prompt in effects(explanation).measured]
    best, worst, count = min(ends), max(ends), len(explanation.candidates)
    spare = max(0.0, min(LEAST, count) - 1 - (worst - best)) / 2
    best, worst = max(1.0, best - spare), min(float(count), worst + spare)
    whole = {"dtick": 1} if worst - best <= LEAST else {"dtick": 5, "tick0": 0}
    return {"range": [worst + 0.6, best - 0.6], "title": {"text": "place"}, "zeroline": False, **whole}


def _band(curve: PlaceCurve, ink: str) -> go.Scatter:
    counts = list(range(len(curve.value)))
    red, green, blue = (int(ink[start : start + 2], 16) for start in (1, 3, 5))
    return go.Scatter(
        name=f"90 % band, {WAYS[curve.direction]}",
        mode="lines",
        x=[*counts, *reversed(counts)],
        y=[*curve.high, *reversed(curve.low)],
        fill="toself",
        fillcolor=f"rgba({red},{green},{blue},{BAND})",
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )


def _line(
    explanation: Explanation, curve: PlaceCurve, candidate: int, ink: str, colours: Palette, demo: int | None
) -> go.Scatter:
    chosen = [count > 0 and curve.order[count - 1] == demo for count in range(len(curve.value))]
    return go.Scatter(
        name=WAYS[curve.direction],
        mode="lines+markers",
        x=list(range(len(curve.value))),
        y=list(curve.value),
        customdata=[None, *curve.order],
        line={"color": ink, "width": 2, "dash": "solid" if curve.direction == "up" else "dash"},
        marker={
            "size": [13 if at else 9 for at in chosen],
            "symbol": ["circle" if measured else "circle-open" for measured in curve.measured],
            "color": ink,
            "line": {
                "width": [3 if at else 1.5 for at in chosen],
                "color": [colours.ink if at else ink for at in chosen],
            },
        },
        **hover(_hovers(explanation, curve, candidate)),
        **UNFADED,
    )


def _sets(explanation: Explanation, candidate: int, colours: Palette) -> go.Scatter:
    prompts, demos = effects(explanation).measured, len(explanation.demos)
    places = [prompt.ranks[candidate] for prompt in prompts]
    return go.Scatter(
        name=SETS,
        mode="markers",
        x=[len(prompt.left_out) for prompt in prompts],
        y=places,
        marker={"symbol": "diamond-open", "size": 7, "color": colours.neutral_mark},
        **hover(
            f"{set_words(prompt.left_out, demos)}: {ordinal(place)} (measured)"
            for prompt, place in zip(prompts, places, strict=True)
        ),
    )


def _hovers(explanation: Explanation, curve: PlaceCurve, candidate: int) -> Iterator[str]:
    demos, whole = len(explanation.demos), explanation.candidates[candidate].rank
    for count, place in enumerate(steps(curve)):
        yield f"{set_words(curve.order[:count], demos)}: {place_words(place, whole)}<br>{certainty(place, whole)}"


def steps(curve: PlaceCurve) -> list[PlaceWithout]:
    """The place after each step, from none to all taken out."""
    rows = zip(curve.value, curve.low, curve.high, curve.measured, strict=True)
    return [PlaceWithout(value, low, high, measured) for value, low, high, measured in rows]


def certainty(place: PlaceWithout, whole: Rank | None) -> str:
    """Whether a change of place is more than chance."""
    if place.measured:
        return "really measured, no chance in it"
    return "more than chance" if place.moves(whole) else "no more than chance: the interval holds the place now"


def alt(explanation: Explanation, candidate: int) -> str:
    """Both ends, and where each order leads at most."""
    row, demos = explanation.candidates[candidate], len(explanation.demos)
    both = curves(explanation, candidate)
    ends = f"with all demonstrations {ordinal(row.rank)}, without any {ordinal(both[0].value[-1])}"
    return f"{plain(row.title)}: {ends}. " + " ".join(_furthest(curve, row.rank, demos) for curve in both)


def _furthest(curve: PlaceCurve, whole: Rank | None, demos: int) -> str:
    """Where an order leads at most, by how few demonstrations."""
    places, lifts = steps(curve), curve.direction == "up"
    count = (min if lifts else max)(range(len(places)), key=lambda step: (places[step].value, step if lifts else -step))
    best, verb = places[count], "lifts" if lifts else "drops"
    if count == 0:
        return f"Taking any out {verb} it no further."
    words = set_words(curve.order[:count], demos)
    return f"{words} it is {place_words(best, whole)}, {certainty(best, whole)}: the order that {verb} it most."


def table(explanation: Explanation, candidate: int) -> pd.DataFrame:
    """One row per step of each order, then one per measured set; places of one candidate."""
    demos, whole = len(explanation.demos), explanation.candidates[candidate].rank
    rows = [
        {
            "removal_order": WAYS[curve.direction],
            "removed": count,
            "taken_out": set_words(curve.order[:count], demos),
            "removal_place": place.value,
            f"removal_place_{columns.LOW}": place.low,
            f"removal_place_{columns.HIGH}": place.high,
            "measured": place.measured,
            "certainty": certainty(place, whole),
        }
        for curve in curves(explanation, candidate)
        for count, place in enumerate(steps(curve))
    ]
    return pd.DataFrame(
        [
            *rows,
            *(_set_row(prompt.left_out, prompt.ranks[candidate], demos) for prompt in effects(explanation).measured),
        ]
    )


def _set_row(left_out: tuple[int, ...], place: Rank, demos: int) -> dict[str, object]:
    return {
        "removal_order": SETS,
        "removed": len(left_out),
        "taken_out": set_words(left_out, demos),
        "removal_place": place,
        "measured": True,
        "certainty": certainty(PlaceWithout(place, place, place, measured=True), place),
    }
