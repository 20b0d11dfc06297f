"""What did the user meet before, and what came next?"""

from __future__ import annotations

import html
from datetime import UTC, datetime

import streamlit as st

from app.components.panel import section
from app.text import safe_html
from core.analysis.explanation import Explanation, HistoryRow

LIKED = 4.0
"""Rating from which the mark is filled, as in the prompt's own rule for the sample data."""


def timeline(explanation: Explanation) -> None:
    """The history as a strip, oldest first, ending with the item really chosen next."""
    rows = explanation.history
    section(
        "History",
        f"{len(rows)} interactions of user {safe_html(explanation.user_id, 40)} before this moment, oldest first. "
        "Filled: liked (rating 4 or more). Underlined: stands in the prompt's query. Diamond: what came next.",
    )
    if not rows:
        st.html('<p class="dl-note">This user has no history before this moment; the prompt says so.</p>')
        return
    cells = "".join(_cell(row) for row in rows)
    st.html(f'<ol class="dl-history" tabindex="0" aria-label="History, oldest first">{cells}{_next(explanation)}</ol>')


def _cell(row: HistoryRow) -> str:
    liked = row.rating is None or row.rating >= LIKED
    words = "no rating" if row.rating is None else f"rated {row.rating:g}"
    kind = "dl-dot dl-unknown" if row.rating is None else "dl-dot dl-liked" if liked else "dl-dot"
    query = ' class="dl-query"' if row.in_query else ""
    return (
        f'<li{query}><div class="dl-mark"><span class="{kind}"></span></div>'
        f'<b title="{html.escape(row.title, quote=True)}">{safe_html(row.title, 120)}</b><span class="dl-when">{words}{day(row.timestamp)}</span></li>'
    )


def _next(explanation: Explanation) -> str:
    if explanation.target_index is None:
        return ""
    row = explanation.candidates[explanation.target_index]
    return (
        '<li class="dl-target"><div class="dl-mark"><span class="dl-dot"></span></div>'
        f'<b title="{html.escape(row.title, quote=True)}">{safe_html(row.title, 120)}</b><span class="dl-when">chosen next{day(explanation.moment)}</span></li>'
    )


def day(timestamp: float | None) -> str:
    """`, 1998-03-21` (UTC), or nothing for a missing or impossible time."""
    if timestamp is None:
        return ""
    try:
        return f", {datetime.fromtimestamp(timestamp, UTC):%Y-%m-%d}"
    except (ValueError, OverflowError, OSError):
        return ""
