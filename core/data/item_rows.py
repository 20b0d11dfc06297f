"""The items of a data set, with what the text table of items says of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import duckdb
from duckdb.sqltypes import VARCHAR

from core.data.duck import NUMERIC_ORDER, first_row
from core.data.loading import load_items
from core.data.reading.recbole import RECBOLE
from core.data.reading.records import PARTS
from core.data.reading.rejects import Rejects
from core.data.reading.sources import Sources
from core.data.reading.table import Table
from core.data.titling import (
    ENTITY,
    LONG,
    MISSING,
    NOUN,
    debris_sql,
    decoded,
    exact_title,
    may_be_title,
    most_distinct,
    noun_of,
    quoted_sql,
    title_sql,
    unquoted_sql,
)
from core.words import brief, counted

_BLANK = "coalesce(title, '') = ''"
_GARBLED = r"[ÃÂ][\x{80}-\x{BF}]|â€|ðŸ"
"""RE2 pattern of what UTF-8 becomes when it is read as Latin-1 or Windows-1252."""


@dataclass(frozen=True)
class TitleFaults:
    """What is odd about the titles of a catalogue, in numbers of items."""

    missing: int = 0
    """Without a title, or with none in the files."""
    debris: int = 0
    """Lines whose title is the rest of a web page."""
    long: int = 0
    """With a title above `titling.LONG` characters."""
    shared: int = 0
    """With a title that another item has, too."""
    shared_example: str = ""
    """The title that most items share."""
    garbled: int = 0
    """With a title that was likely decoded wrongly, such as AmÃ©lie."""
    unknown: int = 0
    """With interactions and no line in the files of items."""


@dataclass(frozen=True)
class ItemReading:
    """How the files of items were read."""

    title: str | None
    """The column read as titles."""
    categories: str | None
    noun: str
    """What an item is called."""
    notices: tuple[str, ...]
    item: str = ""
    """The column read as ids."""
    table: Table | None = None
    faults: TitleFaults = TitleFaults()


def read_items(
    connection: duckdb.DuckDBPyConnection, sources: Sources, rejects: Rejects, beside: Table | None
) -> ItemReading:
    """Make table `catalogue` (item_id, title, categories, popularity, place) of `ordered` and the files of items.

    Without such files the titles that stand `beside` the interactions are taken, where there are any.
    """
    table = load_items(connection, sources, rejects) or beside
    naming = _describe(connection, sources, table)
    connection.execute(
        "CREATE TABLE catalogue AS"
        " WITH met AS (SELECT item_id, count(*)::INTEGER AS popularity FROM ordered GROUP BY item_id)"
        " SELECT item_id, CASE WHEN d.item_id IS NULL THEN 'unknown title (' || item_id || ')'"
        f" WHEN {_BLANK} THEN 'untitled (' || item_id || ')' ELSE title END AS title,"
        " coalesce(categories, []::VARCHAR[]) AS categories, coalesce(popularity, 0) AS popularity,"
        f" (row_number() OVER (ORDER BY {NUMERIC_ORDER.format('item_id')}) - 1)::INTEGER AS place"
        " FROM met FULL JOIN described d USING (item_id)"
    )
    faults, notices = _faults(connection, table)
    return replace(naming, notices=(*naming.notices, *notices), table=table, faults=faults)


def _faults(connection: duckdb.DuckDBPyConnection, table: Table | None) -> tuple[TitleFaults, list[str]]:
    (orphans,) = first_row(
        connection, "SELECT count(*) FROM (SELECT DISTINCT item_id FROM ordered) ANTI JOIN described USING (item_id)"
    )
    query = f"SELECT count(*) FILTER ({debris_sql('cell')}) FROM titled"
    debris = 0 if table is None else first_row(connection, query)[0]
    blank, long, garbled = first_row(
        connection,
        f"SELECT count(*) FILTER ({_BLANK}), count(*) FILTER (length(title) > {LONG}),"
        f" count(*) FILTER (regexp_matches(title, '{_GARBLED}')) FROM described",
    )
    shared = connection.execute(
        "SELECT title, count(*) AS n, sum(count(*)) OVER () FROM described WHERE title <> '' GROUP BY title"
        " HAVING n > 1 ORDER BY n DESC, title LIMIT 1"
    ).fetchall()
    example, _, sharing = shared[0] if shared else ("", 0, 0)
    faults = TitleFaults(
        missing=blank + orphans,
        debris=debris,
        long=long,
        shared=int(sharing),
        shared_example=example,
        garbled=garbled,
        unknown=orphans,
    )
    return faults, [*_fault_notices(faults), *_orphans(orphans, table)]


def _fault_notices(faults: TitleFaults) -> list[str]:
    notices = []
    if faults.debris:
        notices.append(f"{counted(faults.debris, 'title is', 'titles are')} the rest of a web page, read as missing.")
    if faults.garbled:
        what = counted(faults.garbled, "title looks", "titles look")
        notices.append(f"{what} like text in UTF-8 that was decoded wrongly before, such as Ã© for é.")
    return notices


def _orphans(orphans: int, table: Table | None) -> list[str]:
    if not orphans or table is None:
        return []
    what = counted(orphans, "item has", "items have")
    return [f"{what} interactions but no line in {table.name}; shown as unknown title (id)."]


def _describe(connection: duckdb.DuckDBPyConnection, sources: Sources, table: Table | None) -> ItemReading:
    """Make table `described` (item_id, title, categories): one row an item, an empty title where there is none."""
    if table is None:
        connection.execute("CREATE TABLE described (item_id VARCHAR, title VARCHAR, categories VARCHAR[])")
        why = "There is no .item file" if sources.format.name == RECBOLE.name else "There is no file of items"
        return ItemReading(None, None, _noun(None, sources), (f"{why}: no titles are known.",))
    shape = (sources.items or sources.interactions)[0].shape
    item = shape.taken["item"]
    connection.create_function("decoded", decoded, [VARCHAR], VARCHAR)
    categories = shape.taken.get("categories") or _category_column(table)
    title = shape.taken.get("title") or _title_column(connection, table, item, categories)
    connection.execute(
        f"CREATE TABLE titled AS SELECT {table.field(item)} AS item_id, {table.field(title)} AS cell,"
        f" {title_sql('cell')} AS title, {table.field(categories)} AS kinds FROM item_text"
    )
    # One row an item, whatever the order of lines: the title on most of them, then the first by alphabet.
    connection.execute(
        f"CREATE TABLE described AS SELECT item_id, title, {_category_list(table, categories)} AS categories"
        " FROM (SELECT *, count(*) OVER (PARTITION BY item_id, title) AS lines FROM titled) QUALIFY row_number() OVER"
        f" (PARTITION BY item_id ORDER BY {_BLANK}, lines DESC, title, kinds NULLS LAST) = 1"
    )
    noun = _noun(title, sources)
    repeats = _repeats(connection, table.name) if sources.items else []
    return ItemReading(title, categories, noun, (*_notices(connection, table, title, noun), *repeats), item)


def _noun(title: str | None, sources: Sources) -> str:
    """By the column of titles, else by those of items' ids."""
    ids = [files[0].shape.taken["item"] for files in (sources.items, sources.interactions) if files]
    return next((noun for column in (title, *ids) if (noun := noun_of(column)) != NOUN), NOUN)


