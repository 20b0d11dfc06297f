"""Where a person may go from a result: rows of buttons, each of which opens another page with the same case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st

from app import cached, links
from app.session import Passage, first_task, question_of, with_shared
from app.widgets import tab
from app.widgets.panel import section
from core.question.kinds import KINDS, kind_of
from core.question.task import Report, TargetTask
from core.selection.verdict import stands

PAGES = {
    "explain": "app/pages/explore/page.py",
    "dual": "app/pages/theory/page.py",
    "robustness": "app/pages/robustness/page.py",
    "improve": "app/pages/improve/page.py",
    "personalise": "app/pages/personalise/page.py",
}
"""Kind of question -> the script of its page."""


@dataclass(frozen=True)
class NextStep:
    """One button below a result."""

    label: str
    kind: str
    """Whose page it opens."""
    question: Callable[[Any], TargetTask | None]
    """Which part of the question goes along, of a complete report; None where the step makes no sense for it."""
    runs: bool = False
    """Whether the press runs it there; else the page shows a stored result or waits for Run."""


def same_question(report: Report) -> TargetTask:
    """The case, and the target where it belongs to that case."""
    task, shared = report.task, tab.view().shared
    if isinstance(task, TargetTask):
        return TargetTask(**question_of(task))
    return shared if task.case == shared.case else TargetTask(case=task.case)


def with_set(report: Any) -> TargetTask | None:
    """The case with the demonstrations that a search found; None where it found none that differ."""
    if report.best is None or not report.best.demo_ids or stands(report):
        return None
    question = same_question(report)
    by_hand = {"demo_ids": report.best.demo_ids, "strategy": "manual"}
    return question.model_copy(update={"case": question.case.model_copy(update=by_hand)})


def newest_list(report: Any) -> TargetTask | None:
    """The case whose list stands at the end of a play; None where the play ends elsewhere."""
    return None if report.task.known is not None or report.task.added else same_question(report)


TAKE_SET = NextStep("Take this set to Explore", "explain", with_set, runs=True)
"""Improve offers it beside what the set is worth, and again at its end."""
STEPS: dict[str, tuple[NextStep, ...]] = {
    "explain": (
        NextStep("Is it robust?", "robustness", same_question),
        NextStep("Find a better set", "improve", same_question),
        NextStep("See the dual model", "dual", same_question),
    ),
    "dual": (
        NextStep("Which demonstration moves the list?", "explain", same_question),
        NextStep("Is it robust?", "robustness", same_question),
    ),
    "robustness": (
        NextStep("Which demonstration did it?", "explain", same_question),
        NextStep("Find a better set", "improve", same_question),
    ),
    "improve": (
        TAKE_SET,
        NextStep("Is this set robust?", "robustness", with_set),
        NextStep("Explain the case as it is", "explain", same_question),
    ),
    "personalise": (
        NextStep("Explain this list", "explain", newest_list),
        NextStep("Is it robust?", "robustness", newest_list),
    ),
}
"""Kind of the report -> its next steps."""


def next_steps(report: Report) -> None:
    """The buttons of a complete report, nothing where no step makes sense for it."""
    rows = [(step, step.question(report)) for step in STEPS.get(kind_of(report.task).name, ())]
    steps = [(step, question) for step, question in rows if question is not None]
    if not steps:
        return
    section("What next?")
    with st.container(horizontal=True, key="next-steps"):
        for place, (step, question) in enumerate(steps):
            step_button(step, question, key=f"next-{place}")


def step_button(
    step: NextStep, question: TargetTask, *, key: str, kind: Literal["primary", "secondary"] = "secondary"
) -> None:
    """A button that takes the step with a question."""
    if st.button(step.label, key=key, type=kind, help=_help(step)):
        go(step.kind, question, runs=step.runs)


def go(kind: str, question: TargetTask, *, runs: bool = False) -> None:
    """Open the page of a kind with a question, whose other choices stay as they were there."""
    view = tab.view()
    cached.agree(*links.foreign(question.case))
    view.share(question)
    page = view.tasks.get(kind)
    draft = first_task(KINDS[kind].task, view.shared) if page is None else with_shared(page.draft, view.shared)
    view.passage = Passage(draft, runs)
    st.switch_page(PAGES[kind])


def _help(step: NextStep) -> str:
    script = PAGES[step.kind].split("/")[-2].capitalize()
    what = "and runs it" if step.runs else "and runs nothing by itself"
    return f"Opens {script} with this case {what}."
