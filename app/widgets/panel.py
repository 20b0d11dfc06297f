"""A chart with its title, its table twin, its alt text and its downloads."""

from __future__ import annotations

import html
from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app.headings import Heading, headings, scaled
from app.text import visible
from app.theme import CHART_CONFIG
from app.widgets import downloads
from core.words import NOTHING

LONG = 26
"""Rows from which a table scrolls inside its own frame."""


def section(title: str, note: str = "") -> None:
    """A heading with one line under it; `note` is our own HTML."""
    with st.container(key=f"head-{title.lower().replace(' ', '-')}"):
        st.html(f'<h2 class="dl-section">{html.escape(title)}</h2>{_under(note)}')


def switched(name: str, title: str, note: str, forms: list[str]) -> str:
    """A heading whose right end switches between forms of the same content; returns the chosen form."""
    with st.container(key=f"head-{name}", gap="xxsmall"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.html(f'<h2 class="dl-section">{html.escape(title)}</h2>', width="content")
            form = st.segmented_control(
                f"{title} as", forms, default=forms[0], required=True, key=f"form-{name}", label_visibility="collapsed"
            )
        if note:
            st.html(_under(note))
    return str(form)


def _under(note: str) -> str:
    return f'<p class="dl-note">{note}</p>' if note else ""


def panel(
    name: str,
    title: str,
    note: str,
    *,
    figure: Callable[[], go.Figure],
    table: Callable[[], pd.DataFrame],
    alt: str,
    on_pick: Callable[[str], None] | None = None,
) -> None:
    """One chart; "Table" shows the same numbers. `on_pick` is called with the chart's key after a click."""
    form = switched(name, title, note, ["Chart", "Table"])
    if form == "Table":
        twin(name, table(), alt=alt)
        return
    key = f"chart-{name}"
    picking: dict[str, Any] = {}
    if on_pick is not None:
        picking = {"selection_mode": "points", "on_select": partial(on_pick, key)}
    with st.container(key=f"wide-{name}"):
        st.plotly_chart(figure(), theme=None, config=CHART_CONFIG, key=key, alt=alt, **picking)


def twin(name: str, table: pd.DataFrame, *, alt: str) -> None:
    """A table on the screen: headings with units, rounded numbers, a dash for what is missing; and its downloads."""
    columns = headings(name, table)
    st.dataframe(
        literal(scaled(table, columns).replace("", None)),
        hide_index=True,
        key=f"table-{name}",
        alt=alt,
        height="content" if len(table) < LONG else 600,
        column_config={column: _column(heading) for column, heading in columns.items()},
        placeholder=NOTHING,
    )
    downloads.buttons(name, table)


def _column(heading: Heading) -> Any:
    if heading.digits is None:
        return heading.label
    return st.column_config.NumberColumn(heading.label, format=heading.digits)


def literal(table: pd.DataFrame) -> pd.DataFrame:
    """The table with invisible characters of its texts made visible."""
    return table.map(lambda value: visible(value) if isinstance(value, str) and value else value)
