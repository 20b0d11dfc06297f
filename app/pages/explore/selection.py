"""Which demonstration and which candidate does every view show? By keyboard as well as by click."""

from __future__ import annotations

import streamlit as st

from app.sentences import demonstration, pair, target_row
from app.session import View
from app.text import unique_labels
from app.widgets import tab
from core.analysis.explain.explanation import Explanation

DEMO, ITEM = "pick-demo", "pick-item"


def bar(view: View, explanation: Explanation) -> None:
    """Pills for the demonstrations, a list for the candidates, and what the selection means in words."""
    demo, item = tab.selected_demo(view, explanation), tab.selected_item(view, explanation)
    labels = [row.label for row in explanation.demos]
    names = unique_labels([(row.item_id, row.title) for row in explanation.candidates])
    st.session_state[DEMO] = None if demo is None else labels[demo]
    st.session_state[ITEM] = item
    with st.container(key="selection", gap="xsmall"):
        _controls(labels, names, explanation, nothing=demo is None and item is None)
        st.html(f'<p class="dl-lead" role="status" aria-live="polite">{words(explanation, demo, item)}</p>')


def _controls(labels: list[str], names: dict[str, str], explanation: Explanation, *, nothing: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        if labels:
            st.pills("Demonstration", labels, key=DEMO, on_change=_demo_picked, args=(labels,))
        st.selectbox(
            "Candidate",
            [row.item_id for row in explanation.candidates],
            format_func=lambda one: names.get(one, one),
            key=ITEM,
            index=None,
            on_change=_item_picked,
            placeholder="choose a candidate",
            width=320,
        )
        st.button("Clear", key="clear-selection", on_click=tab.clear, disabled=nothing)


def words(explanation: Explanation, demo: int | None, item: str | None) -> str:
    """The selection in words, as HTML."""
    at = next((index for index, row in enumerate(explanation.candidates) if row.item_id == item), None)
    if demo is None and at is None:
        return '<span class="dl-quiet">Click a bar, a cell or a row, or use the controls: every view follows.</span>'
    if demo is None:
        return "Now choose a demonstration to see what it does to this candidate."
    about_target = at is None or explanation.candidates[at] is target_row(explanation)
    of_item = "" if at is None or about_target else pair(explanation, demo, at)
    return " ".join(filter(None, (demonstration(explanation, demo), of_item)))


def _demo_picked(labels: list[str]) -> None:
    chosen = st.session_state[DEMO]
    if chosen in labels:
        tab.select(demo=labels.index(chosen) + 1)


def _item_picked() -> None:
    if st.session_state[ITEM] is not None:
        tab.select(item=st.session_state[ITEM])
