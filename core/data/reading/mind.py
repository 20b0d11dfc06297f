"""MIND, the Microsoft News data set (https://msnews.github.io/): impressions with clicks, and news."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from core.data.reading.delimited import Delimited
from core.data.reading.layouts import LINE
from core.data.reading.probe import FileProbe, all_match
from core.data.reading.shapes import DataFormat, FileKind, FileShape, Reshaped, Taken, shaped
from core.data.reading.text_times import seconds_of

BEFORE = 1.0
"""Seconds between a user's history and the first impression."""
_MOMENT = r"\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d\d:\d\d [AP]M"
_NOTES = (
    "Each item of an impression is one interaction: clicked is Yes, not clicked is No.",
    "A user's history is read from the user's first line, as clicks one second before it; their real times are not in"
    " the files.",
)
_HIDDEN = "The impressions do not say what was clicked, as in the test part: only the histories are read."


def _behaviors(probe: FileProbe) -> FileShape | None:
    rows = probe.table("\t", 5)
    if not rows or not all_match(rows, 2, _MOMENT) or not all_match(rows, 4, r"(N\d+(-[01])?\s*)*"):
        return None
    names = ("impression", "user", "time", "history", "impressions")
    inner = Delimited("\t", names, header=False, named_by="behaviors.tsv has")
    layout = Reshaped(inner, names[1:], ("user", "item", "label", "time"), _Clicks, ("impression",))
    taken: Taken = {"user": "user", "item": "item", "rating": "label", "time": "time"}
    hidden = not any("-" in row[4] for row in rows)
    return shaped(layout, taken, time_unit="seconds", notes=(*_NOTES, _HIDDEN) if hidden else _NOTES)


class _Clicks:
    """Rows of single items; remembers whose history was read."""

    def __init__(self) -> None:
        self._met: set[str] = set()

    def __call__(self, table: pa.Table) -> pa.Table:
        users, histories, impressions = (table.column(n).to_pylist() for n in ("user", "history", "impressions"))
        seconds, lines = seconds_of(table.column("time")), table.column(LINE).to_pylist()
        rows: list[tuple[int, str | None, str, str | None, float]] = []
        for line, user, moment, history, impression in zip(lines, users, seconds, histories, impressions, strict=True):
            if user not in self._met:
                self._met.add(user)
                rows += [(line, user, item, "1", moment - BEFORE) for item in (history or "").split()]
            for part in (impression or "").split():
                item, mark, clicked = part.partition("-")
                rows += [(line, user, item, clicked, moment)] if mark else []
        columns = list(zip(*rows, strict=True)) or [()] * 5
        kinds = (pa.int64(), pa.string(), pa.string(), pa.string())
        arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=False)]
        moments = np.asarray(columns[4], dtype=np.float64)
        arrays.append(pa.array(moments, pa.float64(), mask=np.isnan(moments)))
        return pa.table(arrays, names=[LINE, "user", "item", "label", "time"])


def _news(probe: FileProbe) -> FileShape | None:
    rows = probe.table("\t", 8)
    if not rows or not all_match(rows, 0, r"N\d+"):
        return None
    names = ("item", "category", "subcategory", "news_title", "abstract", "url", "title_entities", "abstract_entities")
    layout = Delimited("\t", names, header=False, named_by="news.tsv has")
    return shaped(layout, {"item": "item", "title": "news_title", "categories": "category"})


MIND = DataFormat(
    name="mind",
    words="MIND news: behaviors.tsv and news.tsv",
    kinds=(
        FileKind("interactions", "MIND behaviors.tsv", _behaviors),
        FileKind("items", "MIND news.tsv", _news),
    ),
)
