"""How far a job is, how it is stopped, and how it ended."""

from __future__ import annotations

import streamlit as st

from app import cached
from app.settings import SETTINGS
from app.text import safe_label
from app.widgets import failures
from core.words import duration


def status(job: cached.Job | None, key: str = "cancel") -> None:
    """How a job that failed or was cancelled ended, or how far it is; nothing of one that is done."""
    if job is None or job.state == "done":
        return
    if job.state == "failed":
        failures.failed(job.sentence, job.error_id)
    elif job.state == "cancelled":
        failures.cancelled(job.sentence, job.report is not None)
    else:
        progress(job, key)


def progress(job: cached.Job, key: str) -> None:
    """Progress of a queued or running job; the page is drawn anew when there is more to show."""
    drawn = _progress_of(job)

    @st.fragment(run_every=SETTINGS.poll_seconds)
    def bar() -> None:
        now = cached.desk().job(job.key)
        if now is None or now.ended or _progress_of(now) != drawn:
            st.rerun(scope="app")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.progress(min(1.0, max(0.0, now.fraction)), text=safe_label(words(now), 160))
            st.button("Cancel", key=key, on_click=stop, args=(now.key,))

    bar()


def _progress_of(job: cached.Job) -> object:
    """What differs once the page has more to show."""
    return job.report and (job.report.passes, job.report.stage)


def words(job: cached.Job) -> str:
    """The state of a job in words."""
    if job.state == "queued":
        ahead = f"{job.ahead} job{'s' if job.ahead > 1 else ''} ahead" if job.ahead else "next in line"
        return f"Waiting: {ahead}"
    label = (job.label or "working")[0].upper() + (job.label or "working")[1:]
    spent = f" · {duration(job.elapsed)} so far" if job.elapsed is not None else ""
    left = f", about {duration(job.remaining)} to go" if job.remaining is not None else ""
    return f"{label}{spent}{left}"


def stop(key: str) -> None:
    """Cancel a job; the report it has so far stays."""
    cached.desk().cancel(key)
