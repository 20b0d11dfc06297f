"""What did the user meet before, and what came next?"""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from app.text import counted, safe_html, visible
from app.widgets.panel import section
from core.analysis.explain.explanation import Explanation, HistoryRow

SHOWN = 30
"""Most interactions in the strip; the earlier ones are counted."""


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


def strip(rows: Sequence[HistoryRow], liked: float | None, last: str = "") -> str:
    """The newest interactions as an HTML list, the newest first; the style sheet puts the newest to the right.

    So a strip that is too long for its window opens at its newest end, and what is cut off is the oldest.
    """
    left = len(rows) - SHOWN
    earlier = f'<li class="dl-earlier"><span class="dl-when">{left} earlier</span></li>' if left > 0 else ""
    cells = "".join(_cell(row, liked) for row in reversed(rows[-SHOWN:]))
    attributes = 'class="dl-history" reversed tabindex="0" aria-label="History, newest first"'
    return f"<ol {attributes}>{last}{cells}{earlier}</ol>"


def _cell(row: HistoryRow, liked: float | None) -> str:
    words = "no rating" if row.rating is None else f"rated {row.rating:g}"
    kind = "dl-unknown" if row.rating is None or liked is None else "dl-liked" if row.rating >= liked else ""
    return _entry("dl-query" if row.in_query else "", kind, row.title, words + day(row.timestamp))


def _next(explanation: Explanation) -> str:
    if explanation.target_index is None:
        return ""
    row = explanation.candidates[explanation.target_index]
    return _entry("dl-target", "", row.title, "chosen next" + day(explanation.moment))


def _entry(role: str, mark: str, title: str, when: str) -> str:
    return (
        f'<li class="{role}"><div class="dl-mark"><span class="dl-dot {mark}"></span></div>'
        f'<b title="{html.escape(visible(title), quote=True)}">{safe_html(title, 120)}</b>'
        f'<span class="dl-when">{when}</span></li>'
    )


def day(timestamp: float | None) -> str:
    """`, 1998-03-21` (UTC), or nothing for a missing or impossible time."""
    if timestamp is None:
        return ""
    try:
        return f", {datetime.fromtimestamp(timestamp, UTC):%Y-%m-%d}"
    except (ValueError, OverflowError, OSError):
        return ""
