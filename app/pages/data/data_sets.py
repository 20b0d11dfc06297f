"""The data sets that were added: what each is, its report, its way to Explore, and its removal."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from app import cached
from app.pages.data.corrections import on_page
from app.pages.data.report import sentences_html
from app.pages.data.state import view
from app.text import safe_html, safe_label
from app.widgets import failures, tab
from app.widgets.next_steps import go
from app.widgets.panel import section
from core.analysis.subject import Subject
from core.comparison.default_choices import with_default_choices
from core.data.names import NamedDataset, named_dataset, remove_named
from core.errors import DemoLensError
from core.question.case_spec import CaseSpec
from core.question.task import TargetTask, Task
from core.words import counted

TRIED_USERS = 20
"""Users among whom one is looked for whose case can be run."""
PASSED_ON = ("model", "adapter", "device", "dtype")
"""Choices of the tab that a case on other data keeps."""


def data_sets() -> None:
    """All of them; before the first one, what to do."""
    section("Your data sets")
    names = cached.added_names()
    if not names:
        failures.note("None yet. Drop a file above; until then every page shows the sample, MovieLens.")
    for name in names:
        with st.container(border=True, key=f"set-{name}"):
            _row(name)


def _row(name: str) -> None:
    try:
        entry = named_dataset(name)
    except DemoLensError as fault:
        failures.box(f"{name} cannot be opened", f"{fault}.")
        _removal(name)
        return
    if entry is None:
        return
    st.html(_facts(entry))
    with st.container(horizontal=True, vertical_alignment="center", key=f"ways-{name}"):
        open_button(name, key=f"open-{name}")
        _removal(name)
    with st.expander("What it was read as"):
        st.html(sentences_html(entry.report, ("Files", "Ratings", "Times", "Titles", "Repeats")))
        failures.notices([on_page(notice) for notice in entry.report.notices])


def _facts(entry: NamedDataset) -> str:
    report = entry.report
    sizes = (
        f"{counted(report.users, 'user')}, {counted(report.items, report.noun)},"
        f" {counted(report.interactions, 'interaction')}"
    )
    source = f"{report.format}, from {', '.join(entry.files[:4])}; added {_day(entry.added)}"
    title = f'<h3 class="dl-section">{safe_html(entry.name)}</h3>'
    return f'{title}<p class="dl-lead">{safe_html(sizes)}.</p><p class="dl-note">{safe_html(source)}.</p>'


def _day(moment: str) -> str:
    try:
        time = datetime.fromisoformat(moment)
    except ValueError:
        return "at an unknown time"
    return f"{time.day} {time:%B %Y, %H:%M} UTC"


def open_button(name: str, *, key: str, primary: bool = False) -> None:
    """Explore on a data set, with a user of it."""
    label = f"Open {safe_label(name)} in Explore" if primary else "Open in Explore"
    hint = "Picks a user of these data and explains that user's list."
    if st.button(label, key=key, type="primary" if primary else "secondary", help=hint):
        try:
            case = case_on(name)
        except DemoLensError as fault:
            failures.note(f"{fault}.")
        else:
            go("explain", TargetTask(case=case), runs=True)


def case_on(name: str) -> CaseSpec:
    """A case on a data set: of its first user whose case can be run, with the model of this tab.

    Raises `DataError` where the data cannot be opened or no user makes a case.
    """
    shared = tab.view().shared.case
    case = CaseSpec(dataset=name, **{field: getattr(shared, field) for field in PASSED_ON})
    cached.agree(name)
    users = cached.case_users(name, case.split, TRIED_USERS)
    case = case.model_copy(update={"user": users[0]})
    case = case.model_copy(update=with_default_choices(case, None, cached.choice_for(case)))
    cases = (case.model_copy(update={"user": user}) for user in users)
    return next((each for each in cases if isinstance(cached.preview(Task(case=each)), Subject)), case)


def _removal(name: str) -> None:
    page = view()
    if page.removal != name:
        st.button("Remove", key=f"remove-{name}", on_click=_ask, args=(name,))
        return
    failures.note(f"Remove {name}? Its copy in DemoLens is deleted; the files that it came from stay.")
    st.button(f"Remove {safe_label(name)}", key=f"removed-{name}", on_click=_remove, args=(name,), type="primary")
    st.button("Keep it", key=f"keep-{name}", on_click=_ask, args=("",))


def _ask(name: str) -> None:
    view().removal = name


def _remove(name: str) -> None:
    page = view()
    page.removal = page.notice = ""
    try:
        remove_named(name)
    except DemoLensError as fault:
        page.notice = str(fault)
    if page.added == name:
        page.added = ""
