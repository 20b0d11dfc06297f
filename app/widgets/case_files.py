"""The choice of a case file: one that the page Prompts has taken in, by its name, or a path that is typed."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app.text import option
from app.widgets import fields
from core.prompt.imported.stored_cases import StoredCases, stored_files

KEY = "in-cases"
NONE = "none: prompts are made from data"


def label_of(row: StoredCases) -> str:
    """The name of a stored case file, with the beginning of its hash: names may repeat."""
    return f"{option(row.words)} · {row.name[:4]}"


def field(on_change: Callable[[str, str], None]) -> None:
    """The field of the side bar; `on_change` gets the choice's name and the hash, the path, or nothing for none."""
    chosen = fields.value("cases") or ""
    words = {"": NONE} | {row.name: label_of(row) for row in stored_files()}
    st.session_state[KEY] = chosen
    st.selectbox(
        "Case file",
        list(words) if chosen in words else [chosen, *words],
        format_func=lambda name: words.get(name) or option(name),
        key=KEY,
        on_change=lambda: on_change("cases", (st.session_state[KEY] or "").strip()),
        accept_new_options=True,
        help="Finished prompts that the page Prompts has taken in; the path of a case file can be typed.",
        filter_mode="fuzzy",
    )
