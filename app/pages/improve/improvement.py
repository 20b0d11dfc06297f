"""The better set of demonstrations in words: how it was chosen, what it does to the case, and its adoption."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from app import cached, links
from app.charts.search_path import RIVALS, in_unit
from app.session import View, first_task
from app.text import safe_html
from app.theme import nats, number, ordinal, signed
from app.widgets import tab
from app.widgets.panel import section
from app.widgets.report_head import Readout, readouts_row
from core.analysis.explain.explain_task import Explain
from core.question.case_spec import CaseSpec
from core.question.task import TargetTask
from core.selection.confirm import LEVEL
from core.selection.improve_task import ConfirmRow, ImproveReport, Outcome, SetRole
from core.selection.verdict import against_chance, stands, target_place
from core.words import counted

NAMES: dict[SetRole, str] = {
    "zero_shot": "no demonstrations",
    "current": "the case's own demonstrations",
    "start": "the earlier set",
    "best": "the set found",
}
EXPLORE = "app/pages/explore/page.py"


def leads(report: ImproveReport) -> list[str]:
    """The test against chance, the target's own place, how sets were judged, and what the guards did; HTML."""
    place = target_place(report)
    sentences = [text for text in (against_chance(report), place) if text]
    sentences += [
        f"Every set is judged on {counted(len(report.held_out), 'known choice')} of the user before this moment, under "
        f"small changes of the prompt, by the {report.task.judged_by.words}. Its objective J is the mean score minus "
        "lambda times the spread; higher is better."
        + ("" if place else " The case's own target had no part in the choice.")
    ]
    return sentences + [safe_html(guard, 300) for guard in report.guards]


def beats_chance(report: ImproveReport) -> bool:
    """Whether the set found is shown to be better than chance would choose, on choices that the search had not read."""
    return report.chance is not None and report.chance.p <= LEVEL


def worth(report: ImproveReport) -> str:
    """What the set found is worth on a choice that the search had not read; HTML."""
    if beats_chance(report):
        return "On newer choices, which the search had not read, this set did better than chance would choose."
    return (
        "A set that is better on known choices need not be better on the next one, and this one is not shown to be "
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
    name = f"On {counted(len(report.held_out), 'known choice')} that the search read"
    small = ["objective J of the set found against no demonstrations"]
    if current is not None:
        small.append(f"{in_unit(report, best.objective - current.objective)} against the case's own")
    return [Readout(name, in_unit(report, best.objective - bare.objective), "; ".join(small))]


def _confirmed(report: ImproveReport) -> list[Readout]:
    rows: list[ConfirmRow] = sorted(report.confirmed or (), key=lambda row: row.against != "chance")
    if not rows:
        return []
    others = [f"{in_unit(report, row.gap)} against {RIVALS[row.against]} (p = {number(row.p)})" for row in rows[1:]]
    name = f"On {counted(rows[0].choices, 'newer choice')} that it did not read"
    small = "; ".join([f"against sets that chance draws (p = {number(rows[0].p)})", *others])
    return [Readout(name, in_unit(report, rows[0].gap), small)]


def _on_target(report: ImproveReport) -> list[Readout]:
    rows = {row.which: row for row in report.outcomes or ()}
    if "best" not in rows:
        return []
    others = [f"{ordinal(rows[which].rank)} with {NAMES[which]}" for which in ("zero_shot", "current") if which in rows]
    value = f"{ordinal(rows['best'].rank)} of {rows['best'].candidates}"
    return [Readout("On the item really chosen next", value, ", ".join(others))]


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


def outcomes(report: ImproveReport) -> None:
    """What each set does to the case's own target, scored once after the search."""
    if report.outcomes is None:
        return
    section(
        "What it does to this case",
        "The item really chosen next, scored once after the search was over; it had no part in the choice.",
    )
    readouts_row([_outcome(outcome, report.outcomes) for outcome in report.outcomes])
    if report.target_answer == "No":
        st.html(
            '<p class="dl-note">The user did not like this item: a lower score and a later place are better here.</p>'
        )


def _outcome(outcome: Outcome, every: tuple[Outcome, ...]) -> Readout:
    zero = next((other for other in every if other.which == "zero_shot"), None)
    change = ""
    if zero is not None and zero is not outcome:
        change = f" ({nats(outcome.score - zero.score)} against no demonstrations)"
    small = f"score {number(outcome.score)} nats{change}; NDCG@10 {number(outcome.ndcg)}"
    return Readout(NAMES[outcome.which], f"{ordinal(outcome.rank)} of {outcome.candidates}", small)


def adopt(report: ImproveReport) -> None:
    """What such sets are worth, and a button that takes this one over into its case and opens that in Explore."""
    best, case = report.best, report.task.case
    if best is None or not best.demo_ids or report.stage != "complete" or stands(report):
        return
    st.html(f'<p class="dl-note">{worth(report)}</p>')
    advised: Literal["primary", "secondary"] = "primary" if beats_chance(report) else "secondary"
    if st.button("Use this set in Explore", key="adopt", type=advised, help="Runs the case with these demonstrations."):
        cached.agree(*links.foreign(case))
        st.switch_page(EXPLORE, query_params=links.written(_adopted(tab.view(), case, best.demo_ids)))


def _adopted(view: View, case: CaseSpec, demo_ids: tuple[str, ...]) -> Explain:
    """The case with these demonstrations, explained as the tab's Explore page would; a target belongs to its case."""
    explore = view.tasks.get("explain")
    task = first_task(Explain, view.shared) if explore is None else explore.draft
    assert isinstance(task, Explain)
    target = view.shared if case == view.shared.case else TargetTask()
    by_hand = case.model_copy(update={"demo_ids": demo_ids, "strategy": "manual"})
    return task.model_copy(update={"case": by_hand, "target": target.target, "against": target.against})
