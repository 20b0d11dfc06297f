"""Book-Crossing (Ziegler 2005): ratings, books and readers as quoted fields between semicolons."""

from __future__ import annotations

from core.data.reading.delimited import Delimited
from core.data.reading.probe import FileProbe
from core.data.reading.shapes import DataFormat, FileKind, FileShape, Taken, shaped

_NOTE = "Rating 0 means that the book was met and not rated, as Book-Crossing says; there are no times."


def _layout(probe: FileProbe, *columns: str) -> Delimited | None:
    for delimiter in (";", ","):
        rows = probe.rows(delimiter)
        if rows and set(columns) <= set(rows[0]):
            return Delimited(delimiter, rows[0], quote='"', escape="\\" if delimiter == ";" else "")
    return None


def _ratings(probe: FileProbe) -> FileShape | None:
    layout = _layout(probe, "User-ID", "ISBN", "Book-Rating")
    taken: Taken = {"user": "User-ID", "item": "ISBN", "rating": "Book-Rating"}
    return shaped(layout, taken, not_rated=(0.0,), notes=(_NOTE,))


def _books(probe: FileProbe) -> FileShape | None:
    layout = _layout(probe, "ISBN", "Book-Title")
    return shaped(layout, {"item": "ISBN", "title": "Book-Title"})


def _readers(probe: FileProbe) -> FileShape | None:
    layout = _layout(probe, "User-ID", "Location")
    return shaped(layout)


BOOK_CROSSING = DataFormat(
    name="book-crossing",
    words="Book-Crossing: BX-Book-Ratings.csv and BX-Books.csv",
    kinds=(
        FileKind("interactions", "Book-Crossing ratings", _ratings),
        FileKind("items", "Book-Crossing books", _books),
        FileKind("other", "Book-Crossing readers", _readers),
    ),
)
