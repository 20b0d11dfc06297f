"""A widget for a choice of the page's draft or of its case, by the name of its field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import streamlit as st

from app.text import option
from app.widgets import tab
from core.question.case_spec import CaseSpec


def value(field: str) -> Any:
    """What the draft says."""
    task = tab.current().draft
    return getattr(task.case if field in CaseSpec.model_fields else task, field)


def choice(
    field: str,
    label: str,
    options: Mapping[str, str],
    hint: str | None = None,
    filter_mode: Literal["fuzzy"] | None = None,
    *,
    disabled: bool = False,
) -> None:
    """One of several values with their words; an empty one stands for None."""
    key, chosen = _key(field), value(field) or ""
    words = options if chosen in options else {**options, chosen: option(chosen)}
    st.session_state[key] = chosen
    st.selectbox(
        label,
        list(words),
        format_func=lambda name: words.get(name, name),
        key=key,
        on_change=lambda: tab.change(**{field: st.session_state[key] or None}),
        help=hint,
        filter_mode=filter_mode,
        disabled=disabled,
    )


def several(field: str, label: str, options: Mapping[str, str], hint: str) -> None:
    """Some of several values, in their order; at least one."""
    key = _key(field)
    st.session_state[key] = list(value(field))
    st.multiselect(
        label,
        list(options),
        format_func=lambda name: options.get(name, name),
        key=key,
        on_change=_change_several,
        args=(field, list(options)),
        help=hint,
    )


def _change_several(field: str, order: list[str]) -> None:
    chosen = tuple(name for name in order if name in st.session_state[_key(field)])
    if chosen:
        tab.change(**{field: chosen})


def number(
    field: str,
    label: str,
    low: float,
    high: float,
    hint: str,
    *,
    step: float = 1,
    form: str | None = None,
    disabled: bool = False,
) -> None:
    """A number; whole where `low`, `high` and `step` are whole."""
    key = _key(field)
    st.session_state[key] = value(field)
    st.number_input(
        label,
        low,
        high,
        step=step,
        format=form,
        key=key,
        on_change=_change,
        args=(field,),
        help=hint,
        disabled=disabled,
    )


def toggle(field: str, label: str, hint: str) -> None:
    """Yes or no."""
    key = _key(field)
    st.session_state[key] = value(field)
    st.toggle(label, key=key, on_change=_change, args=(field,), help=hint)


def text(field: str, label: str, hint: str, on_change: Callable[[str, str], None]) -> None:
    """A line of text; `on_change` gets the field and the text without spaces around it."""
    key = _key(field)
    st.session_state[key] = value(field) or ""
    st.text_input(
        label, key=key, max_chars=500, on_change=lambda: on_change(field, st.session_state[key].strip()), help=hint
    )


def _key(field: str) -> str:
    return f"in-{field}"


def _change(field: str) -> None:
    tab.change(**{field: st.session_state[_key(field)]})
