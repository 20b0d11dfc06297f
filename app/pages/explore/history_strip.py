"""The history of an explained case, with the item that was really chosen next."""

from __future__ import annotations

import streamlit as st

from app.text import counted
from app.widgets.history import day, entry, strip
from app.widgets.panel import section
from core.analysis.explain.explanation import Explanation


def timeline(explanation: Explanation, liked: float | None) -> None:
    """The history as a strip that ends, at the right, with the item really chosen next; `liked` is a rating."""
    rows = explanation.history
    filled = "" if liked is None else f" Filled mark: rated {liked:g} or more."
    section(
        "History",
        f"{counted(len(rows), 'interaction')} before this moment, the newest to the right.{filled} "
        "Underlined: stands in the prompt's query. Diamond: really chosen next.",
    )
    if not rows:
        st.html('<p class="dl-note">This user has no history before this moment; the prompt says so.</p>')
        return
    st.html(strip(rows, liked, _next(explanation)))


def _next(explanation: Explanation) -> str:
    if explanation.target_index is None:
        return ""
    row = explanation.candidates[explanation.target_index]
    return entry("dl-target", "", row.title, "chosen next" + day(explanation.moment))
