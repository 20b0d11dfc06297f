"""How does a folder in RecBole's atomic format become a checked, sorted, content-named data set on disk?

`<name>.inter` holds one interaction a line (`user_id item_id [rating] [timestamp]`), `<name>.item` one item a
line (`item_id`, a title column, perhaps categories); both are tab-separated with a `name:type` header
(https://recbole.io/docs/user_guide/data/atomic_files.html). All text passes the checks of `core.data.lines`
before DuckDB sees it, and DuckDB reads only our own numbered copy, so that a crafted file never reaches its parser.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

from core.columns import ITEM, TIMESTAMP, USER
from core.data.described import read_items
from core.data.duck import NUMERIC_ORDER, locked_connection, one
from core.data.interactions import read_interactions
from core.data.lines import label
from core.data.table import Table, brief, checked
from core.errors import DataError, MaterialError
from core.store.home import (
    PRIVATE_FILE,
    PRIVATE_FOLDER,
    check_free,
    disk_full,
    home,
    put_folder,
    room,
    stored,
    workplace,
    write_atomically,
)
from core.store.lock import alone
from core.store.sealed import content_hash, sealed, unsealed

FORMAT = "demolens-dataset-2"
"""Changes whenever files are read in another way: what an earlier version stored is then read anew."""
ID_FORMAT = "demolens-dataset-1"
"""Changes only when a content's id does: rows that are read as before keep their id and what hangs on it."""
ROW_GROUP = 50_000
"""Rows in a Parquet row group: small enough that one user's history reads one or two of them."""
MOST_NAMED = 12
"""Unused columns that a notice names."""
MEMORY = "2GB"
"""Most memory DuckDB may use during an import before it spills to disk."""
_TABLES = ("interactions.parquet", "items.parquet", "users.parquet")
_FACTS = "facts.json"


@dataclass(frozen=True)
class Stored:
    """A data set on disk, as `Dataset` opens it."""

    folder: Path
    dataset_id: str
    """First 16 hex digits of a SHA-256 over the content: equal rows give the equal id, whatever their order was.

    Only the order of a user's different items at the same time matters (it orders the history); not where lines are
    repeated, how numbers and column names are written, what the files are called, or what columns are not used.
    """
    facts: dict[str, Any]
    """What the content says: numbers of rows, and how ratings and times are read."""
    notices: tuple[str, ...]
    """What a reader of these very files should know; other files with the same content may have others."""
    meaning: dict[str, Any] = field(default_factory=dict)
    """Which columns of these files were read as what, and the share of likes."""


def store_atomic(inter: Path, item: Path | None) -> Stored:
    """Read `<name>.inter` and `<name>.item` once, check every line, and store them sorted as Parquet.

    A pair of files that was read before is recognised by its SHA-256 and only looked up.
    Raises `DataError`, with file and line, for anything that is not a whole data set; then nothing is stored.
    """
    top = home() / "datasets"
    digests = tuple(None if path is None else _file_hash(path) for path in (inter, item))
    source = top / "sources" / f"{source_name(inter, item, digests)}.json"
    known = _known(source)
    if known is not None:
        return known
    try:
        check_free()
        room("datasets", "sources")
        with alone(f"import-{source.stem}", f"the import of {label(inter)}"):
            known = _known(source)  # Another process may have finished while this one waited.
            return _stored(inter, item, digests, source) if known is None else known
    except MaterialError as error:
        return _for_now(inter, item, digests, error)


def source_name(inter: Path, item: Path | None, digests: tuple[str | None, ...]) -> str:
    """32 hex digits for two files of that content and those names."""
    # Notices name the files, so that files of other names are other sources of what may be the same data set.
    parts = (FORMAT, digests, label(inter), None if item is None else label(item))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _stored(inter: Path, item: Path | None, digests: tuple[str | None, ...], source: Path) -> Stored:
    with workplace() as scratch:
        made = _placed(_import(inter, item, digests, scratch), source.parent.parent)
    record = {"dataset_id": made.dataset_id, "notices": list(made.notices), "meaning": made.meaning}
    write_atomically(source, sealed(record))
    return made


