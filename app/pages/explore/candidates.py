"""What is recommended, and how the demonstrations changed the order."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from app.charts import ranks
from app.pages.explore.selection import selected_item
from app.theme import CHART_CONFIG, Palette
from app.widgets import downloads, tab
from app.widgets.panel import literal, switched
from core import columns
from core.analysis.explain.explanation import Explanation
from core.words import NOTHING

IN_VIEW = 24
"""Most candidates that are listed without scrolling within the list."""
ROW, HEAD = 24, 38
"""Pixels of a candidate's row, and of the heading above them."""


def candidates(explanation: Explanation, colours: Palette) -> None:
    """The ranked candidates as a list or as a slope chart."""
    first = " The target and the selected candidate stand first." if len(explanation.candidates) > IN_VIEW else ""
    count, case = len(explanation.candidates), explanation.task.case
    short = case.candidate_ids is None and not case.imported and count < case.candidates
    few = f"Only {count} of the {case.candidates} asked for. " if short else ""
    note = f"{few}◆ {case.truth_mark}.{first} ▲ ▼ places won or lost through the demonstrations."
    form = switched("candidates", "Recommendations", note, ["List", "Chart"])
    if form == "Chart":
        key = "chart-ranks"
        st.plotly_chart(
            ranks.figure(explanation, colours, item=selected_item(explanation)),
            theme=None,
            config=CHART_CONFIG,
            key=key,
            alt=ranks.alt(explanation),
            selection_mode="points",
            on_select=partial(tab.pick, key, item=str),
        )
    else:
        _list(explanation)
    downloads.buttons("candidates", ranks.table(explanation))


def _list(explanation: Explanation) -> None:
    chosen = selected_item(explanation)
    full = in_view(ranks.table(explanation), chosen)
    rows = {row.item_id: row for row in explanation.candidates}
    cells = literal(full)
    cells = cells.assign(
        change=[ranks.change(rows[item]) for item in full[columns.ITEM]],
        title=[
            ("◆ " if rows[item].is_target else "") + title
            for item, title in zip(full[columns.ITEM], cells[columns.TITLE], strict=True)
        ],
    )
    at = [place for place, item in enumerate(full[columns.ITEM]) if item == chosen]
    key = f"candidates-{tab.current().revisions['item']}"
    config = st.column_config
    blended = [name for name in ("model_rank",) if name in full]
    st.dataframe(
        cells,
        hide_index=True,
        key=key,
        row_height=ROW,
        height="content" if len(cells) <= IN_VIEW else HEAD + ROW * IN_VIEW,
        on_select=lambda: _row(key, list(full[columns.ITEM])),
        selection_mode=["single-row", "single-cell"],
        selection_default={"selection": {"rows": at}} if at else None,
        placeholder=NOTHING,
        alt=ranks.alt(explanation),
        column_order=[columns.RANK, columns.TITLE, "change", "rank_without", *blended, columns.SCORE],
        column_config={
            columns.RANK: config.NumberColumn("place", width=44),
            columns.TITLE: config.TextColumn("title", width=148),
            "change": config.TextColumn("moved", width=52),
            "rank_without": config.NumberColumn("without", width=54),
            "model_rank": config.NumberColumn("no blend", width=60),
            columns.SCORE: config.NumberColumn("score (nats)", format="%.2f", width=78),
        },
    )


def in_view(table: pd.DataFrame, chosen: str | None) -> pd.DataFrame:
    """The candidates, best first; in a list that scrolls, the target and the chosen one come before them."""
    if len(table) <= IN_VIEW:
        return table
    leading = table["chosen_next"] | (table[columns.ITEM] == chosen)
    return pd.concat([table[leading], table[~leading]], ignore_index=True)


def _row(key: str, ids: list[str]) -> None:
    if (place := tab.picked_row(key)) is not None:
        in_table = not st.session_state[key]["selection"].get("cells")  # A cell marks no row: the table is drawn anew.
        tab.select(item=ids[place], in_table=in_table)
