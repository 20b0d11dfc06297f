"""The data of a person: files come in, are shown as they are read, and become data sets by name."""

from __future__ import annotations

import streamlit as st

from app.pages.data import bringing, data_sets, report
from app.pages.data.state import draft, view
from app.session import View
from app.theme import style
from app.widgets import failures, pickers, tab
from app.widgets.terms import glossary

LEAD = (
    "Drop the interactions of your users with your items, and the titles of the items where they stand in a file of "
    "their own. You see what each column is read as before anything is stored. Nothing leaves this machine."
)


def show() -> None:
    """The files on their way, and the data sets that are there."""
    st.html(style(tab.colours()))
    st.session_state.setdefault(tab.VIEW, View())
    page, state = view(), draft()
    with st.sidebar:
        pickers.brand()
        glossary()
    st.html(f'<h1 class="dl-headline">Your own data</h1><p class="dl-lead">{LEAD}</p>')
    pickers.fault(page.notice)
    if page.added:
        _added(page.added)
    bringing.bring(more=state is not None)
    if state is not None:
        report.draft(state)
    data_sets.data_sets()


def _added(name: str) -> None:
    failures.box(f"{name} is added", "Every page offers it under Data, and every command under its name.")
    data_sets.open_button(name, key="open-added", primary=True)


show()