def _placed(made: Stored, top: Path) -> Stored:
    """Give the folder its name: it appears whole or not at all."""
    folder = top / made.dataset_id
    with alone(f"dataset-{made.dataset_id}", "the same data"):
        existing = _facts_of(folder)  # Of other files with the same content.
        if existing is None:
            put_folder(made.folder, folder)
    return replace(made, folder=folder, facts=made.facts if existing is None else existing)


def _for_now(inter: Path, item: Path | None, digests: tuple[str | None, ...], reason: MaterialError) -> Stored:
    """The data set in a folder that goes with this process, where the home cannot take it."""
    try:
        scratch = Path(tempfile.mkdtemp(prefix="demolens-"))
    except OSError:
        raise reason from None
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    made = _import(inter, item, digests, scratch)
    return replace(made, notices=(*made.notices, f"The data are read anew every time: {reason}."))


def _file_hash(path: Path) -> str:
    try:
        return content_hash(path)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise DataError(f"cannot be read: {reason}", where=label(path)) from None


def _known(source: Path) -> Stored | None:
    """What was stored from these files before, if all of it is as it was written."""
    record = unsealed(source)
    if record is None:
        return None
    folder = source.parent.parent / str(record["dataset_id"])
    facts = _facts_of(folder)
    return None if facts is None else Stored(folder, folder.name, facts, tuple(record["notices"]), record["meaning"])


def _facts_of(folder: Path) -> dict[str, Any] | None:
    """The facts of a stored data set, or None where it is not whole."""
    facts = unsealed(folder / _FACTS)
    try:
        whole = facts is not None and all(content_hash(folder / name) == facts["hashes"][name] for name in _TABLES)
    except (OSError, KeyError, TypeError):
        return None
    return facts if whole else None


def _import(inter: Path, item: Path | None, digests: tuple[str | None, ...], scratch: Path) -> Stored:
    interactions = checked(inter, scratch / "inter.tsv", required=(USER, ITEM))
    items = None if item is None else checked(item, scratch / "item.tsv", required=(ITEM,))
    if (interactions.digest, items and items.digest) != digests:
        raise DataError("the file changed while it was read", expected="a file at rest", where=label(inter))
    if interactions.rows == 0:
        raise DataError(
            "no interactions", expected="one line for each interaction below the header", where=label(inter)
        )
    connection = locked_connection(scratch, spill=scratch / "spill", memory=MEMORY)
    try:
        return _loaded(connection, interactions, items, scratch)
    except duckdb.OutOfMemoryException:
        raise DataError(
            "too large to be sorted here", expected=f"a data set that fits {MEMORY} and the disk", where=label(inter)
        ) from None
    except duckdb.IOException as error:
        if "space" in str(error).lower() or "too large" in str(error).lower():
            raise disk_full("the data set") from None
        raise DataError("cannot be read (IOException)", where=label(inter)) from None
    except duckdb.Error as error:
        raise DataError(f"cannot be read ({type(error).__name__})", where=label(inter)) from None
    finally:
        connection.close()


def _loaded(connection: duckdb.DuckDBPyConnection, interactions: Table, items: Table | None, scratch: Path) -> Stored:
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
    made = _kept(connection, dataset_id, facts | _counts(connection), notices, scratch)
    return replace(made, meaning=meaning)


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
    return {name: int(str(one(connection, f"SELECT count(*) FROM {table}")[0])) for name, table in tables}


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


def _kept(
    connection: duckdb.DuckDBPyConnection,
    dataset_id: str,
    facts: dict[str, Any],
    notices: tuple[str, ...],
    scratch: Path,
) -> Stored:
    """Write the three tables and the facts into a folder named by the content."""
    part = scratch / dataset_id
    with stored("the data set"):
        part.mkdir(mode=PRIVATE_FOLDER)
        orders = (("ordered", "user_id, position"), ("catalogue", "place"), ("people", "place"))
        for name, (table, order) in zip(_TABLES, orders, strict=True):
            path = part / name
            connection.table(table).order(order).write_parquet(str(path), row_group_size=ROW_GROUP, compression="zstd")
            path.chmod(PRIVATE_FILE)
            _sync(path)
        facts = facts | {"hashes": {name: content_hash(part / name) for name in _TABLES}}
        write_atomically(part / _FACTS, sealed(facts))
    return Stored(part, dataset_id, facts, notices)


def _sync(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())
