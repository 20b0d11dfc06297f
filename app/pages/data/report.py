"""The report of files that are on their way: what they were taken for, each guess beside its control, and Add."""

from __future__ import annotations

import re
from pathlib import PurePath

import pandas as pd
import streamlit as st

from app import cached
from app.pages.data import corrections
from app.pages.data.state import choose, view
from app.settings import SETTINGS
from app.text import plain, safe_html, safe_label
from app.widgets import failures
from app.widgets.panel import literal, section
from core.data.data_report import DataReport
from core.data.intake.drafts import DraftState
from core.data.intake.limited_reading import ReadingOutcome
from core.data.names import NAME, RESERVED
from core.data.reading.import_choices import NOTHING_SAID
from core.data.report_sentences import Topic, report_sentences
from core.errors import DemoLensError
from core.words import counted, duration

NAMED_FILES = 4
"""Files that a heading names."""


def draft(state: DraftState) -> None:
    """The files on their way: how far their reading is, the report with its controls, and what to do with them."""
    section(f"What {_names(state.files)} {'is' if len(state.files) == 1 else 'are'} read as")
    if state.busy:
        _progress(state)
    outcome = state.outcome
    if outcome is not None:
        with st.container(key="draft-old" if state.busy else "draft"):
            _outcome(outcome, state)
    with st.container(horizontal=True, key="draft-ways"):
        if state.choices != NOTHING_SAID and not state.busy:
            st.button("Back to what was recognised", key="recognise", on_click=_recognise)
        st.button("Discard these files", key="discard", on_click=_discard, help="The files you dropped stay yours.")


def _names(files: tuple[str, ...]) -> str:
    more = f" and {len(files) - NAMED_FILES} more" if len(files) > NAMED_FILES else ""
    return ", ".join(plain(name) for name in files[:NAMED_FILES]) + more


def _progress(state: DraftState) -> None:
    @st.fragment(run_every=SETTINGS.poll_seconds)
    def line() -> None:
        now = cached.drafts().state(view().draft)
        if now is None or not now.busy:
            st.rerun(scope="app")
        with st.container(horizontal=True, vertical_alignment="center", key="reading"):
            label = now.label[:1].upper() + now.label[1:]
            failures.note(f"{label} · {duration(now.seconds)} so far")
            if state.outcome is not None:
                st.button("Cancel", key="cancel-reading", on_click=_stop)

    line()


def _outcome(outcome: ReadingOutcome, state: DraftState) -> None:
    if outcome.fault is not None:
        way = "Say below what is what, add files, or discard these." if outcome.heads else "Drop other files."
        failures.box("These files are no data set yet", corrections.on_page(f"{outcome.fault}."), way)
    report = None if outcome.prepared is None else outcome.prepared.report
    if report is not None:
        _sizes(report)
        _add(state)
    if outcome.heads:
        corrections.columns(outcome, state.choices)
        corrections.text(outcome, state.choices)
    if report is not None:
        _sentences(report, state)
    _first_rows(outcome)
    if report is not None:
        _rejected(report)
        failures.notices([corrections.on_page(notice) for notice in report.notices])


def _sizes(report: DataReport) -> None:
    share = report.ratings.like_share
    facts = {
        "format": report.format,
        "users": f"{report.users:,}",
        "items": f"{report.items:,}",
        "interactions": f"{report.interactions:,}",
        "liked": "all" if share is None else f"{100 * share:.0f} %",
        "lines not read": f"{report.rejected:,}",
    }
    cells = "".join(f"<div><dt>{name}</dt><dd>{safe_html(value)}</dd></div>" for name, value in facts.items())
    st.html(f'<dl class="dl-readouts">{cells}</dl>')


def _sentences(report: DataReport, state: DraftState) -> None:
    left, right = st.columns([1, 2], gap="medium")
    with left:
        corrections.likes(report, state.choices)
        corrections.times(report, state.choices)
    topics: tuple[Topic, ...] = ("Files", "Ratings", "Times", "Titles", "Repeats")
    with right:
        st.html(sentences_html(report, topics))


def sentences_html(report: DataReport, topics: tuple[Topic, ...]) -> str:
    """What the report says, by topic."""
    rows = report_sentences(report)
    entries = []
    for topic in topics:
        texts = [row.text for row in rows if row.topic == topic]
        lines = "<br>".join(safe_html(f"{text[:1].upper()}{text[1:]}.") for text in texts)
        entries += [f"<dt>{topic}</dt><dd>{lines}</dd>"] if texts else []
    return f'<dl class="dl-facts">{"".join(entries)}</dl>'


def _first_rows(outcome: ReadingOutcome) -> None:
    heads = [head for head in outcome.heads if head.rows]
    if not heads:
        return
    with st.expander("First rows", expanded=outcome.prepared is None):
        for place, head in enumerate(heads[:NAMED_FILES]):
            failures.note(f"{head.name}, as it stands in the file:")
            names = [f"{number}: {plain(name)}" for number, name in enumerate(head.headings, 1)]
            table = literal(pd.DataFrame(list(head.rows), columns=names))
            st.dataframe(table, hide_index=True, key=f"head-{place}", alt=f"First rows of {plain(head.name)}")


def _rejected(report: DataReport) -> None:
    if not report.rejected:
        return
    rows = [
        {"file": row.file, "line": row.line, "why": row.problem, "expected": row.expected}
        for row in report.rejected_first
    ]
    with st.expander(f"{counted(report.rejected, 'line')} not read"):
        if report.rejected > len(rows):
            failures.note(f"The first {len(rows)}:")
        st.dataframe(literal(pd.DataFrame(rows)), hide_index=True, key="rejected", alt="Lines that are not read")


def _add(state: DraftState) -> None:
    page = view()
    name = page.name or proposed_name(state.files, cached.added_names())
    with st.container(horizontal=True, vertical_alignment="bottom", key="add-row"):
        st.session_state["data-name"] = name
        st.text_input(
            "Name",
            key="data-name",
            max_chars=64,
            on_change=_named,
            help="Letters, digits, dots, - and _; every page and command knows the data by it.",
        )
        st.button(
            f"Add as {safe_label(name)}",
            key="add",
            type="primary",
            on_click=_added,
            args=(name,),
            disabled=state.busy,
            help="Stores the data in your DemoLens folder; nothing is stored before.",
        )


def proposed_name(files: tuple[str, ...], taken: tuple[str, ...]) -> str:
    """A name after the first file that no data set has."""
    stem = PurePath(files[0]).name.partition(".")[0] if files else ""
    plain_stem = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:48]
    name = plain_stem if NAME.fullmatch(plain_stem) and plain_stem not in RESERVED else "data"
    numbered = (name if number == 1 else f"{name}-{number}" for number in range(1, len(taken) + 2))
    return next(each for each in numbered if each not in taken)


def _named() -> None:
    view().name = st.session_state["data-name"].strip()


def _added(name: str) -> None:
    page = view()
    page.notice = ""
    try:
        page.added = cached.drafts().add(page.draft, name).name
    except DemoLensError as fault:
        page.notice = corrections.on_page(str(fault))
    else:
        page.draft = page.name = ""


def _recognise() -> None:
    choose(**NOTHING_SAID.model_dump())


def _stop() -> None:
    cached.drafts().stop(view().draft)


def _discard() -> None:
    page = view()
    cached.drafts().discard(page.draft)
    page.draft = page.name = page.notice = ""
