"""Amazon reviews of 2014, 2018 and 2023 (https://amazon-reviews-2023.github.io/): reviews, metadata, ratings only."""

from __future__ import annotations

from collections.abc import Sequence

from core.data.reading.delimited import Delimited
from core.data.reading.probe import STARS, UNIX_SECONDS, FileProbe, all_match
from core.data.reading.records import RecordLines
from core.data.reading.shapes import DataFormat, FileKind, FileShape, Meaning, Taken, shaped

_ITEM = r"B[0-9A-Z]{9}|[0-9]{9}[0-9X]"
_USER = r"A[0-9A-Z]{8,30}"
_SHARE = 0.95
"""Share of the first lines whose field looks like an id of its kind."""


def _records(probe: FileProbe, *keys: str, notation: str = "json") -> RecordLines | None:
    if not probe.notation or probe.notation != notation or not set(keys) <= set(probe.keys):
        return None
    return RecordLines(probe.notation, probe.keys, array=probe.array)


def _reviews(probe: FileProbe) -> FileShape | None:
    """Of 2014 and 2018, whose keys are the same; some 2014 copies hold Python literals."""
    keys = ("reviewerID", "asin", "overall")
    layout = _records(probe, *keys) or _records(probe, *keys, notation="literal")
    taken: Taken = {"user": "reviewerID", "item": "asin", "rating": "overall", "time": "unixReviewTime"}
    return shaped(layout, taken, time_unit="seconds")


def _reviews_2023(probe: FileProbe) -> FileShape | None:
    layout = _records(probe, "user_id", "parent_asin", "rating", "timestamp")
    taken: Taken = {"user": "user_id", "item": "parent_asin", "rating": "rating", "time": "timestamp"}
    note = "Items are known by parent_asin; the field title of a review is the review's own and is not read."
    return shaped(layout, taken, time_unit="milliseconds", notes=(note,))


def _ratings_2023(probe: FileProbe) -> FileShape | None:
    header = ("user_id", "parent_asin", "rating", "timestamp")
    names = tuple(probe.lines[0].split(",")) if probe.lines else ()
    if names[:4] != header or names[4:] not in ((), ("history",)):
        return None
    taken: Taken = {"user": "user_id", "item": "parent_asin", "rating": "rating", "time": "timestamp"}
    return shaped(Delimited(",", names, quote='"'), taken, time_unit="milliseconds")


def _ratings(probe: FileProbe, places: Sequence[str]) -> FileShape | None:
    rows = probe.table(",", 4)
    patterns = {"user": _USER, "item": _ITEM}
    if not rows or not all_match(rows, 2, STARS) or not all_match(rows, 3, UNIX_SECONDS):
        return None
    if not all(all_match(rows, place, patterns[kind], _SHARE) for place, kind in enumerate(places)):
        return None
    if all(all_match(rows, 1 - place, patterns[kind], _SHARE) for place, kind in enumerate(places)):
        return None  # Both columns could be either: the columns have to be named.
    layout = Delimited(",", (*places, "rating", "timestamp"), header=False, named_by="Amazon's ratings have")
    taken: Taken = {"user": "user", "item": "item", "rating": "rating", "time": "timestamp"}
    note = f"There is no header: the {places[0]} stands first, as the form of the ids says."
    return shaped(layout, taken, time_unit="seconds", notes=(note,))


def _meta(probe: FileProbe, notation: str, signs: frozenset[str]) -> FileShape | None:
    layout = _records(probe, "asin", "title", notation=notation)
    if layout is None or not signs & set(probe.keys):
        return None
    categories = next((key for key in ("category", "categories", "main_cat") if key in probe.keys), None)
    taken: dict[Meaning, str] = {"item": "asin", "title": "title"}
    if categories is not None:
        taken["categories"] = categories
    return shaped(layout, taken)


def _meta_2023(probe: FileProbe) -> FileShape | None:
    layout = _records(probe, "parent_asin", "title")
    if layout is None or "user_id" in probe.keys:
        return None
    listed = any(record.get("categories") for record in probe.records)
    categories = "categories" if listed else "main_category"
    taken: dict[Meaning, str] = {"item": "parent_asin", "title": "title"}
    if categories in probe.keys:
        taken["categories"] = categories
    return shaped(layout, taken)


AMAZON = DataFormat(
    name="amazon",
    words="Amazon reviews of 2014, 2018 and 2023: reviews, metadata, ratings only",
    kinds=(
        FileKind("interactions", "Amazon reviews of 2014 or 2018", _reviews),
        FileKind("interactions", "Amazon reviews of 2023", _reviews_2023),
        FileKind("interactions", "Amazon ratings of 2023", _ratings_2023),
        FileKind("interactions", "Amazon ratings of 2018, item first", lambda probe: _ratings(probe, ("item", "user"))),
        FileKind("interactions", "Amazon ratings of 2014, user first", lambda probe: _ratings(probe, ("user", "item"))),
        FileKind(
            "items",
            "Amazon metadata of 2014",
            lambda probe: _meta(probe, "literal", frozenset({"imUrl", "related", "categories", "salesRank"})),
        ),
        FileKind(
            "items",
            "Amazon metadata of 2018",
            lambda probe: _meta(probe, "json", frozenset({"category", "main_cat", "also_buy", "brand", "imUrl"})),
        ),
        FileKind("items", "Amazon metadata of 2023", _meta_2023),
    ),
)
