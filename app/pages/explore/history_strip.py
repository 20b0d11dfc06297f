"""The history of an explained case, with the item that was really chosen next."""

from __future__ import annotations

import streamlit as st

from app.text import counted
from app.widgets.history import day, entry, strip
from app.widgets.panel import section
from core.analysis.explain.explanation import Explanation

NO_HISTORY = "This user has no history before this moment; the prompt says so."


def timeline(explanation: Explanation, liked: float | None) -> None:
    """The history as a strip that ends, at the right, with the item really chosen next; `liked` is a rating."""
    rows, case = explanation.history, explanation.task.case
    filled = "" if liked is None else f" Filled mark: rated {liked:g} or more."
    before = f"{counted(len(rows), 'interaction')} before this moment, the newest to the right.{filled}"
    if case.imported:
        before = f"{counted(len(rows), 'item')} of a history are marked in this prompt, in its order."
    marks = f"Underlined: stands in the prompt's query. Diamond: {case.truth_mark}."
    section("History", f"{before} {marks}")
    if not rows:
        none = "No history is marked in this prompt." if case.imported else NO_HISTORY
        st.html(f'<p class="dl-note">{none}</p>')
        return
    st.html(strip(rows, liked, _next(explanation)))


def _next(explanation: Explanation) -> str:
    if explanation.target_index is None:
        return ""
    row = explanation.candidates[explanation.target_index]
    return entry(
        "dl-target", "", row.title, explanation.task.case.truth_mark.removeprefix("really ") + day(explanation.moment)
    )
