"""What a tab looks at on the Data page."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from app import cached
from core.data.intake.drafts import DraftState
from core.data.reading.import_choices import DataChoices
from core.errors import DemoLensError
from core.question.checked import checked


@dataclass
class DataView:
    """What one tab looks at; kept between reruns."""

    draft: str = ""
    """The id of the files that are on their way; empty for none."""
    uploads: int = 0
    """How often files were sent: the field for them is drawn anew, empty, each time."""
    notice: str = ""
    """What could not be done, in one sentence."""
    name: str = ""
    """The name that a person typed for the data; empty for the one that is proposed."""
    added: str = ""
    """The data set that was added last."""
    removal: str = ""
    """The data set whose removal waits for a second press."""


def view() -> DataView:
    """This tab's."""
    state: DataView = st.session_state.setdefault("data-view", DataView())
    return state


def draft() -> DraftState | None:
    """The files on their way; None for none."""
    page = view()
    state = cached.drafts().state(page.draft) if page.draft else None
    if page.draft and state is None:
        page.draft, page.notice = "", "The files were set aside for newer ones of other tabs. Drop them again."
    return state


def choose(**choices: object) -> None:
    """Read the files again under other choices."""
    page, state = view(), draft()
    if state is None:
        return
    page.notice = ""
    try:
        changed = checked(DataChoices, "choice", state.choices.model_dump() | choices)
    except DemoLensError as fault:
        page.notice = str(fault)
    else:
        cached.drafts().read(page.draft, changed)
