"""What the next run will read, before anything is run."""

from __future__ import annotations

import streamlit as st

from app import cached, links
from app.text import counted, safe_html, shortened
from app.widgets import failures
from app.widgets.history import strip
from core.analysis.explain.explanation import HistoryRow
from core.data.strategies import STRATEGIES
from core.question.case_spec import CaseSpec
from core.question.task import Task


def obstacle(task: Task) -> str:
    """Why a task cannot be run, in one sentence; empty where nothing speaks against it."""
    if not cached.agreed(task.case):
        return ""
    subject = cached.preview(task)
    return subject if isinstance(subject, str) else cached.material_fault(task.case)


def consent(case: CaseSpec) -> str:
    """Which names a person agrees to open by pressing Run; empty where nothing is to be agreed to."""
    if cached.agreed(case):
        return ""
    names = ", ".join(shortened(name, 80) for name in links.foreign(case))
    return f"This link names its own data, model or adapter: {names}. They are looked at only when you agree."


def reading(task: Task) -> bool:
    """What the model will read for a task; False, with the reason on screen, when it cannot be run."""
    if not cached.agreed(task.case):
        failures.box("Not opened yet", consent(task.case))
        return True
    subject = cached.preview(task)
    if isinstance(subject, str):
        failures.box("These choices cannot be run", subject)
        return False
    rows = [
        HistoryRow(
            item_id=row.item_id,
            title=subject.items[row.item_id].title,
            categories=subject.items[row.item_id].categories,
            rating=row.rating,
            timestamp=row.timestamp,
            in_query=False,
        )
        for row in subject.case.history
    ]
    st.html(strip(rows, cached.like_threshold(task.case)) + _demos(subject))
    for sentence in subject.shortages:
        failures.note(sentence)
    return True


def picked_later(subject: cached.Subject) -> str:
    """What is said in place of demonstrations that the model picks; empty where they are there."""
    if not subject.awaits_model:
        return ""
    row = STRATEGIES[subject.spec.strategy]
    count = counted(subject.spec.demos, "demonstration")
    return f"{count}, picked by the model when this runs: nearest is {row.nearest}. First, {row.cost}."


def _demos(subject: cached.Subject) -> str:
    if later := picked_later(subject):
        return f'<p class="dl-note">{safe_html(later)}</p>'
    if not subject.demos:
        return '<p class="dl-note">No demonstrations: the list is zero-shot.</p>'
    answers = ["" if subject.spec.imported else f" ({'Yes' if demo.liked else 'No'})" for demo in subject.demos]
    titles = "; ".join(
        f"D{place} {safe_html(subject.items[demo.item_id].title, 40)}{answer}"
        for place, (demo, answer) in enumerate(zip(subject.demos, answers, strict=True), start=1)
    )
    return f'<p class="dl-note">{counted(len(subject.demos), "demonstration")}: {titles}.</p>'
