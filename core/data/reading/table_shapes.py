"""Any table with columns for users and items: which columns are which, by their names or as a person says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from core.data.reading.delimited import Delimited
from core.data.reading.import_choices import TimeUnit
from core.data.reading.layouts import FileLayout
from core.data.reading.parquet_rows import ParquetRows
from core.data.reading.probe import FileProbe, is_number
from core.data.reading.records import RecordLines
from core.data.reading.shapes import DataFormat, FileKind, FileShape, Meaning
from core.data.titling import exact_title, may_be_title
from core.errors import DataError
from core.words import brief

NAMES: Mapping[Meaning, tuple[str, ...]] = {
    "user": (
        "user_id", "userid", "uid", "reviewerid", "user", "username", "customer_id", "visitor_id", "member_id",
        "listener_id", "account_id", "author_id", "person_id", "u",
    ),
    "item": (
        "item_id", "movieid", "parent_asin", "asin", "product_id", "book_id", "track_id", "song_id", "artist_id",
        "business_id", "news_id", "article_id", "game_id", "anime_id", "recipe_id", "video_id", "joke_id", "isbn",
        "app_id", "sku", "item", "product", "movie", "book", "track", "song", "artist", "i",
    ),
    "rating": (
        "rating", "ratings", "overall", "stars", "score", "book_rating", "label", "weight", "plays", "play_count",
        "playcount", "listen_count", "hours",
    ),
    "time": (
        "timestamp", "unixreviewtime", "time", "date", "ts", "created_at", "datetime", "event_time", "review_date",
        "time_created", "unix_time",
    ),
    "categories": ("categories", "category", "genres", "genre", "class", "main_category", "brand"),
}  # fmt: skip
"""Names of columns by what they mean, the likeliest first; case and everything but letters and digits is left out."""
MOST_SHOWN = 5
"""Rows that a question about the columns shows."""


def plain_name(name: str) -> str:
    """A column's name in small letters and digits only."""
    return re.sub(r"[\W_]", "", name.rpartition(":")[0] or name).casefold()


def meant(meaning: Meaning, columns: Iterable[str]) -> str | None:
    """The column whose name says this meaning."""
    by_name = {plain_name(column): column for column in reversed(tuple(columns))}
    return next((by_name[key] for name in NAMES[meaning] if (key := plain_name(name)) in by_name), None)


def table_layout(probe: FileProbe, mapped: Sequence[str] = ()) -> FileLayout | None:
    """The layout of any table; `mapped` are columns that a person names: a first line with them is a header."""
    if probe.parquet is not None:
        return probe.parquet
    if probe.notation:
        return RecordLines(probe.notation, probe.keys, array=probe.array)
    delimiter = probe.delimiter
    if not delimiter:
        return None
    rows = probe.rows(delimiter)
    header = _is_header(rows, mapped)
    names = column_names(rows[0], probe.name) if header else tuple(map(str, range(1, len(rows[0]) + 1)))
    quoted = delimiter == "," or any(_has_quotes(line, delimiter) for line in probe.lines)
    escape = "\\" if quoted and any(_has_escapes(line, delimiter) for line in probe.lines) else ""
    return Delimited(
        delimiter,
        names,
        header=header,
        quote='"' if quoted and len(delimiter) == 1 else "",
        escape=escape,
        named_by="" if header else "the first line has",
    )


def _has_quotes(line: str, delimiter: str) -> bool:
    mark = re.escape(delimiter)
    return re.search(rf'(^|{mark})"([^"]|"")*"({mark}|$)', line) is not None


def _has_escapes(line: str, delimiter: str) -> bool:
    """Whether backslashes make quotation marks plain, inside fields and not at their ends."""
    return '""' not in line and re.search(rf'\\"(?!"|{re.escape(delimiter)}|$)', line) is not None


def _is_header(rows: Sequence[Sequence[str]], mapped: Sequence[str]) -> bool:
    first = rows[0]
    if mapped:
        return any(column in first and not column.isdecimal() for column in mapped)
    known = {plain_name(name) for names in NAMES.values() for name in names if len(name) > 1} | {"title", "name"}
    if any(plain_name(cell) in known for cell in first):
        return True
    others = [row for row in rows[1:] if len(row) == len(first)]
    return not any(map(is_number, first)) and any(
        others and all(is_number(row[place]) for row in others) for place in range(len(first))
    )


def column_names(cells: Sequence[str], name: str) -> tuple[str, ...]:
    """The header's names; raises `DataError` where two are equal."""
    columns = tuple(cell.strip() or f"column {place}" for place, cell in enumerate(cells, 1))
    double = next((column for place, column in enumerate(columns) if column in columns[:place]), None)
    if double is not None:
        problem = f"column {brief(double)} appears twice"
        raise DataError(problem, expected="distinct column names", where=f"{name}, line 1")
    return columns


def _interactions(probe: FileProbe) -> FileShape | None:
    layout = table_layout(probe)
    if layout is None:
        return None
    user, item = meant("user", layout.names), meant("item", layout.names)
    if user is None or item is None:
        return None
    taken: dict[Meaning, str] = {"user": user, "item": item}
    for meaning in ("rating", "time", "categories"):
        column = meant(meaning, layout.names)
        if column is not None:
            taken[meaning] = column
    title = title_beside(layout.names, item)
    if title is not None:
        taken["title"] = title
    if title is None:
        taken.pop("categories", None)
    return FileShape(layout, taken, time_unit=None if not isinstance(layout, ParquetRows) else _unit(layout, taken))


def _unit(layout: ParquetRows, taken: Mapping[Meaning, str]) -> TimeUnit | None:
    return dict(layout.units).get(taken.get("time", ""))


def title_beside(columns: Sequence[str], item: str) -> str | None:
    """A column of titles beside interactions: of the item, by its name."""
    noun = re.sub(r"id$", "", plain_name(item))
    likely = ("title", "itemtitle", "itemname", f"{noun}title", f"{noun}name")
    by_name = {plain_name(column): column for column in columns if column != item}
    return next((by_name[name] for name in likely if name in by_name), None)


def _items(probe: FileProbe) -> FileShape | None:
    layout = table_layout(probe)
    if layout is None:
        return None
    item = meant("item", layout.names) or next((name for name in layout.names if plain_name(name) == "id"), None)
    if item is None or meant("user", layout.names) is not None:
        return None
    titles = [name for name in layout.names if name != item and may_be_title(name, "token")]
    if not titles or (isinstance(layout, Delimited) and not layout.header):
        return None
    taken: dict[Meaning, str] = {"item": item}
    exact = exact_title(layout.names)
    if exact is not None:
        taken["title"] = exact
    categories = meant("categories", layout.names)
    if categories is not None:
        taken["categories"] = categories
    return FileShape(layout, taken)


TABLE = DataFormat(
    name="table",
    words="any CSV, TSV, JSON lines or Parquet table with columns for users and items",
    kinds=(
        FileKind("interactions", "a table of interactions", _interactions),
        FileKind("items", "a table of items", _items),
    ),
)
