"""The items of a data set, with what the text table of items says of them."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
from duckdb.sqltypes import VARCHAR

from core.columns import ITEM
from core.data.duck import NUMERIC_ORDER, first_row
from core.data.reading.table import Table, load, refuse_first
from core.data.titling import (
    MISSING,
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


@dataclass(frozen=True)
class ItemReading:
    """How a `.item` file was read."""

    title: str | None
    """The column read as titles."""
    categories: str | None
    noun: str
    """What an item is called."""
    notices: tuple[str, ...]


def read_items(connection: duckdb.DuckDBPyConnection, table: Table | None) -> ItemReading:
    """Make table `catalogue` (item_id, title, categories, popularity, place) of `ordered` and a `.item` file."""
    naming = _describe(connection, table)
    connection.execute(
        "CREATE TABLE catalogue AS"
        " WITH met AS (SELECT item_id, count(*)::INTEGER AS popularity FROM ordered GROUP BY item_id)"
        " SELECT item_id, CASE WHEN d.item_id IS NULL THEN 'unknown title (' || item_id || ')'"
        f" WHEN {_BLANK} THEN 'untitled (' || item_id || ')' ELSE title END AS title,"
        " coalesce(categories, []::VARCHAR[]) AS categories, coalesce(popularity, 0) AS popularity,"
        f" (row_number() OVER (ORDER BY {NUMERIC_ORDER.format('item_id')}) - 1)::INTEGER AS place"
        " FROM met FULL JOIN described d USING (item_id)"
    )
    return ItemReading(naming.title, naming.categories, naming.noun, (*naming.notices, *_orphans(connection, table)))


def _orphans(connection: duckdb.DuckDBPyConnection, table: Table | None) -> list[str]:
    (orphans,) = first_row(
        connection, "SELECT count(*) FROM (SELECT DISTINCT item_id FROM ordered) ANTI JOIN described USING (item_id)"
    )
    if not orphans or table is None:
        return []
    what = counted(orphans, "item has", "items have")
    return [f"{what} interactions but no line in {table.name}; shown as unknown title (id)."]


def _describe(connection: duckdb.DuckDBPyConnection, table: Table | None) -> ItemReading:
    """Make table `described` (item_id, title, categories): one row an item, an empty title where there is none."""
    if table is None:
        connection.execute("CREATE TABLE described (item_id VARCHAR, title VARCHAR, categories VARCHAR[])")
        return ItemReading(None, None, "item", ("There is no .item file: no titles are known.",))
    load(connection, table, "item_text")
    refuse_first(
        connection, f"SELECT line, '' FROM item_text WHERE {table.field(ITEM)} IS NULL",
        problem=f"no {ITEM}", expected="an id in every line", name=table.name,
    )  # fmt: skip
    connection.create_function("decoded", decoded, [VARCHAR], VARCHAR)
    categories = _category_column(table)
    title = _title_column(connection, table, categories)
    connection.execute(
        f"CREATE TABLE titled AS SELECT {table.field(ITEM)} AS item_id, {table.field(title)}::VARCHAR AS cell,"
        f" {title_sql('cell')} AS title, {table.field(categories)}::VARCHAR AS kinds FROM item_text"
    )
    # One row an item, whatever the order of lines: the title on most of them, then the first by alphabet.
    connection.execute(
        f"CREATE TABLE described AS SELECT item_id, title, {_category_list(table, categories)} AS categories"
        " FROM (SELECT *, count(*) OVER (PARTITION BY item_id, title) AS lines FROM titled) QUALIFY row_number() OVER"
        f" (PARTITION BY item_id ORDER BY {_BLANK}, lines DESC, title, kinds NULLS LAST) = 1"
    )
    noun = noun_of(title)
    return ItemReading(title, categories, noun, tuple(_notices(connection, table, title, noun)))


def _notices(connection: duckdb.DuckDBPyConnection, table: Table, title: str | None, noun: str) -> list[str]:
    notices = [] if title is None else [f"Titles are read from column {brief(title)}; an item is called {noun}."]
    if title is None:
        notices.append(f"{table.name} has no title column; items are shown as untitled (id).")
    notices += [] if title is None else _cells(connection)
    return [*notices, *_repeats(connection, table.name)]


def _cells(connection: duckdb.DuckDBPyConnection) -> list[str]:
    plain = unquoted_sql("cell")
    quoted, entities, blank = first_row(
        connection,
        f"SELECT count(*) FILTER ({quoted_sql('cell')}), count(*) FILTER (title <> '' AND title <> {plain}),"
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


def _title_column(connection: duckdb.DuckDBPyConnection, table: Table, categories: str | None) -> str | None:
    exact = exact_title(table.columns)
    if exact is not None:
        return exact
    text = [
        column
        for column in table.columns
        if column not in (ITEM, categories) and may_be_title(column, table.kind(column))
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
    """SQL for the list of categories in `kinds`: parted at commas or bars, else, in a sequence, at spaces."""
    if column is None:
        return "NULL::VARCHAR[]"
    plain = "string_split(kinds, ' ')" if table.kind(column) == "token_seq" else "[kinds]"
    parts = f"CASE WHEN regexp_matches(kinds, '[,|]') THEN string_split_regex(kinds, '[,|]') ELSE {plain} END"
    return f"list_filter(list_transform({parts}, lambda part: trim(part, ' []\"''')), lambda part: part <> '')"
