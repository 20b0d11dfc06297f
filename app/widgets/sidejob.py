"""A second piece of work beside what a page shows: asked for by a button, followed in its place."""

from __future__ import annotations

import streamlit as st

from app import cached, links
from app.widgets import failures, jobs
from core.question.task import Report, Task
from core.errors import DemoLensError
from core.words import seconds


def report_of(name: str, task: Task, label: str, why: str) -> Report | None:
    """What `task` has found so far; else the button `label` that starts it, with `why` and what it costs."""
    key = cached.known_key(task)
    job = None if key is None else cached.desk().job(key)
    if job is None or (job.state in ("failed", "cancelled") and job.found is None):
        if job is not None:
            cancelled = "Cancelled before anything was found."
            failures.note(job.sentence if job.state == "failed" else cancelled)
        _offer(name, task, label, why)
        return None
    if not job.ended:
        jobs.follow(job, key=f"cancel-{name}")
    return job.found if isinstance(job.found, Report) else None


def _offer(name: str, task: Task, label: str, why: str) -> None:
    told = cached.desk().forecast(task)
    failures.note(f"{why} About {seconds(told.seconds)}.")
    st.button(
        label,
        key=f"start-{name}",
        on_click=_start,
        args=(name, task),
        help="Starts this part only; the rest of the page stays.",
    )
    refused = st.session_state.pop(f"refused-{name}", "")
    if refused:
        failures.note(refused)


def _start(name: str, task: Task) -> None:
    cached.agree(*links.foreign(task.case))
    try:
        cached.desk().submit(task)
    except DemoLensError as fault:
        st.session_state[f"refused-{name}"] = str(fault)
