"""Typed rows of a data set as DuckDB tables, with an id by their content.

The tables are `ordered` (interactions), `catalogue` (items) and `people` (users).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import duckdb

from core.columns import ITEM, TIMESTAMP, USER
from core.data.duck import NUMERIC_ORDER, first_row
from core.data.interaction_rows import read_interactions
from core.data.item_rows import read_items
from core.data.reading.table import Table
from core.words import brief

ID_FORMAT = "demolens-dataset-1"
"""Changes only when a content's id does: rows that are read as before keep their id and what hangs on it."""
MOST_NAMED = 12
"""Unused columns that a notice names."""


@dataclass(frozen=True)
class TypedData:
    """What the tables hold and how their columns were read."""

    dataset_id: str
    facts: dict[str, Any]
    notices: tuple[str, ...]
    meaning: dict[str, Any]


def type_rows(connection: duckdb.DuckDBPyConnection, interactions: Table, items: Table | None) -> TypedData:
    """Make the tables of checked files, which are deleted; raises `DataError` with the line of a wrong value."""
    tables = [table for table in (interactions, items) if table is not None]
    cut = [f"{t.name}: the last line has no line end; the file may be cut short." for t in tables if t.cut]
    reading = read_interactions(connection, interactions)
    naming = read_items(connection, items)
    _list_users(connection)
    scale = reading.scale
    facts = {
        "noun": naming.noun,
        "has_ratings": scale.rated,
        "like_threshold": scale.threshold,
        "has_time": reading.timed,
    }
    dataset_id = _content_id(connection, facts)
    unused = [interactions.unused(USER, ITEM, TIMESTAMP, reading.rating)]
    unused += [] if items is None else [items.unused(ITEM, naming.title, naming.categories)]
    notices = (*cut, *reading.notices, *naming.notices, *_unused(tables, unused))
    meaning = {
        "rating_column": reading.rating,
        "title_column": naming.title,
        "like_share": scale.liked / scale.interactions if scale.rated else None,
        "unused_columns": [column for columns in unused for column in columns],
    }
    return TypedData(dataset_id, facts | _counts(connection), notices, meaning)


def _unused(tables: list[Table], unused: list[tuple[str, ...]]) -> list[str]:
    return [
        f"Columns of {table.name} that are not used: {_listed(columns)}."
        for table, columns in zip(tables, unused, strict=True)
        if columns
    ]


def _listed(columns: tuple[str, ...]) -> str:
    more = f" and {len(columns) - MOST_NAMED} more" if len(columns) > MOST_NAMED else ""
    return ", ".join(brief(column) for column in columns[:MOST_NAMED]) + more


def _list_users(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "CREATE TABLE people AS SELECT user_id, count(*)::INTEGER AS interactions,"
        f" (row_number() OVER (ORDER BY {NUMERIC_ORDER.format('user_id')}) - 1)::INTEGER AS place"
        " FROM ordered GROUP BY user_id"
    )


def _counts(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    tables = (("interactions", "ordered"), ("items", "catalogue"), ("users", "people"))
    return {name: first_row(connection, f"SELECT count(*) FROM {table}")[0] for name, table in tables}


def _content_id(connection: duckdb.DuckDBPyConnection, facts: dict[str, Any]) -> str:
    """Hash of all rows in their own order (not the file's); tab and line feed part fields, as no field holds them."""
    digest = hashlib.sha256(json.dumps([ID_FORMAT, facts], sort_keys=True).encode())
    users = (
        "SELECT user_id, sha256(string_agg(concat_ws(chr(9), item_id, coalesce(rating::VARCHAR, ''),"
        " coalesce(timestamp::VARCHAR, '')), chr(10) ORDER BY position)) FROM ordered GROUP BY user_id ORDER BY user_id"
    )
    items = (
        "SELECT item_id, sha256(concat_ws(chr(9), title, array_to_string(categories, chr(9)))) FROM catalogue"
        " ORDER BY item_id"
    )
    for query in (users, items):
        rows = connection.execute(query)
        while some := rows.fetchmany(10_000):
            digest.update("".join(f"{name}\t{content}\n" for name, content in some).encode())
    return digest.hexdigest()[:16]
