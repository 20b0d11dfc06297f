"""The better set of demonstrations in words: how it was chosen, what it does to the case, and its adoption."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from app.charts import before_after
from app.charts.search_path import RIVALS, in_unit
from app.text import safe_html
from app.theme import Palette, number, ordinal, signed
from app.widgets import next_steps
from app.widgets.panel import panel, section
from app.widgets.report_head import Readout
from core.selection.confirm import LEVEL
from core.selection.improve_task import ConfirmRow, ImproveReport
from core.selection.verdict import (
    against_chance,
    choice_words,
    compared,
    noise_sentence,
    short_verdict,
    target_beside,
    target_caution,
    target_margin,
    target_move,
    verdict,
)
from core.words import counted


def headline(report: ImproveReport) -> str:
    """Both verdicts: on the choices that sets were judged on, and on the case's own target; HTML."""
    row = next((row for row in report.candidates if row.is_target), None)
    case = report.task.case
    called = "the true answer," if case.imported else "really chosen next,"
    target = f"The {case.truth}" if row is None else f"<em>{safe_html(row.title, 60)}</em>, {called}"
    return " ".join(text for text in (short_verdict(report), target_move(report, target)) if text)


def leads(report: ImproveReport) -> list[str]:
    """What the target's move is worth, the test against chance, how sets were judged, what the guards did; HTML."""
    own = [target_beside(report), target_margin(report), target_caution(report)]
    verdicts = [verdict(report) if short_verdict(report) != verdict(report) else "", against_chance(report)]
    judged = [_how_judged(report), noise_sentence(report)] if report.held_out else []
    paragraphs = [" ".join(text for text in texts if text) for texts in (own, verdicts, judged)]
    return [text for text in paragraphs if text] + [safe_html(guard, 300) for guard in report.guards]


def _how_judged(report: ImproveReport) -> str:
    judging = counted(len(report.held_out), choice_words(report.task).judging)
    where, words = f"{judging} of the user before this moment", report.task.judged_by.words
    if report.task.case.imported:
        where = f"{judging} of the file, each with its own question and its own options"
        words = words.replace("choice", "true answer").replace("items as popular", "the options")
    return (
        f"Every set is judged on {where}, under small changes of the prompt, by the {words}. Its objective J is the "
        "mean score minus lambda times the spread; higher is better."
    )


def beats_chance(report: ImproveReport) -> bool:
    """Whether the set found is shown to be better than chance would choose, on choices that the search had not read."""
    return report.chance is not None and report.chance.p <= LEVEL


def worth(report: ImproveReport) -> str:
    """What the set found is worth on a choice that the search had not read; HTML."""
    words = choice_words(report.task)
    if beats_chance(report):
        newer = words.confirming_all.removeprefix("the ")
        return f"On {newer}, which the search had not read, this set did better than chance would choose."
    return (
        f"A set that is better on {words.judging}s need not be better on the next one, and this one is not shown to be "
        "better than chance would choose."
    )


def readouts(report: ImproveReport) -> list[Readout]:
    """Both verdicts, on the choices that sets were judged on and on the target, the test between them, and the cost."""
    passes = f"{number(report.search_passes, 1)} full passes"
    cost = Readout("Cost of the search", passes, "one pass scores the whole prompt once")
    return [*_judged(report), *_confirmed(report), *_on_target(report), cost]


def _judged(report: ImproveReport) -> list[Readout]:
    best, bare, current = report.best, report.zero_shot, report.current
    if best is None or bare is None:
        return []
    name = f"On {counted(len(report.held_out), choice_words(report.task).judging)} that the search read"
    small = ["objective J of the set found against no demonstrations"]
    if current is not None:
        small.append(f"{in_unit(report, best.objective - current.objective)} against the case's own")
    return [Readout(name, in_unit(report, best.objective - bare.objective), "; ".join(small))]


def _confirmed(report: ImproveReport) -> list[Readout]:
    rows: list[ConfirmRow] = sorted(report.confirmed or (), key=lambda row: row.against != "chance")
    if not rows:
        return []
    others = [f"{in_unit(report, row.gap)} against {RIVALS[row.against]} (p = {number(row.p)})" for row in rows[1:]]
    name = f"On {counted(rows[0].choices, choice_words(report.task).confirming)} that it did not read"
    small = "; ".join([f"against sets that chance draws (p = {number(rows[0].p)})", *others])
    return [Readout(name, in_unit(report, rows[0].gap), small)]


def _on_target(report: ImproveReport) -> list[Readout]:
    rows = {row.which: row for row in report.outcomes or ()}
    if not rows:
        return []
    before, after = compared(report)
    first, last = rows[before], rows[after]
    places = ordinal(last.rank) if before == after else f"{ordinal(first.rank)} → {ordinal(last.rank)}"
    margins = number(last.margin)
    if before != after and number(first.margin) != margins:
        margins = f"{number(first.margin)} → {margins}"
    small = f"of {last.candidates}; {ordinal(rows['zero_shot'].rank)} without demonstrations; margin {margins} nats"
    return [Readout(f"Place of the {report.task.case.truth}", places, small)]


def drift(report: ImproveReport) -> str:
    """What became of an earlier set; HTML, empty when none was given."""
    if report.start is None:
        return ""
    then = "" if report.start_objective is None else f", {signed(report.start_objective)} then"
    return f"The earlier set is judged {signed(report.start.objective)} now{then}."


def members(report: ImproveReport) -> None:
    """The set found, in its order, by title."""
    best = report.best
    if best is None or not best.demo_ids:
        return
    rows = {row.demo_id: row for row in report.shortlist}
    items = "".join(
        f"<li>{safe_html(rows[demo].title, 80)}{_answer(rows[demo].answer)}</li>"
        for demo in best.demo_ids
        if demo in rows
    )
    name = "The set found" if report.stage == "complete" else "The best set so far, no verdict yet"
    section(f"{name}, in prompt order")
    st.html(f'<ol class="dl-list">{items}</ol>')


def _answer(answer: str | None) -> str:
    return f" · {answer}" if answer else ""


def before_and_after(report: ImproveReport, colours: Palette) -> None:
    """The case's own list with each set, scored once after the search."""
    if not report.candidates:
        return
    panel(
        "improved",
        "This case's list, before and after",
        f"Place of every candidate, 1 on top. ◆ is the {report.task.case.truth}; the search did not look at it. The "
        "table can be searched.",
        figure=lambda: before_after.figure(report, colours),
        table=lambda: before_after.table(report),
        alt=before_after.alt(report),
    )


def adopt(report: ImproveReport) -> None:
    """What such sets are worth, and a button that takes this one over into its case and opens that in Explore."""
    question = next_steps.with_set(report) if report.stage == "complete" else None
    if question is None:
        return
    st.html(f'<p class="dl-note">{worth(report)}</p>')
    advised: Literal["primary", "secondary"] = "primary" if beats_chance(report) else "secondary"
    next_steps.step_button(next_steps.TAKE_SET, question, key="adopt", kind=advised)
