"""Plain sentences on where the target stands over the variants, and what moves it; needs no torch."""

from __future__ import annotations

from core.analysis.robustness.perturbations import NAMES
from core.analysis.robustness.robustness_task import Estimate, RewritingSource, RobustnessReport, TargetPlaces
from core.analysis.robustness.sensitivity_words import SOURCE_WORDS
from core.words import counted, figure, ordinal, signed


def places_sentence(report: RobustnessReport, target: str) -> str:
    """Between which places the target stands over the variants, and what moves it most; empty before that is known.

    `target` names it at the beginning of the sentence.
    """
    places = report.target_places()
    if places is None:
        return ""
    over = f"{counted(len(report.variants), 'variant')} of the prompt"
    if places.moved == 0:
        return f"{target} stays {ordinal(places.place)} of {places.candidates} in all {over}."
    between = f"is between {ordinal(places.best)} and {ordinal(places.worst)} of {places.candidates} in {over}"
    return f"{target} {between}, {ordinal(places.place)} with the unchanged one. {_moves_most(places)}"


def margin_sentence(report: RobustnessReport) -> str:
    """The target's margin over the field, and its ends over the variants; empty before that is known."""
    places = report.target_places()
    if places is None:
        return ""
    between = f"between {signed(places.lowest)} and {signed(places.highest)} nats in the variants"
    return f"Its margin over the field is {signed(places.margin)} nats with the unchanged prompt, {between}."


def size_sentence(report: RobustnessReport) -> str:
    """How far one variant moves the target, beside other words and other demonstrations where they are measured."""
    places = report.target_places()
    if places is None:
        return ""
    text = f"One variant moves it by {_places(places.size)} on average"
    beside = [f"{_compared(row.apart)} {_do(row.source)}" for row in report.beside]
    return f"{text}: {' and '.join(beside)}." if beside else f"{text}."


def _moves_most(places: TargetPlaces) -> str:
    """Which kind of change moves the target most, called weak where the others may move it as far."""
    top = places.kinds[0]
    size = f"{_places(top.size)} on average"
    if top.apart is None:
        return f"Tried: {NAMES[top.kind]}; it moves by {size}."
    if top.apart.low is not None and top.apart.low > 0:
        return f"It moves most with {NAMES[top.kind]}: {size}."
    return f"It moves most with {NAMES[top.kind]}, {size}, but that is weak: the other kinds may move it as far."


def _do(source: RewritingSource) -> str:
    return f"{SOURCE_WORDS[source]}{' of the prompt' if source == 'wording' else ''} do"


def _compared(apart: Estimate) -> str:
    """`1.2 places more than`, or that the difference may be chance."""
    size = f"{figure(abs(apart.mean), 1)} places"
    if apart.low is not None and apart.low > 0:
        return f"{size} more than"
    if apart.high is not None and apart.high < 0:
        return f"{size} less than"
    return "not surely more or less than"


def _places(size: Estimate) -> str:
    """`2.4 places (90 % 1.1 to 3.0)`."""
    text = f"{figure(size.mean, 1)} places"
    if size.low is None or size.high is None or size.low == size.high:
        return text
    return f"{text} (90 % {figure(size.low, 1)} to {figure(size.high, 1)})"
