"""What the newest interactions did to the demonstrations and to the list, and whether every weight is as it was."""

from __future__ import annotations

import html
import statistics

import streamlit as st

from app.charts import latency, lists, moved
from app.pages.personalise import play_controls as play
from app.text import counted, safe_html
from app.theme import amount, number, ordinal
from app.widgets import failures
from app.widgets.provenance import adapter_words
from app.widgets.report_head import Readout
from core.lm.loading.adapter import is_there
from core.personal.personalise_task import PersonaliseReport, PlayedModel, StepRow, windowed
from core.personal.step_words import change_sentences
from core.personal.target_steps import margin_effects, steps_of, target_index, target_sentence
from core.words import duration

HASH = 12
"""Digits of a hash that stand on the page; the whole is one step away."""


def sentence(report: PersonaliseReport) -> str:
    """What the newest interactions did to the item really chosen next, else to the one that rises most; HTML."""
    if not report.stream:
        return "The first list is being computed."
    played, which = report.stream[-1].step, lists.leading(report)
    if played == 0:
        return "This is the list before any new interaction; none has been played."
    newest = f"After {counted(played, 'new interaction')}"
    target = target_index(report)
    if target is not None:
        title = f"{newest}, {_title(report, target)}, really chosen next,"
        return target_sentence(steps_of(report, which, target), title, candidates=len(report.candidates))
    return _climbs(report, which, newest)


def _climbs(report: PersonaliseReport, which: PlayedModel, newest: str) -> str:
    best = lists.climber(report, which)
    if best is None:
        return f"{newest} no candidate has changed its place."
    return f"{newest} {_title(report, best.index)} rises most, from {ordinal(best.before)} to {ordinal(best.after)}."


def leads(report: PersonaliseReport) -> list[str]:
    """The base model's move, which demonstration did it, which item rises most, what is missing; HTML."""
    which, target = lists.leading(report), target_index(report)
    best = lists.climber(report, which)
    named = target if target is not None else None if best is None else best.index
    sentences = [] if named is None else [_base(report, named), _cause(report, which, named)]
    if target is not None and report.stream and report.stream[-1].step:
        sentences.append("" if best is not None and best.index == target else _climbs(report, which, "In this list"))
    if report.task.case.adapter is None:
        tuned = (
            "choose the shipped adapter under Advanced to see the tuned model."
            if is_there("recicl")
            else f"{play.MISSING} {play.TUNE}"
        )
        sentences.append(f"Only the base model plays: {tuned}")
    return [text for text in sentences if text]


def _base(report: PersonaliseReport, item: int) -> str:
    """What the base model does with the same item; empty where it does not play beside an adapter."""
    if lists.leading(report) == "base" or "base" not in lists.models(report):
        return ""
    title = f"With the base model, {_title(report, item)}"
    return target_sentence(steps_of(report, "base", item), title, candidates=len(report.candidates))


def _cause(report: PersonaliseReport, which: PlayedModel, item: int) -> str:
    """The demonstration that holds an item up most in the last list, with its place without it."""
    strongest = moved.strongest(report, which, item)
    if strongest is None:
        return ""
    place, row = strongest
    answer = f", answered {row.answer}" if row.answer else ""
    user = next((demo.user_id for demo in report.demos if demo.demo_id == row.demo_id), report.task.case.user)
    whose = "" if user == report.task.case.user else f", of user {safe_html(user, 40)}"
    return (
        f"In the last list its margin falls most without <strong>D{place + 1}</strong> "
        f"(<em>{safe_html(row.title, 60)}</em>{answer}{whose}), by {amount(margin_effects(row)[item])}: it is "
        f"{moved.place_without(report, row, item)} (measured)."
    )


def changed(report: PersonaliseReport, row: StepRow) -> str:
    """Which demonstrations joined the prompt at a step, and which left it; HTML."""
    if row.title is None:
        return "Before the play nothing has come or gone."
    sentences = change_sentences(row, report.task.case.user, title=_short, name=_short)
    if any(change.demo_id == row.demo_id for change in row.joined):
        sentences = ["The new interaction joined.", *sentences]
    at = f"Step {row.step}, {_short(row.title)} {'liked' if row.liked else 'not liked'}. "
    return at + (" ".join(sentences) or "No demonstration joined or left.")


def _short(text: str) -> str:
    return safe_html(text, 60)


def reuse(report: PersonaliseReport) -> str:
    """What it costs that demonstrations are picked anew at every step; empty where they are the user's latest."""
    if windowed(report.task.case):
        return ""
    picking = statistics.median(row.picking_seconds for row in report.stream if row.step > 0)
    return (
        f"Picking the demonstrations anew takes {duration(picking)} of a step; behind the first one that changes, the "
        "prompt is run again."
    )


def readouts(report: PersonaliseReport) -> list[Readout]:
    """Steps, time of one, the weights' hash, the model."""
    if not report.stream:
        return []
    which, source = lists.leading(report), report.provenance
    by_hand = sum(row.kind == "added" for row in report.stream)
    played = report.stream[-1].step
    cells = [
        *_target(report, which),
        Readout("Steps played", str(played), f"{played - by_hand} of the stream, {by_hand} by hand"),
    ]
    took, share = report.median_seconds(which), latency.share(report, which)
    if took is not None:
        whole = f"{number(100 * (share or 0.0), 0)} % of one whole pass, which takes {duration(report.full_seconds)}"
        small = whole if share is not None else "one whole pass is timed at the end"
        cells.append(Readout("Median step", duration(took), small))
    if report.weights_before is not None:
        cells.append(_weights(report.weights_before, report.weights_after))
    adapter = f"adapter {safe_html(adapter_words(source.adapter), 40)}" if source.adapter else "no adapter"
    cells.append(Readout("Model", safe_html(source.model_name, 40), adapter))
    return cells


def _target(report: PersonaliseReport, which: PlayedModel) -> list[Readout]:
    """Place and margin of the item really chosen next, before the play and now."""
    target = target_index(report)
    if target is None:
        return []
    steps = steps_of(report, which, target)
    first, last = steps[0], steps[-1]
    before = f"{ordinal(first.place)} before the play, margin {number(first.margin)}"
    small = f"of {len(report.candidates)}, margin over the field {number(last.margin)} nats; {before}"
    return [Readout("Place of the item really chosen next", ordinal(last.place), small)]


def _weights(before: str, after: str | None) -> Readout:
    value = f'<span title="{html.escape(before, quote=True)}">{html.escape(before[:HASH])}</span>'
    return Readout("Weights, SHA-256", value, _verdict(before, after))


def _verdict(before: str, after: str | None) -> str:
    if after is None:
        return "before the play; checked again at its end"
    return "unchanged by the play" if before == after else f"CHANGED to {html.escape(after[:HASH])}"


def weights(report: PersonaliseReport) -> None:
    """The whole hash, to copy."""
    if report.weights_before is None:
        return
    with st.expander("Whole hash of the weights"):
        failures.note(
            "SHA-256 over every weight of the model in memory, the adapter's included, before the first step and after "
            "the last."
        )
        st.code(report.weights_before, language=None, wrap_lines=True)
        if report.weights_after != report.weights_before:
            after = report.weights_after or "checked again after the last step"
            failures.note(f"After the play: {after}.")


def _title(report: PersonaliseReport, index: int) -> str:
    return f"<em>{safe_html(report.candidates[index].title, 60)}</em>"
