"""A chart with its title, its table twin, its alt text and its downloads."""

from __future__ import annotations

import html
from collections.abc import Callable

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app.components import downloads
from app.text import visible
from app.theme import CHART_CONFIG


def section(title: str, note: str = "") -> None:
    """A heading with one line under it; `note` is our own HTML."""
    under = f'<p class="dl-note">{note}</p>' if note else ""
    st.html(f'<h2 class="dl-section">{html.escape(title)}</h2>{under}')


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
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        with st.container(width="stretch"):
            section(title, note)
        form = st.segmented_control(
            f"{title} as",
            ["Chart", "Table"],
            default="Chart",
            required=True,
            key=f"form-{name}",
            label_visibility="collapsed",
        )
    if form == "Table":
        shown = table()
        st.dataframe(
            literal(shown), hide_index=True, key=f"table-{name}", alt=alt, height="content" if len(shown) < 26 else 600
        )
        downloads.buttons(name, shown)
        return
    key = f"chart-{name}"
    if on_pick is None:
        st.plotly_chart(figure(), theme=None, config=CHART_CONFIG, key=key, alt=alt)
    else:
        st.plotly_chart(
            figure(),
            theme=None,
            config=CHART_CONFIG,
            key=key,
            alt=alt,
            selection_mode="points",
            on_select=lambda: on_pick(key),
        )


def literal(table: pd.DataFrame) -> pd.DataFrame:
    """The table with invisible characters of its texts made visible."""
    return table.map(lambda value: visible(value) if isinstance(value, str) and value else value)
