"""How far is the work, and how is it stopped?"""

from __future__ import annotations

import streamlit as st

from app import cached
from app.session import View
from app.settings import SETTINGS
from app.text import safe_html, safe_label
from app.widgets import failures, preview
from core.question.task import Report
from core.words import seconds
from core.work.kinds import Asked


def current(view: View) -> cached.Job | None:
    """The job of what is shown."""
    return cached.desk().job(view.key) if view.key is not None else None


def follow(job: cached.Job, key: str = "cancel") -> None:
    """Progress of a queued or running job; the page is drawn anew when there is more to show."""
    shown = seen(job)

    @st.fragment(run_every=SETTINGS.poll_seconds)
    def progress() -> None:
        now = cached.desk().job(job.key)
        if now is None or now.ended or seen(now) != shown:
            st.rerun(scope="app")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.progress(min(1.0, max(0.0, now.fraction)), text=safe_label(words(now), 160))
            st.button("Cancel", key=key, on_click=stop, args=(now.key,))

    progress()


def seen(job: cached.Job) -> object:
    """What must differ for the page to have more to show: the stage, and for a report its cost so far."""
    if isinstance(job.found, Report):
        return job.found.passes, job.found.stage
    return None if job.found is None else job.found.stage


def words(job: cached.Job) -> str:
    """The state of a job in words."""
    if job.state == "queued":
        return (
            "Waiting: next in line"
            if job.ahead == 0
            else f"Waiting: {job.ahead} job{'s' if job.ahead > 1 else ''} ahead"
        )
    label = (job.label or "working")[0].upper() + (job.label or "working")[1:]
    spent = f" · {seconds(job.elapsed)} so far" if job.elapsed is not None else ""
    left = f", about {seconds(job.remaining)} to go" if job.remaining is not None else ""
    return f"{label}{spent}{left}"


def stop(key: str) -> None:
    """Cancel a job; what it found is kept."""
    cached.desk().cancel(key)


def outcome(job: cached.Job | None, asked: Asked) -> None:
    """A failed, cancelled or never started job, said calmly."""
    if job is None:
        failures.box("Not computed yet", preview.consent(asked), "Press Run on the left to compute it.")
    elif job.state == "failed":
        failures.failed(job.sentence, job.error_id)
    elif job.state == "cancelled":
        failures.cancelled(job.sentence, job.found is not None)


def empty(view: View) -> None:
    """Before the first scores: say what comes, and show what the model reads."""
    st.html(
        '<h1 class="dl-headline">The recommendations come first, then what each demonstration adds.</h1>'
        f'<p class="dl-lead">User {safe_html(view.shown.request.user, 40)} is being read. Each part appears as soon as '
        "it is there; you may leave the page and come back.</p>"
    )
    if preview.reading(view.shown.request):
        st.skeleton(height=180)
