"""A chart with its title, its table twin, its alt text and its downloads."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app.headings import Heading, headings, scaled
from app.text import visible
from app.theme import CHART_CONFIG
from app.widgets import downloads
from app.widgets.terms import terms
from core.words import NOTHING

LONG = 26
"""Rows from which a table scrolls inside its own frame."""


def section(title: str, note: str = "", *texts: str) -> None:
    """A heading with one line under it; `note` is our own HTML. `texts` stand below it: their terms are explained."""
    with st.container(key=f"head-{title.lower().replace(' ', '-')}", gap="xxsmall"):
        with _row_of(title):
            terms(title, note, *texts)
        _under(note)


def switched(name: str, title: str, note: str, forms: list[str], *texts: str) -> str:
    """A heading whose right end switches between forms of the same content; returns the chosen form.

    Beside the switch a popover explains the terms of the heading and of `texts`, which stand below it.
    """
    with st.container(key=f"head-{name}", gap="xxsmall"):
        with _row_of(title):
            terms(title, note, *texts)
            form = st.segmented_control(
                f"{title} as", forms, default=forms[0], required=True, key=f"form-{name}", label_visibility="collapsed"
            )
        _under(note)
    return str(form)


def _row_of(title: str) -> AbstractContextManager[object]:
    """A row with the title at its left end; what is drawn inside stands at its right end."""
    row = st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute")
    row.html(f'<h2 class="dl-section">{html.escape(title)}</h2>', width="content")
    return row.container(horizontal=True, vertical_alignment="center", width="content", gap="small")


def _under(note: str) -> None:
    if note:
        st.html(f'<p class="dl-note">{note}</p>')


def panel(
    name: str,
    title: str,
    note: str,
    *,
    figure: Callable[[], go.Figure],
    table: Callable[[], pd.DataFrame],
    alt: str,
    on_pick: Callable[[str], None] | None = None,
    names: Mapping[str, str] | None = None,
) -> None:
    """One chart; "Table" shows the same numbers. `on_pick` is called with the chart's key after a click.

    `names`: column of the table -> its heading, for columns that stand for an item each.
    """
    form = switched(name, title, note, ["Chart", "Table"], alt)
    if form == "Table":
        twin(name, table(), alt=alt, names=names)
        return
    key = f"chart-{name}"
    picking: dict[str, Any] = {}
    if on_pick is not None:
        picking = {"selection_mode": "points", "on_select": partial(on_pick, key)}
    with st.container(key=f"wide-{name}"):
        st.plotly_chart(figure(), theme=None, config=CHART_CONFIG, key=key, alt=alt, **picking)


def twin(name: str, table: pd.DataFrame, *, alt: str, names: Mapping[str, str] | None = None) -> None:
    """A table on the screen: headings with units, rounded numbers, a dash for what is missing; and its downloads.

    `names`: column -> its heading, where it has one of its own. Columns of ids stand in the downloads only.
    """
    columns = headings(name, table, names or {})
    st.dataframe(
        literal(scaled(table, columns).replace("", None)),
        hide_index=True,
        key=f"table-{name}",
        alt=alt,
        height="content" if len(table) < LONG else 600,
        column_order=[column for column, heading in columns.items() if heading.on_screen],
        column_config={column: _column(heading) for column, heading in columns.items()},
        placeholder=NOTHING,
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        downloads.buttons(name, table)
        terms(*(heading.label for heading in columns.values() if heading.on_screen))


def _column(heading: Heading) -> Any:
    if heading.digits is None:
        return heading.label
    return st.column_config.NumberColumn(heading.label, format=heading.digits)


def literal(table: pd.DataFrame) -> pd.DataFrame:
    """The table with invisible characters of its texts made visible."""
    return table.map(lambda value: visible(value) if isinstance(value, str) and value else value)
