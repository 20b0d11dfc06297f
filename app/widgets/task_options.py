"""Widgets for a task's own choices; each keeps its value in the draft of its page."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app.session import TaskView
from app.widgets import task_page as task


def number(
    kind: str, mine: TaskView, field: str, label: str, low: float, high: float, *, step: float, hint: str
) -> None:
    """A number; whole where `step` is whole."""
    key = f"in-{kind}-{field}"
    st.session_state[key] = getattr(mine.draft, field)
    st.number_input(label, low, high, step=step, key=key, on_change=_keep, args=(kind, field, key), help=hint)


def choice(kind: str, mine: TaskView, field: str, label: str, options: Mapping[object, str], hint: str = "") -> None:
    """One of several values."""
    key = f"in-{kind}-{field}"
    st.session_state[key] = getattr(mine.draft, field)
    st.selectbox(
        label,
        list(options),
        format_func=lambda one: options.get(one, str(one)),
        key=key,
        on_change=_keep,
        args=(kind, field, key),
        help=hint or None,
        filter_mode=None,
    )


def several(kind: str, mine: TaskView, field: str, label: str, options: Mapping[str, str], hint: str = "") -> None:
    """Some of several values, in their order; at least one."""
    key = f"in-{kind}-{field}"
    st.session_state[key] = list(getattr(mine.draft, field))
    st.multiselect(
        label,
        list(options),
        format_func=lambda one: options.get(one, one),
        key=key,
        on_change=_keep_several,
        args=(kind, field, key, list(options)),
        help=hint or None,
    )


def toggle(kind: str, mine: TaskView, field: str, label: str, hint: str = "") -> None:
    """Yes or no."""
    key = f"in-{kind}-{field}"
    st.session_state[key] = bool(getattr(mine.draft, field))
    st.toggle(label, key=key, on_change=_keep, args=(kind, field, key), help=hint or None)


def _keep(kind: str, field: str, key: str) -> None:
    task.change(kind, **{field: st.session_state[key]})


def _keep_several(kind: str, field: str, key: str, order: list[str]) -> None:
    chosen = [one for one in order if one in st.session_state[key]]
    if chosen:
        task.change(kind, **{field: tuple(chosen)})
