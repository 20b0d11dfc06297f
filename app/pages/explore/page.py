"""Explore one case: what is recommended, which demonstration did it, and what would change it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import cached
from app.pages.explore import candidates, demos, removals, summary, views
from app.pages.explore.depth import depth
from app.pages.explore.history_strip import timeline
from app.pages.explore.selection import ExploreSelection, bar
from app.sentences import who
from app.session import TaskView
from app.text import unique_labels
from app.widgets import failures, fields, preview, tab, task_page
from core.analysis.explain.explain_task import Explain
from core.analysis.explain.explanation import Explanation
from core.analysis.explain.methods import METHODS
from core.question.targets import EXPLAINED
from core.question.task import Task

NOT_READ = {"family", "wording", "template", "chat", "scoring", "model", "adapter", "device", "dtype"}
"""Choices of a case that change how the model is asked; the others change what it reads."""


def controls() -> None:
    """The method, the candidate that is explained, and what of it."""
    words: dict[str, str] = {row.name: row.words for row in METHODS.values()}
    fields.choice("method", "Method", words, "How the score is divided among the demonstrations.")
    names, target = _candidates(), tab.draft(Explain).target
    hint = "The candidate that is explained."
    fields.choice("target", "Candidate", {"": tab.draft(Explain).case.truth} | names, hint, "fuzzy")
    others = {item: name for item, name in names.items() if item != target}
    hint = "A second candidate, to explain the first one's lead over it."
    fields.choice("against", "Against", {"": "all other candidates"} | others, hint, "fuzzy")
    rows = [row for row in EXPLAINED.values() if row.against == 0 or tab.draft(Explain).against is not None]
    hint = " ".join(f"{row.words.capitalize()}: {row.help}" for row in EXPLAINED.values())
    fields.choice("explain", "What of it", {"": "what fits the above"} | {r.name: r.words for r in rows}, hint)


def _candidates() -> dict[str, str]:
    """Id -> label of the candidates that the draft would rank, by title."""
    subject = cached.preview(Task(case=tab.current().draft.case))
    if isinstance(subject, str):
        return {}
    pairs = [(item, subject.items[item].title) for item in subject.case.candidates if item in subject.items]
    return unique_labels(sorted(pairs, key=lambda pair: pair[1].casefold()))


def advanced() -> None:
    """The budget, and what is measured beside the ablations."""
    hint = "Most that a refined or sampled method may use; one full pass scores the whole prompt once."
    fields.number("budget", "Budget (full passes)", 0.5, 1000.0, hint, step=1.0, form="%g")
    hint = "Demonstrations whose removal alone is really measured, those that move the place most first."
    fields.number("removals", "Measured removals", 0, 64, hint)
    hint = "Most prompts that look for the fewest demonstrations whose removal undoes the change of place."
    fields.number("flips", "Prompts for the flip set", 0, 64, hint)
    hint = "Also measures the list without each title of the query's history: one short prompt for each."
    fields.toggle("history_removals", "List without each title", hint)
    removals.forget_rival()


def upcoming(page: TaskView) -> None:
    """The history and the demonstrations of changed choices; nothing while they are as shown."""
    case = page.draft.case
    if page.task is None or demos.only_rows_changed(page.task.case, case):
        return
    if case.model_dump(exclude=NOT_READ) == page.task.case.model_dump(exclude=NOT_READ):
        return
    with st.container(border=True, key="upcoming"):
        st.html(f'<h2 class="dl-section">Next run: {who(case, begins=False)}</h2>')
        if preview.reading(page.draft):
            failures.note("Press Run on the left to compute it; what stands below is the old result.")


def waiting(page: TaskView, job: cached.Job | None) -> None:
    """In place of a result: what the model will read or would have read, and the result that was seen before."""
    task = page.task or page.draft
    if job is None:
        failures.box("Not computed yet", preview.consent(task.case), "Press Run on the left to compute it.")
    if job is not None and not job.ended:
        _started(task)
    elif cached.agreed(task.case):
        preview.reading(task)
    earlier = None if page.last_key is None else cached.desk().job(page.last_key)
    if earlier is not None and earlier.report is not None:
        with st.container(key="earlier"):
            failures.note("The result before this one:")
            _earlier_result(earlier.report, tab.drawn_from())


def _started(task: Task) -> None:
    """Before the first scores: what comes, and what the model reads."""
    st.html(
        '<h1 class="dl-headline">The recommendations come first, then what each demonstration adds.</h1>'
        f'<p class="dl-lead">{who(task.case)} is being read. Each part appears as soon as '
        "it is there; you may leave the page and come back.</p>"
    )
    if preview.reading(task):
        st.skeleton(height=180)


@st.fragment
def _earlier_result(explanation: Any, drawn: object) -> None:
    """The views of an explanation that is not of the task on the page."""
    tab.whole_page_after_change(drawn)
    result(explanation)


def result(explanation: Explanation) -> None:
    """The answer, the demonstrations beside the list, the selection, and what else can be read."""
    summary.summary(explanation)
    left, right = st.columns([1.55, 1], gap="medium")
    with left:
        shown = views.read_as(explanation)
        demos.demos(shown)
        timeline(explanation, cached.like_threshold(explanation.task.case))
    with right:
        candidates.candidates(explanation, tab.colours())
    bar(explanation, shown)
    depth(explanation, shown)


task_page.show(
    task_page.Page(
        "explain",
        controls,
        result,
        selection=ExploreSelection,
        starts=True,
        advanced=advanced,
        upcoming=upcoming,
        waiting=waiting,
    )
)
