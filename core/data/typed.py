"""Typed rows of a data set as DuckDB tables, with an id by their content.

The tables are `ordered` (interactions), `catalogue` (items) and `people` (users).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.data.duck import NUMERIC_ORDER, first_row
from core.data.interaction_rows import InteractionReading, read_interactions
from core.data.item_rows import ItemReading, read_items
from core.data.reading.rejects import Rejects
from core.data.reading.sources import Sources
from core.data.reading.table import Table
from core.errors import DataError
from core.store.lock import tell
from core.words import brief, counted

ID_FORMAT = "demolens-dataset-1"
"""Changes only when a content's id does: rows that are read as before keep their id and what hangs on it."""
BATCH = 100_000
"""Rows that are hashed at once."""
MOST_NAMED = 12
"""Unused columns that a notice names."""


@dataclass(frozen=True)
class TypedData:
    """What the tables hold and how their columns were read."""

    dataset_id: str
    facts: dict[str, Any]
    notices: tuple[str, ...]
    meaning: dict[str, Any]
    interactions: InteractionReading
    items: ItemReading


def type_rows(connection: duckdb.DuckDBPyConnection, sources: Sources, rejects: Rejects) -> TypedData:
    """Make the tables of the files; raises `DataError`, in a strict reading with the line of the first wrong value."""
    reading = read_interactions(connection, sources, rejects)
    if not first_row(connection, "SELECT count(*) FROM (SELECT 1 FROM ordered LIMIT 1)")[0]:
        raise _empty(reading.table, rejects)
    tell("looking at the titles")
    naming = read_items(connection, sources, rejects, reading.beside)
    _list_users(connection)
    scale = reading.scale
    facts = {
        "noun": naming.noun,
        "has_ratings": scale.rated,
        "like_threshold": scale.threshold,
        "has_time": reading.timed,
    }
    dataset_id = _content_id(connection, facts)
    tables = [reading.table, *([naming.table] if naming.table and sources.items else [])]
    unused = [reading.table.unread, *([_unused_of_items(naming)] if len(tables) == 2 else [])]
    notices = (
        *_cut(tables),
        *_of_reading(sources, tables, rejects),
        *reading.notices,
        *naming.notices,
        *_unused(tables, unused),
    )
    meaning = {
        "rating_column": reading.rating,
        "title_column": naming.title,
        "like_share": scale.liked / scale.interactions if scale.rated else None,
        "unused_columns": [column for columns in unused for column in columns],
    }
    return TypedData(dataset_id, facts | _counts(connection), notices, meaning, reading, naming)


def _empty(table: Table, rejects: Rejects) -> DataError:
    if rejects.first:
        first = rejects.first[0]
        problem = f"none of {counted(rejects.count, 'line')} can be read, the first for this reason: {first.problem}"
        return DataError(problem, expected=first.expected, where=f"{first.file}, line {first.line}")
    return DataError("no interactions", expected="one line for each interaction below the header", where=table.name)


def _cut(tables: list[Table]) -> list[str]:
    names = [name for table in tables for name in table.cut]
    return [f"{name}: the last line has no line end; the file may be cut short." for name in names]


def _of_reading(sources: Sources, tables: list[Table], rejects: Rejects) -> list[str]:
    """What the format says of itself, which text is no UTF-8, and how many lines are not read."""
    shapes = [files[0].shape for files in (sources.interactions, sources.items) if files]
    notices = [note for shape in shapes for note in shape.notes]
    for table in tables:
        for name, encoding in zip(table.files, table.encodings, strict=True):
            if encoding != "utf-8":
                notices.append(f"{name} is not UTF-8 and is read as {encoding}.")
    if rejects.count:
        first = rejects.first[0]
        what = counted(rejects.count, "line is", "lines are")
        notices.append(f"{what} not read; the first is line {first.line} of {first.file}: {first.problem}.")
    return notices


def _unused_of_items(naming: ItemReading) -> tuple[str, ...]:
    table = naming.table
    if table is None:
        return ()
    used = (naming.item, naming.title, naming.categories)
    return (*(column for column in table.columns if column not in used), *table.unread)


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
    for name, content in _user_digests(connection):
        digest.update(f"{name}\t{content}\n".encode())
    rows = connection.execute(
        "SELECT item_id, sha256(concat_ws(chr(9), title, array_to_string(categories, chr(9)))) FROM catalogue"
        " ORDER BY item_id"
    )
    while some := rows.fetchmany(10_000):
        digest.update("".join(f"{name}\t{content}\n" for name, content in some).encode())
    return digest.hexdigest()[:16]


def _user_digests(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, str]]:
    """Each user, in order of the ids, and the SHA-256 of the user's rows, one line each, in order of position."""
    query = (
        "SELECT user_id, concat_ws(chr(9), item_id, coalesce(rating::VARCHAR, ''), coalesce(timestamp::VARCHAR, ''))"
        " || chr(10) AS row FROM ordered"
    )
    user, digest = None, hashlib.sha256()
    for batch in connection.sql(query).to_arrow_reader(BATCH):
        table = pa.table(batch)  # Its columns begin at offset 0.
        users, rows = table.column(0).combine_chunks(), table.column(1).combine_chunks().cast(pa.large_string())
        starts, text = _starts(users), memoryview(rows.buffers()[2])
        ends = np.frombuffer(rows.buffers()[1], dtype=np.int64)[rows.offset :]
        names = users.take(pa.array(starts[:-1])).to_pylist()
        for name, first, last in zip(names, starts[:-1], starts[1:], strict=True):
            if name != user:
                if user is not None:
                    yield user, digest.hexdigest()
                user, digest = name, hashlib.sha256()
            else:
                digest.update(b"\n")
            digest.update(text[ends[first] : ends[last] - 1])
    if user is not None:
        yield user, digest.hexdigest()


def _starts(users: pa.Array) -> NDArray[np.int64]:
    """Where each user's rows begin in a batch, and its length."""
    other = pc.not_equal(users[1:], users[:-1]).to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.flatnonzero(other) + 1, [len(users)]])
