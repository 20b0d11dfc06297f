"""What one browser tab looks at on the page Prompts; kept between reruns."""

from __future__ import annotations

from dataclasses import dataclass, field

import streamlit as st

from app.session import View
from app.widgets import tab
from core.errors import DemoLensError
from core.prompt.imported.case_file import PromptCase
from core.prompt.imported.imported_cases import ImportedCases, is_stored, open_cases
from core.prompt.imported.stored_cases import unknown_file

PAGE, STATE = "prompts", "prompts-view"
CASES, CASE = "cases", "case"
"""Parameters of the link: the hash of a stored case file, and the id of a case in it."""


@dataclass
class CaseDraft:
    """One case as a person has changed it."""

    states: list[PromptCase]
    """As stored, then after each correction; the last one counts."""
    revision: int = 0
    """How many corrections the page has answered, undone ones included."""
    active: int = 0
    """The part in hand."""
    news: str = ""
    """What the last correction did, for those who do not see it."""

    @property
    def case(self) -> PromptCase:
        """As it is now."""
        return self.states[-1]

    @property
    def changed(self) -> bool:
        """Whether it differs from what is stored."""
        return self.states[-1] != self.states[0]


@dataclass
class PromptsView:
    """What the tab looks at."""

    name: str | None = None
    """The hash of the case file."""
    case_id: str = ""
    page: int = 0
    """Of the table of cases, from 0."""
    drafts: dict[str, CaseDraft] = field(default_factory=dict)
    """The cases of this file that a person has looked at, by their ids."""
    notice: str = ""
    """What could not be used or done, in one sentence."""
    refusal: str = ""
    """Why the files in hand could not be imported."""
    taken: object = None
    """Which files with which choices were imported last."""
    written: dict[str, str] = field(default_factory=dict)
    """The link as the page last wrote it."""

    def open(self, name: str | None, case_id: str = "") -> None:
        """Look at another case file, at its first case where none is named; raises `DataError`."""
        if name is not None:
            cases = open_cases(name)
            case_id = case_id if case_id in cases.case_ids else cases.case_ids[0]
        if name != self.name:
            self.drafts, self.page = {}, 0
        self.name, self.case_id = name, case_id

    @property
    def cases(self) -> ImportedCases:
        """The opened case file; raises `DataError`."""
        assert self.name is not None
        return open_cases(self.name)

    @property
    def draft(self) -> CaseDraft:
        """The selected case with its corrections; raises `DataError`."""
        if self.case_id not in self.drafts:
            self.drafts[self.case_id] = CaseDraft([self.cases.logged(self.case_id)])
        return self.drafts[self.case_id]

    @property
    def changes(self) -> dict[str, PromptCase]:
        """The cases that differ from what is stored, by their ids."""
        return {case_id: draft.case for case_id, draft in self.drafts.items() if draft.changed}


def current() -> PromptsView:
    """What the tab looks at."""
    view: PromptsView = st.session_state[STATE]
    return view


def arrived() -> PromptsView:
    """The same, after what the link says: it names a stored case file by the hash of its content, never a path."""
    shared: View = st.session_state.setdefault(tab.VIEW, View())
    view: PromptsView = st.session_state.setdefault(STATE, PromptsView())
    moved, shared.page = shared.page != PAGE, PAGE
    link = {name: value for name in (CASES, CASE) if (value := st.query_params.get(name))}
    if CASES in link and (moved or link != view.written):
        _follow(view, link)
    if view.name is not None and not is_stored(view.name):
        view.notice, view.name = str(unknown_file(view.name)), None
    return view


def _follow(view: PromptsView, link: dict[str, str]) -> None:
    name = link.get(CASES, "")
    view.notice = ""
    if not is_stored(name):
        view.notice = str(unknown_file(name))
        return
    try:
        view.open(name, link.get(CASE, ""))
    except DemoLensError as fault:
        view.notice = str(fault)


def write_link(view: PromptsView) -> None:
    """Put what is looked at into the address."""
    view.written = {} if view.name is None else {CASES: view.name, CASE: view.case_id}
    if dict(st.query_params) != view.written:
        st.query_params.from_dict(view.written)
