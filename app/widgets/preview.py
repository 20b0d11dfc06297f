"""What will the next run read, before anything is run?"""

from __future__ import annotations

import streamlit as st

from app import cached, links
from app.session import View
from app.text import counted, safe_html, shortened
from app.widgets import failures
from app.widgets.history import strip
from core.analysis.explain.explanation import HistoryRow
from core.question.case_spec import CaseSpec
from core.work.kinds import Asked, case_of

DATA = (
    "dataset",
    "user",
    "split",
    "strategy",
    "demos",
    "demo_ids",
    "history",
    "candidates",
    "candidate_ids",
    "sampling",
    "seed",
)
"""Choices that change what the model reads; the others change how it is explained."""


def obstacle(view: View) -> str:
    """Why the chosen case cannot be run, in one sentence; empty where nothing is known against it."""
    if not cached.agreed(view.draft):
        return ""
    found = cached.preview(view.draft)
    return found if isinstance(found, str) else cached.material_fault(view.draft)


def upcoming(view: View) -> None:
    """The history and the demonstrations of changed choices; nothing while they are as shown."""
    if all(getattr(view.draft, name) == getattr(view.shown.request, name) for name in DATA):
        return
    with st.container(border=True, key="upcoming"):
        st.html(f'<h2 class="dl-section">Next run: user {safe_html(view.draft.user, 40)}</h2>')
        if reading(view.draft):
            failures.note("Press Run on the left to compute it; what stands below is the old result.")


def consent(asked: Asked) -> str:
    """Which names a person agrees to open by pressing Run; empty where nothing is to be agreed to."""
    if cached.agreed(asked):
        return ""
    names = ", ".join(shortened(name, 80) for name in links.foreign(case_of(asked)))
    return f"This link names its own data, model or adapter: {names}. They are looked at only when you agree."


def reading(request: Request) -> bool:
    """What the model will read for a request; False, with the reason on screen, when it cannot be run."""
    if not cached.agreed(request):
        failures.box("Not opened yet", consent(request))
        return True
    found = cached.preview(request)
    if isinstance(found, str):
        failures.box("These choices cannot be run", found)
        return False
    rows = [_row(found, place) for place in range(len(found.case.history))]
    st.html(strip(rows, cached.like_threshold(request.dataset)) + _demos(found))
    for sentence in found.shortages:
        failures.note(sentence)
    return True


def _row(found: cached.Preview, place: int) -> HistoryRow:
    one = found.case.history[place]
    item = found.items[one.item_id]
    return HistoryRow(
        item_id=one.item_id,
        title=item.title,
        categories=item.categories,
        rating=one.rating,
        timestamp=one.timestamp,
        in_query=False,
    )


def _demos(found: cached.Preview) -> str:
    if not found.demos:
        return '<p class="dl-note">No demonstrations: the zero-shot ranking.</p>'
    titles = "; ".join(
        f"D{place} {safe_html(found.items[demo.item_id].title, 40)} ({'Yes' if demo.liked else 'No'})"
        for place, demo in enumerate(found.demos, start=1)
    )
    return f'<p class="dl-note">{counted(len(found.demos), "demonstration")}: {titles}.</p>'
