"""How does a table leave the page: exact as JSON, and as CSV that no spreadsheet takes for a formula?"""

from __future__ import annotations

import json
import math
import re
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from core.question.task import Report

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""First characters that make a spreadsheet run a cell; the last four are the full-width signs."""
_START = re.compile(rf"(^|[;\t\r\n])(?=[\s\u200b\u2060\ufeff]*[{re.escape(''.join(FORMULA))}])")
"""Where a cell starts: at the text's start, or behind what a spreadsheet may part cells at instead of commas."""


def neutralised(value: Any) -> Any:
    """A text gets an apostrophe wherever a spreadsheet would begin to run it; numbers stay numbers."""
    return _START.sub(r"\1'", value) if isinstance(value, str) else value


def csv(table: pd.DataFrame) -> bytes:
    """RFC 4180 as UTF-8 with a byte order mark, so that spreadsheets read the titles rightly."""
    cells = {neutralised(name): [neutralised(value) for value in table[name]] for name in table.columns}
    safe = pd.DataFrame(cells, dtype=object)  # Texts of pandas' own kind cannot hold half a surrogate pair.
    return safe.to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig", "surrogatepass")


def records(table: pd.DataFrame) -> bytes:
    """The table as a JSON list of objects, exact; missing numbers are null."""
    rows = [{str(name): _exact(value) for name, value in row.items()} for row in table.to_dict("records")]
    return json.dumps(rows, ensure_ascii=True, indent=1, allow_nan=False).encode("ascii")


def _exact(value: Any) -> Any:
    if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value.item() if hasattr(value, "item") else value


def buttons(name: str, table: pd.DataFrame) -> None:
    """CSV and JSON of one table; the files are written on a press."""
    hints = {"csv": "Texts that a spreadsheet would take for a formula get an apostrophe before it.", "json": None}
    mimes = {"csv": "text/csv", "json": "application/json"}
    with st.container(horizontal=True, gap="small"):
        for form, content in (("csv", csv), ("json", records)):
            st.download_button(
                form.upper(),
                data=partial(content, table),
                file_name=f"demolens-{name}.{form}",
                mime=mimes[form],
                key=f"{form}-{name}",
                on_click="ignore",
                help=hints[form],
            )


def whole(report: Report, what: str, key: str) -> None:
    """Everything on the page as one JSON file."""
    st.download_button(
        f"Whole {what} (JSON)",
        data=lambda: report.model_dump_json(indent=1).encode("utf-8", "backslashreplace"),
        file_name=f"demolens-{what}-{key[:12]}.json",
        mime="application/json",
        key="json-whole",
        on_click="ignore",
    )