def _notices(connection: duckdb.DuckDBPyConnection, table: Table, title: str | None, noun: str) -> list[str]:
    notices = [] if title is None else [f"Titles are read from column {brief(title)}; an item is called {noun}."]
    if title is None:
        notices.append(f"{table.name} has no title column; items are shown as untitled (id).")
    return [*notices, *([] if title is None else _cells(connection))]


def _cells(connection: duckdb.DuckDBPyConnection) -> list[str]:
    plain = unquoted_sql("cell")
    quoted, entities, blank = first_row(
        connection,
        f"SELECT count(*) FILTER ({quoted_sql('cell')}), count(*) FILTER (title <> '' AND"
        f" regexp_matches({plain}, '{ENTITY}') AND title <> {plain}),"
        f" (SELECT count(*) FROM described WHERE {_BLANK}) FROM titled",
    )
    counts = {
        "{} held HTML entities such as &amp;, which are decoded.": entities,
        "{} stood in the quotes of a CSV field, which are left out.": quoted,
    }
    notices = [sentence.format(counted(number, "title")) for sentence, number in counts.items() if number]
    if blank:
        notices.append(f"{counted(blank, 'item has', 'items have')} no title; shown as untitled (id).")
    return notices


def _repeats(connection: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    (repeats,) = first_row(connection, "SELECT (SELECT count(*) FROM titled) - (SELECT count(*) FROM described)")
    if not repeats:
        return []
    notices = [f"{counted(repeats, 'line')} of {name} repeat an item_id; each is kept once."]
    several = connection.execute(
        "SELECT item_id, min(title), max(title), count(*) OVER () FROM titled WHERE title <> '' GROUP BY item_id"
        f" HAVING count(DISTINCT title) > 1 ORDER BY {NUMERIC_ORDER.format('item_id')} LIMIT 1"
    ).fetchall()
    for item_id, first, second, count in several:
        what = counted(count, "item has", "items have")
        notices.append(
            f"{what} more than one title, such as item {brief(item_id)}: {brief(first)} and {brief(second)};"
            " the title on most lines is kept, of equally frequent ones the first by alphabet."
        )
    return notices


def _title_column(connection: duckdb.DuckDBPyConnection, table: Table, item: str, categories: str | None) -> str | None:
    exact = exact_title(table.columns)
    if exact is not None:
        return exact
    text = [
        column
        for column in table.columns
        if column not in (item, categories) and may_be_title(column, table.kind(column))
    ]
    if not text or table.rows == 0:
        return text[0] if text and len(text) == 1 else None
    numbers = first_row(
        connection, f"SELECT {', '.join(_distinct(table.field(column)) for column in text)} FROM item_text"
    )
    shares = {column: number / table.rows for column, number in zip(text, numbers, strict=True)}
    return most_distinct(shares)


def _distinct(cell: str) -> str:
    """SQL for the number of distinct values with a letter in them that are neither missing nor links."""
    return (
        f"count(DISTINCT {cell}) FILTER (regexp_matches({cell}, '\\p{{L}}')"
        f" AND NOT regexp_full_match({cell}, '{MISSING}') AND NOT regexp_matches({cell}, '^[a-z]+://'))"
    )


def _category_column(table: Table) -> str | None:
    for fits in (
        lambda column: column in ("class", "categories", "category"),
        lambda column: column.startswith("genre"),
        lambda column: "category" in column or "categories" in column,
        lambda column: column == "brand",
    ):
        for column in table.columns:
            if fits(column.lower()):
                return column
    return None


def _category_list(table: Table, column: str | None) -> str:
    """SQL for the list of categories in `kinds`, parted as a list, at commas or bars, else (a sequence) at spaces."""
    if column is None:
        return "NULL::VARCHAR[]"
    plain = "string_split(kinds, ' ')" if table.kind(column) == "token_seq" else "[kinds]"
    parts = (
        f"CASE WHEN contains(kinds, '{PARTS}') THEN string_split(kinds, '{PARTS}')"
        f" WHEN regexp_matches(kinds, '[,|]') THEN string_split_regex(kinds, '[,|]') ELSE {plain} END"
    )
    return f"list_filter(list_transform({parts}, lambda part: trim(part, ' []\"''')), lambda part: part <> '')"
