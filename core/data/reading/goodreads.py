"""Goodreads as UCSD distributes it (https://cseweb.ucsd.edu/~jmcauley/datasets/goodreads.html); Yelp."""

from __future__ import annotations

from core.data.reading.delimited import Delimited
from core.data.reading.probe import FileProbe
from core.data.reading.records import RecordLines
from core.data.reading.shapes import DataFormat, FileKind, FileShape, Taken, shaped

_ZERO = "Rating 0 means that the book is on a shelf and not rated, as Goodreads says."
_CODES = "The ids are codes of book_id_map.csv, not those of goodreads_books.json; there are no times."


def _shelves(probe: FileProbe) -> FileShape | None:
    header = ("user_id", "book_id", "is_read", "rating", "is_reviewed")
    if not probe.lines or tuple(probe.lines[0].split(",")) != header:
        return None
    taken: Taken = {"user": "user_id", "item": "book_id", "rating": "rating"}
    return shaped(Delimited(",", header), taken, not_rated=(0.0,), notes=(_ZERO, _CODES))


def _records(probe: FileProbe, *keys: str) -> RecordLines | None:
    if probe.notation != "json" or not set(keys) <= set(probe.keys):
        return None
    return RecordLines("json", probe.keys, array=probe.array)


def _reviews(probe: FileProbe) -> FileShape | None:
    layout = _records(probe, "user_id", "book_id", "rating")
    time = next((key for key in ("date_added", "date_updated") if key in probe.keys), None)
    if layout is None or time is None:
        return None
    taken: Taken = {"user": "user_id", "item": "book_id", "rating": "rating", "time": time}
    return shaped(layout, taken, not_rated=(0.0,), notes=(_ZERO,))


def _books(probe: FileProbe) -> FileShape | None:
    layout = _records(probe, "book_id", "title")
    return None if "user_id" in probe.keys else shaped(layout, {"item": "book_id", "title": "title"})


def _maps(probe: FileProbe) -> FileShape | None:
    headers = ("book_id_csv,book_id", "user_id_csv,user_id")
    return shaped(Delimited(",", ("code", "id"))) if probe.lines and probe.lines[0] in headers else None


def _yelp_reviews(probe: FileProbe) -> FileShape | None:
    layout = _records(probe, "review_id", "user_id", "business_id", "stars", "date")
    taken: Taken = {"user": "user_id", "item": "business_id", "rating": "stars", "time": "date"}
    return shaped(layout, taken)


def _yelp_businesses(probe: FileProbe) -> FileShape | None:
    layout = _records(probe, "business_id", "name", "categories")
    return shaped(layout, {"item": "business_id", "title": "name", "categories": "categories"})


GOODREADS = DataFormat(
    name="goodreads",
    words="Goodreads interactions, reviews and books",
    kinds=(
        FileKind("interactions", "Goodreads goodreads_interactions.csv", _shelves),
        FileKind("interactions", "Goodreads reviews or interactions", _reviews),
        FileKind("items", "Goodreads books", _books),
        FileKind("other", "Goodreads maps of ids", _maps),
    ),
)
YELP = DataFormat(
    name="yelp",
    words="Yelp reviews and businesses",
    kinds=(
        FileKind("interactions", "Yelp reviews", _yelp_reviews),
        FileKind("items", "Yelp businesses", _yelp_businesses),
    ),
)
