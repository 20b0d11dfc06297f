"""The list in which a candidate is selected for every view of a page."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app.widgets import tab


def candidate_picker(
    key: str, names: Mapping[str, str], item: str | None, hint: str | None = None, *, labelled: bool = True
) -> None:
    """`names`: id -> label of each candidate; `item` is selected."""
    st.session_state[key] = item
    st.selectbox(
        "Candidate",
        list(names),
        format_func=lambda item: names.get(item, item),
        key=key,
        index=None,
        on_change=_picked,
        args=(key,),
        placeholder="choose a candidate",
        help=hint,
        width=320,
        label_visibility="visible" if labelled else "collapsed",
    )


def _picked(key: str) -> None:
    if st.session_state[key] is not None:
        tab.select(item=st.session_state[key])
