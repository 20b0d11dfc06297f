"""Explore one case: what is recommended, which demonstration did it, and what would change it?"""

from __future__ import annotations

import streamlit as st

from app import cached
from app.pages.explore import candidates, demos, prompt, selection, summary, views
from app.pages.explore import quality_section as quality
from app.session import View
from app.theme import style
from app.widgets import failures, history, jobs, pickers, preview, provenance, regularised, tab
from app.widgets import robustness_words as robustness
from core.analysis.explain.explanation import Explanation


def page() -> None:
    """Pickers, one job, its result."""
    st.html(style(tab.colours()))
    view = tab.opened()
    job = jobs.current(view)
    pickers.sidebar(view, job)
    with st.container(key="status"):  # Always there, so that the charts below keep their place and are not drawn anew.
        status(view, job)
    if job is not None and job.explanation is not None:
        view.seen = view.key
        result(view, job.explanation, tab.drawn_from(view))
    else:
        nothing_yet(view, job)
    tab.write_link()


def status(view: View, job: cached.Job | None) -> None:
    """What a person should know before the result: notices, the next run, progress, what went wrong."""
    pickers.fault(view)
    preview.upcoming(view)
    if job is None or job.state in ("failed", "cancelled"):
        jobs.outcome(job, view.shown.request)
    elif not job.ended:
        jobs.follow(job)


def nothing_yet(view: View, job: cached.Job | None) -> None:
    """In place of a result: what the model will read or would have read, and the result that was seen before."""
    if job is not None and not job.ended:
        jobs.empty(view)
    elif cached.agreed(view.shown.request):
        preview.reading(view.shown.request)
    earlier = None if view.seen is None else cached.desk().job(view.seen)
    if earlier is not None and earlier.explanation is not None:
        with st.container(key="earlier"):
            failures.note("The result before this one:")
            earlier_result(view, earlier.explanation, tab.drawn_from(view))


@st.fragment
def earlier_result(view: View, explanation: Explanation, drawn: object) -> None:
    """The views of an explanation that is not the one asked for."""
    tab.whole_page_after_change(drawn)
    views_of(view, explanation)


@st.fragment
def result(view: View, explanation: Explanation, drawn: object) -> None:
    """Every view of one explanation; a click redraws these views only."""
    tab.whole_page_after_change(drawn)
    views_of(view, explanation)
    if explanation.demos:
        quality.quality(view, explanation)
        robustness.quick(explanation)
        regularised.regularised(view)
    provenance.known(explanation)
    provenance.provenance(explanation, cached.licence(explanation.request.dataset))
    tab.write_link()


def views_of(view: View, explanation: Explanation) -> None:
    """Sentences, charts and tables of one explanation."""
    colours = tab.colours()
    summary.summary(explanation)
    history.timeline(explanation, cached.like_threshold(explanation.request.dataset))
    selection.bar(view, explanation)
    left, right = st.columns([1.2, 1], gap="medium")
    with left:
        if explanation.contributions is not None:
            views.contributions(view, explanation)
        summary.faithfulness_button(explanation)
    with right:
        candidates.candidates(view, explanation, colours)
    demos.demos(view, explanation)
    if explanation.matrix is not None:
        views.matrix(view, explanation)
    if explanation.contributions is not None and explanation.contributions.by_layer is not None:
        views.layer_map(view, explanation)
    prompt.prompt_view(view, explanation, colours)


page()
