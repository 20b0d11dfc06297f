"""What a case file holds: what became of the calls, and its cases, a page at a time."""

from __future__ import annotations

import html

import pandas as pd
import streamlit as st

from app.pages.prompts.intake import SOURCE_WORDS, for_screen, read_as
from app.pages.prompts.prompts_view import PromptsView, current
from app.text import option, plain, safe_html
from app.widgets import failures, tab
from app.widgets.panel import literal
from core.prompt.imported.case_file import PromptCase
from core.prompt.imported.imported_cases import ImportedCases
from core.prompt.imported.leaks import findings_of
from core.prompt.imported.stored_cases import ImportRecord, StoredCases
from core.words import counted

PAGE_CASES = 50
"""Cases on one page of the table."""
TABLE, SEARCH = "prompts-table", "in-prompts-case"
MOST_LISTED = 1000
"""Ids in the field that searches for a case; others are typed."""


def summary(row: StoredCases, count: int) -> None:
    """How many prompts there are, what they were taken for, and what was refused with its reason."""
    record = row.record
    verb = "is" if count == 1 else "are"
    title = f"{counted(count, 'prompt')} of <em>{safe_html(row.words, 80)}</em> {verb} ready to explain."
    st.html(f'<h1 class="dl-headline">{title}</h1>')
    if record is None:
        failures.note("A case file that was brought in as it is.")
        return
    st.html(f'<p class="dl-lead">{_became(record)}</p>')
    _refused(record)
    _leaks(record)
    failures.notices(list(record.notices))


def _became(record: ImportRecord) -> str:
    kinds = f"Read as {safe_html(read_as(record.formats))}. " if record.formats else ""
    sources = [SOURCE_WORDS[name] for name in SOURCE_WORDS if name in record.options_from]
    options = f" Answer options: {', '.join(sources)}." if sources else ""
    corrected = f" {counted(record.corrected, 'case')} corrected by hand." if record.corrected else ""
    refused = "none refused" if not record.refused else f"{record.refused:,} refused"
    return f"{kinds}{counted(record.read, 'call')}: {record.imported:,} imported, {refused}.{options}{corrected}"


def _refused(record: ImportRecord) -> None:
    if record.skipped:
        rows = "".join(
            f"<dt>{skip.count:,}</dt><dd>{safe_html(for_screen(skip.reason))} (first: {safe_html(skip.first)})</dd>"
            for skip in record.skipped
        )
        with st.expander(f"Why {counted(record.refused, 'call')} {'was' if record.refused == 1 else 'were'} refused"):
            st.html(f'<dl class="dl-facts">{rows}</dl>')


def _leaks(record: ImportRecord) -> None:
    """What the leak check says of the file, the leaks first."""
    rows = sorted(record.findings, key=lambda row: not row.leak)
    lines = []
    for row in rows:
        where = f" (first: {row.first})" if row.first else ""
        count = f"{counted(row.count, 'case')}: " if row.first else ""
        lines.append(f"{count}{row.sentence.rstrip('.')}{where}.")
    title = f"In {counted(record.leaky, 'case')} the true answer stands in the prompt" if record.leaky else "To check"
    failures.notices(lines, title)


# ---- the table


def cases_table(view: PromptsView, cases: ImportedCases) -> None:
    """One page of the cases, and the way to other pages."""
    ids = cases.case_ids
    pages = -(-len(ids) // PAGE_CASES)
    view.page = min(view.page, pages - 1)
    start = view.page * PAGE_CASES
    page_ids = ids[start : start + PAGE_CASES]
    rows = _rows(cases.dataset_id, page_ids, cases)
    key = f"{TABLE}-{cases.dataset_id}-{view.page}"
    st.dataframe(
        literal(pd.DataFrame(rows)),
        key=key,
        hide_index=True,
        height=min(38 + 35 * len(rows), 38 + 35 * 12),
        on_select=lambda: _picked(key, page_ids),
        selection_mode="single-row",
        alt=f"Cases {start + 1} to {start + len(page_ids)} of {len(ids)}",
        column_config={name: st.column_config.Column(width="small") for name in rows[0] if name != "case"},
    )
    if pages > 1:
        _pages(view, pages, f"Cases {start + 1:,} to {start + len(page_ids):,} of {len(ids):,}")


def search(view: PromptsView, ids: tuple[str, ...]) -> None:
    """A field that finds a case by its id."""
    listed = list(ids[:MOST_LISTED])
    st.session_state[SEARCH] = view.case_id
    st.selectbox(
        "Case",
        listed if view.case_id in listed else [view.case_id, *listed],
        format_func=option,
        key=SEARCH,
        on_change=_searched,
        accept_new_options=True,
        help="Type to search. Where not all are listed, type the whole id.",
        filter_mode="fuzzy",
    )


def _searched() -> None:
    view, typed = current(), st.session_state[SEARCH]
    view.notice = ""
    if typed in view.cases.case_ids:
        view.case_id = typed
        view.page = view.cases.case_ids.index(typed) // PAGE_CASES
    else:
        view.notice = f"There is no case {plain(str(typed))} in this file."


def _picked(key: str, page_ids: tuple[str, ...]) -> None:
    row = tab.picked_row(key)
    if row is not None and row < len(page_ids):
        view = current()
        view.notice, view.case_id = "", page_ids[row]


def _pages(view: PromptsView, pages: int, words: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="prompts-pages", gap="small"):
        st.button("Earlier", key="prompts-earlier", disabled=view.page == 0, on_click=_turn, args=(-1,))
        st.button("Later", key="prompts-later", disabled=view.page == pages - 1, on_click=_turn, args=(1,))
        st.html(f'<p class="dl-note">{html.escape(words)}</p>', width="content")


def _turn(step: int) -> None:
    current().page += step


@st.cache_data(show_spinner=False, max_entries=64)
def _rows(content: str, ids: tuple[str, ...], _cases: ImportedCases) -> list[dict[str, object]]:  # noqa: ARG001
    return [row_of(_cases.logged(case_id)) for case_id in ids]


def row_of(case: PromptCase) -> dict[str, object]:
    """One case in the table."""
    history = len({part.number for part in case.parts if part.kind == "history"})
    leak = any(finding.leak for finding in findings_of(case))
    return {
        "case": plain(case.case_id, 80),
        "true answer": "not known" if case.target is None else "in the prompt" if leak else "known",
        "demos": case.demo_count,
        "history": history,
        "options": len(case.options),
    }
