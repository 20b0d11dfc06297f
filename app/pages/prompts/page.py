"""Prompts that somebody else wrote: dropped as logged, cut into parts, corrected by hand, handed to Explore."""

from __future__ import annotations

import streamlit as st

from app.pages.prompts import case_section, case_table, intake, prompts_view
from app.pages.prompts.prompts_view import PromptsView
from app.theme import style
from app.widgets import case_files, pickers, tab
from app.widgets.terms import glossary
from core.errors import DemoLensError
from core.prompt.imported.stored_cases import StoredCases, remove_stored, stored_files, stored_named

TITLE = "Explain prompts that your own recommender has sent."
LEAD = (
    "Drop the log of its calls. Each prompt is cut into pinned text, demonstrations or history items, query and answer "
    "options; Explore then shows what each of them adds to the answer. Nothing leaves this machine."
)
FORMATS = (
    "DemoLens reads chat lines, batches and requests of OpenAI's form; spans of OpenInference, Phoenix and "
    "OpenTelemetry; files of Langfuse, LangSmith, LangChain, DSPy, lm-eval, Inspect and promptfoo; tables with a "
    "prompt column; a template with its table; plain text; and case files."
)
STORED = "in-stored-cases"


def show() -> None:
    """The page."""
    st.html(style(tab.colours()))
    view = prompts_view.arrived()
    row = None if view.name is None else stored_named(view.name)
    if row is None:
        st.html(f'<h1 class="dl-headline">{TITLE}</h1><p class="dl-lead">{LEAD}</p>')
    intake.intake(view)
    row = None if view.name is None else stored_named(view.name)
    with st.sidebar:
        pickers.brand()
        _stored(view)
        glossary()
    intake.refusal(view)
    pickers.fault(view.notice)
    if row is None:
        st.html(f'<p class="dl-note">{FORMATS}</p>')
    elif not view.refusal:
        _opened(view, row)
    prompts_view.write_link(view)


def _opened(view: PromptsView, row: StoredCases) -> None:
    try:
        cases = view.cases
        case_table.summary(row, len(cases.case_ids))
        case_table.search(view, cases.case_ids)
        left, right = st.columns([1.75, 1], gap="medium")
        with left:
            case_section.case_section(row.name, view.case_id)
        with right:
            case_table.cases_table(view, cases)
    except DemoLensError as fault:
        pickers.fault(str(fault))


def _stored(view: PromptsView) -> None:
    """The files that were taken in before."""
    rows = {row.name: row for row in stored_files()}
    if not rows:
        return
    st.session_state[STORED] = view.name if view.name in rows else None
    st.selectbox(
        "Stored prompts",
        list(rows),
        format_func=lambda name: case_files.label_of(rows[name]),
        key=STORED,
        on_change=_picked,
        placeholder="Choose a file",
        help="Case files that were taken in before, the newest first.",
        filter_mode="fuzzy",
    )
    if view.name is not None:
        with st.popover("Remove this file …", type="tertiary"):
            st.html('<p class="dl-note">Links to its cases stop working. Stored results stay.</p>')
            st.button("Remove it", key="prompts-remove", on_click=_remove)


def _picked() -> None:
    view = prompts_view.current()
    view.notice = view.refusal = ""
    try:
        view.open(st.session_state[STORED])
    except DemoLensError as fault:
        view.notice = str(fault)


def _remove() -> None:
    view = prompts_view.current()
    try:
        if view.name is not None:
            remove_stored(view.name)
        view.open(None)
    except DemoLensError as fault:
        view.notice = str(fault)


show()
