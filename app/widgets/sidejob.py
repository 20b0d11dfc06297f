"""A second task beside what a page shows: started by a button, followed in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from app import cached, links
from app.widgets import failures, jobs, tab
from app.widgets.terms import terms
from core.errors import DemoLensError
from core.question.task import Task
from core.words import duration


def report_of(name: str, task: Task, label: str, why: str, *, starts: bool = False) -> Any:
    """The report of `task` so far; None, with the button `label` that starts it, `why` and its cost, without one.

    `starts`: it starts by itself, where work may start without a press.
    """
    job = cached.job_of(task)
    if job is None and starts and tab.current().opened and cached.agreed(task.case):
        start(name, task)
        job = cached.job_of(task)
    if job is None or (job.state in ("failed", "cancelled") and job.report is None):
        if job is not None:
            cancelled = "Cancelled before anything was found."
            failures.note(job.sentence if job.state == "failed" else cancelled)
        failures.note(f"{why} {cost(task)}")
        terms(label, why)
        hint = "Starts this part only; the rest of the page stays."
        st.button(label, key=f"start-{name}", on_click=start, args=(name, task), help=hint)
        refusal(name)
        return None
    if not job.ended:
        jobs.progress(job, f"cancel-{name}")
    return job.report


def cost(task: Task) -> str:
    """What a task takes, in words."""
    return f"About {duration(cached.desk().forecast(task).seconds)}."


def start(name: str, task: Task, then: Callable[[], None] = lambda: None) -> None:
    """Hand in a task, and `then` go on; where it is refused, `refusal` says why."""
    cached.agree(*links.foreign(task.case))
    try:
        cached.desk().submit(task)
    except DemoLensError as fault:
        st.session_state[f"refused-{name}"] = str(fault)
    else:
        then()


def refusal(name: str) -> None:
    """Say once why a task was refused."""
    sentence = st.session_state.pop(f"refused-{name}", "")
    if sentence:
        failures.note(sentence)
