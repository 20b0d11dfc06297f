"""The better set of demonstrations in words: how it was chosen, what it does to the case, and its adoption."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from app import cached, links
from app.session import View, first_task
from app.text import safe_html
from app.theme import nats, number, ordinal, signed
from app.widgets import tab
from app.widgets.panel import section
from app.widgets.report_head import Readout, readouts_row
from core.analysis.explain.explain_task import Explain
from core.question.case_spec import CaseSpec
from core.question.task import TargetTask
from core.selection.improve_task import ImproveReport, Outcome, SetRole, SetRow
from core.selection.verdict import stands, target_place

NAMES: dict[SetRole, str] = {
    "zero_shot": "no demonstrations",
    "current": "the case's own demonstrations",
    "start": "the earlier set",
    "best": "the set found",
}
EXPLORE = "app/pages/explore/page.py"


def leads(report: ImproveReport) -> list[str]:
    """The target's own place, how sets were judged, what the guards did, and how the search ended; HTML."""
    count = len(report.held_out)
    place = target_place(report)
    sentences = [place] if place else []
    sentences += [
        f"Every set is judged on {count} known choice{'s' * (count != 1)} of the user before this moment, under small "
        "changes of the prompt. Its objective J is the mean score minus lambda times the spread; higher is better."
        + ("" if place else " The case's own target had no part in the choice.")
    ]
    return sentences + [safe_html(guard, 300) for guard in report.guards]


def measured_to_help(case: CaseSpec) -> bool:
    """Whether `make bench PART=lrgd` found sets of the search better than the most recent demonstrations."""
    return case.dataset == case.model == "sample" and case.adapter is None and case.family == "next_item"


def worth(case: CaseSpec) -> str:
    """What sets of the search were worth on a choice they had not seen, where that was measured; HTML."""
    if measured_to_help(case):
        return (
            "Measured over 20 users of these data, such sets ranked the item chosen next better than the most recent "
            "demonstrations did; on three other data sets they did not."
        )
    return (
        "A set that is better on known choices need not be better on the next one: wherever that was measured, but for "
        "ranking titles in the sample data, such sets were not reliably better than the most recent demonstrations."
    )


def readouts(report: ImproveReport) -> list[Readout]:
    """The objective of the sets, and the cost."""
    cells = []
    sets: tuple[tuple[str, SetRow | None], ...] = (
        ("No demonstrations", report.zero_shot),
        ("The case's own", report.current),
        ("The set found" if report.stage == "complete" else "Best so far", report.best),
    )
    for name, row in sets:
        if row is not None:
            small = f"mean score {number(row.mean)}, spread {number(row.spread)} nats"
            cells.append(Readout(name, f"J {nats(row.objective)}", small))
    passes = f"{number(report.search_passes, 1)} full passes"
    cells.append(Readout("Cost of the search", passes, "one scores the whole prompt once"))
    return cells


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
        st.html('<p class="dl-note">The user\'s true answer about this item was No: a lower score is better here.</p>')


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
    st.html(f'<p class="dl-note">{worth(case)}</p>')
    advised: Literal["primary", "secondary"] = "primary" if measured_to_help(case) else "secondary"
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
