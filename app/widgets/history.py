"""What a user met before the case's moment, as a strip."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import UTC, datetime

from app.text import safe_html, visible
from core.analysis.explain.explanation import HistoryRow

SHOWN = 30
"""Most interactions in the strip; the earlier ones are counted."""


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
    mark = "dl-unknown" if row.rating is None or liked is None else "dl-liked" if row.rating >= liked else ""
    return entry("dl-query" if row.in_query else "", mark, row.title, words + day(row.timestamp))


def entry(role: str, mark: str, title: str, when: str) -> str:
    """One item of the strip; `when` is our own text."""
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
