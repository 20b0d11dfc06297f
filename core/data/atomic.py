"""How does a folder in RecBole's atomic format become a checked, sorted, content-named data set on disk?

`<name>.inter` holds one interaction a line (`user_id item_id [rating] [timestamp]`), `<name>.item` one item a
line (`item_id`, a title column, perhaps categories); both are tab-separated with a `name:type` header
(https://recbole.io/docs/user_guide/data/atomic_files.html). All text passes the checks of `core.data.lines`
before DuckDB sees it, and DuckDB reads only our own numbered copy, so that a crafted file never reaches its parser.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from core.columns import ITEM, RATING, TIMESTAMP, USER
from core.data.duck import NUMERIC_ORDER, locked_connection, one
from core.data.lines import Lines
from core.errors import DataError
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
from core.store.proof import content_hash, sealed, unsealed

FORMAT = "demolens-dataset-1"
"""Changes whenever the stored layout or its meaning does; part of every data set's id."""
ROW_GROUP = 50_000
"""Rows in a Parquet row group: small enough that one user's history reads one or two of them."""
LIKED_SHARE = 0.8
"""Share of the highest rating from which an interaction counts as liked: 4 of 5."""
MEMORY = "2GB"
"""Most memory DuckDB may use during an import before it spills to disk."""
_TABLES = ("interactions.parquet", "items.parquet", "users.parquet")
_FACTS = "facts.json"
_BLANK = r"regexp_full_match(coalesce(title, ''), '[\s\p{Z}]*')"
_NUMBER = r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*"


@dataclass(frozen=True)
class Stored:
    """A data set on disk, as `Dataset` opens it."""

    folder: Path
    dataset_id: str
    """First 16 hex digits of a SHA-256 over the content: equal rows give the equal id, whatever their order was."""
    facts: dict[str, Any]
    notices: tuple[str, ...]


@dataclass(frozen=True)
class _Table:
    """One checked file: where its numbered copy lies, the columns of its header, and how many rows it has."""

    name: str
    copy: Path
    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: int
    digest: str
    cut: bool

    def field(self, column: str | None) -> str:
        """The SQL name of a header column in the loaded table, or SQL NULL."""
        return f"f{self.columns.index(column)}" if column in self.columns else "NULL"


def store_atomic(inter: Path, item: Path | None) -> Stored:
    """Read `<name>.inter` and `<name>.item` once, check every line, and store them sorted as Parquet.

    A pair of files that was read before is recognised by its SHA-256 and only looked up.
    Raises `DataError`, with file and line, for anything that is not a whole data set; then nothing is stored.
    """
    top = home() / "datasets"
    digests = tuple(None if path is None else _file_hash(path) for path in (inter, item))
    source = top / "sources" / f"{hashlib.sha256(repr((FORMAT, digests)).encode()).hexdigest()[:32]}.json"
    known = _known(source)
    if known is not None:
        return known
    check_free()
    room("datasets", "sources")
    with alone(f"import-{source.stem}", f"the import of {inter.name}"):
        known = _known(source)  # Another process may have finished while this one waited.
        if known is not None:
            return known
        with workplace() as scratch:
            made = _import(inter, item, digests, scratch, top)
        write_atomically(source, sealed({"dataset_id": made.dataset_id, "notices": list(made.notices)}))
    return made


def _file_hash(path: Path) -> str:
    try:
        return content_hash(path)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise DataError(f"cannot be read: {reason}", where=path.name) from None


def _known(source: Path) -> Stored | None:
    """What was stored from these files before, if all of it is as it was written."""
    record = unsealed(source)
    if record is None:
        return None
    folder = source.parent.parent / str(record["dataset_id"])
    facts = _facts_of(folder)
    return None if facts is None else Stored(folder, folder.name, facts, tuple(record["notices"]))


def _facts_of(folder: Path) -> dict[str, Any] | None:
    """The facts of a stored data set, or None where it is not whole."""
    facts = unsealed(folder / _FACTS)
    try:
        whole = facts is not None and all(content_hash(folder / name) == facts["hashes"][name] for name in _TABLES)
    except (OSError, KeyError, TypeError):
        return None
    return facts if whole else None


def _import(inter: Path, item: Path | None, digests: tuple[str | None, ...], scratch: Path, top: Path) -> Stored:
    interactions = _checked(inter, scratch / "inter.tsv", required=(USER, ITEM))
    items = None if item is None else _checked(item, scratch / "item.tsv", required=(ITEM,))
    if (interactions.digest, items and items.digest) != digests:
        raise DataError("the file changed while it was read", expected="a file at rest", where=inter.name)
    if interactions.rows == 0:
        raise DataError("no interactions", expected="one line for each interaction below the header", where=inter.name)
    connection = locked_connection(scratch, memory=MEMORY)
    try:
        return _loaded(connection, interactions, items, scratch, top)
    except duckdb.OutOfMemoryException:
        raise DataError(
            "too large to be sorted here", expected=f"a data set that fits {MEMORY} and the disk", where=inter.name
        ) from None
    except duckdb.IOException as error:
        if "space" in str(error).lower() or "too large" in str(error).lower():
            raise disk_full("the data set") from None
        raise DataError("cannot be read (IOException)", where=inter.name) from None
    except duckdb.Error as error:
        raise DataError(f"cannot be read ({type(error).__name__})", where=inter.name) from None
    finally:
        connection.close()


# ---- one file: header, fields, numbered copy


def _checked(path: Path, copy: Path, *, required: tuple[str, ...]) -> _Table:
    """Check every line of `path` and write `line number <tab> line` to `copy`."""
    lines = Lines(path)
    numbered = iter(lines)
    header = next(numbered, None)
    if header is None:
        raise DataError("the file is empty", expected="a header line such as user_id:token", where=path.name)
    columns, types = _header(header[1].decode(), path.name, required)
    with stored("the data set"), open(copy, "wb") as file:
        rows = 0
        for number, line in numbered:
            if not line:
                continue
            if line.count(b"\t") != len(columns) - 1:
                raise _ragged(path.name, number, line, len(columns))
            file.write(b"%d\t%b\n" % (number, line))
            rows += 1
    return _Table(path.name, copy, columns, types, rows, lines.digest, lines.cut)


def _ragged(name: str, number: int, line: bytes, expected: int) -> DataError:
    found = line.count(b"\t") + 1
    fields = "1 field" if found == 1 else f"{found} fields"
    return DataError(fields, expected=f"{expected}, as the header names", where=f"{name}, line {number}")


def _header(line: str, name: str, required: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    parts = [part.rpartition(":") if ":" in part else (part, ":", "token") for part in line.split("\t")]
    columns = tuple(part[0].strip() for part in parts)
    where = f"{name}, line 1"
    for place, column in enumerate(columns):
        if not column:
            raise DataError(f"column {place + 1} has no name", expected="name:type for each column", where=where)
        if column in columns[:place]:
            raise DataError(f"column {_brief(column)} appears twice", expected="distinct column names", where=where)
    missing = [column for column in required if column not in columns]
    if missing:
        expected = f"columns {' and '.join(required)}" if len(required) > 1 else f"a column {required[0]}"
        raise DataError(_columns_found(columns), expected=f"{expected}, separated by tabs", where=where)
    return columns, tuple(part[2].strip() for part in parts)


def _columns_found(columns: tuple[str, ...]) -> str:
    named = ", ".join(_brief(column) for column in columns[:12])
    more = f" and {len(columns) - 12} more" if len(columns) > 12 else ""
    return f"no column of the needed name; found {named}{more}"


def _brief(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


# ---- both files: types, order, names


def _loaded(
    connection: duckdb.DuckDBPyConnection, interactions: _Table, items: _Table | None, scratch: Path, top: Path
) -> Stored:
    notices = [
        f"{t.name}: the last line has no line end; the file may be cut short."
        for t in (interactions, items)
        if t is not None and t.cut
    ]
    _read(connection, interactions, "inter_text")
    timed = _type_interactions(connection, interactions, notices)
    _order_interactions(connection, timed=timed, notices=notices)
    rated, threshold = _rating_scale(connection, notices)
    title = _name_items(connection, items, notices)
    _list_users(connection)
    facts = {"noun": _noun(title), "has_ratings": rated, "like_threshold": threshold, "has_time": timed}
    dataset_id = _content_id(connection, facts)
    facts |= _counts(connection)
    return _kept(connection, dataset_id, facts, tuple(notices), scratch, top)


def _read(connection: duckdb.DuckDBPyConnection, table: _Table, name: str) -> None:
    # Nothing is guessed: every column is text, and no character quotes, escapes or comments.
    columns = {"line": "BIGINT"} | {f"f{place}": "VARCHAR" for place in range(len(table.columns))}
    connection.execute(
        f"CREATE TABLE {name} AS SELECT * FROM read_csv($path, auto_detect=false, header=false, delim='\t', quote='',"
        " escape='', comment='', new_line='\\n', max_line_size=1100000, columns=$columns)",
        {"path": str(table.copy), "columns": columns},
    )
    (rows,) = one(connection, f"SELECT count(*) FROM {name}")
    if rows != table.rows:
        raise DataError(f"{rows} of {table.rows} lines could be read", where=table.name)
    table.copy.unlink()


def _refuse_first(connection: duckdb.DuckDBPyConnection, query: str, *, found: str, expected: str, name: str) -> None:
    for row in connection.execute(f"{query} ORDER BY line LIMIT 1").fetchall():
        shown = found.format(_brief(str(row[1])))
        raise DataError(shown, expected=expected, where=f"{name}, line {row[0]}")


def _type_interactions(connection: duckdb.DuckDBPyConnection, table: _Table, notices: list[str]) -> bool:
    """Make table `typed` (line, user_id, item_id, rating, timestamp); True when the timestamps order anything."""
    connection.execute(
        f"CREATE VIEW named AS SELECT line, {table.field(USER)} AS user_id, {table.field(ITEM)} AS item_id,"
        f" nullif(trim({table.field(RATING)}::VARCHAR), '') AS rating,"
        f" nullif(trim({table.field(TIMESTAMP)}::VARCHAR), '') AS timestamp FROM inter_text"
    )
    for column in (USER, ITEM):
        _refuse_first(
            connection, f"SELECT line, '' FROM named WHERE {column} IS NULL",
            found=f"no {column}", expected="an id in every line", name=table.name,
        )  # fmt: skip
    _check_numbers(connection, table)
    connection.execute(
        "CREATE TABLE typed AS SELECT line, user_id, item_id, rating::DOUBLE AS rating, timestamp::DOUBLE AS timestamp"
        " FROM named"
    )
    connection.execute("DROP VIEW named; DROP TABLE inter_text")
    return _has_time(connection, table, notices)


def _check_numbers(connection: duckdb.DuckDBPyConnection, table: _Table) -> None:
    for column, least in ((RATING, "-inf"), (TIMESTAMP, "0")):
        _refuse_first(
            connection,
            f"SELECT line, {column} FROM named WHERE {column} IS NOT NULL AND (NOT regexp_full_match({column},"
            f" '{_NUMBER}') OR NOT isfinite({column}::DOUBLE) OR {column}::DOUBLE < '{least}'::DOUBLE)",
            found=f"{column} is {{}}",
            expected="a number of seconds from 0" if column == TIMESTAMP else "a finite number such as 4 or 3.5",
            name=table.name,
        )
    if TIMESTAMP in table.columns:
        _refuse_first(
            connection, "SELECT line, '' FROM named WHERE timestamp IS NULL AND"
            " EXISTS (SELECT 1 FROM named WHERE timestamp IS NOT NULL)",
            found="no timestamp", expected="one in every line, or in none", name=table.name,
        )  # fmt: skip


def _has_time(connection: duckdb.DuckDBPyConnection, table: _Table, notices: list[str]) -> bool:
    (distinct,) = one(
        connection, "SELECT count(*) FROM (SELECT DISTINCT timestamp FROM typed WHERE timestamp IS NOT NULL LIMIT 2)"
    )
    if distinct == 2:
        return True
    why = "All timestamps are equal" if distinct == 1 else "There are no timestamps"
    notices.append(f"{why}: the order of interactions is their order in {table.name}.")
    return False


def _order_interactions(connection: duckdb.DuckDBPyConnection, *, timed: bool, notices: list[str]) -> None:
    """Make table `ordered`: one row per (user, item, time), `position` from 0 by time, ties in file order."""
    connection.execute(
        "CREATE TABLE kept AS SELECT * FROM typed QUALIFY timestamp IS NULL OR"
        " row_number() OVER (PARTITION BY user_id, item_id, timestamp ORDER BY line DESC) = 1"
    )
    (dropped,) = one(connection, "SELECT (SELECT count(*) FROM typed) - (SELECT count(*) FROM kept)")
    if dropped:
        what = "1 interaction repeats" if dropped == 1 else f"{dropped} interactions repeat"
        notices.append(f"{what} the user, item and time of a later line; the last was kept.")
    when = "timestamp" if timed else "NULL::DOUBLE"
    connection.execute(
        f"CREATE TABLE ordered AS SELECT user_id, item_id, rating, {when} AS timestamp, (row_number() OVER"
        " (PARTITION BY user_id ORDER BY timestamp, line) - 1)::INTEGER AS position FROM kept"
    )
    connection.execute("DROP TABLE typed; DROP TABLE kept")


def _rating_scale(connection: duckdb.DuckDBPyConnection, notices: list[str]) -> tuple[bool, float]:
    low, high, missing = connection.execute(
        "SELECT min(rating), max(rating), count(*) FILTER (rating IS NULL) FROM ordered"
    ).fetchall()[0]
    if low is None or low == high:
        why = "There are no ratings" if low is None else "All ratings are equal"
        notices.append(f"{why}: every interaction counts as liked.")
        return False, 0.0
    if missing:
        what = (
            "1 interaction has no rating and does" if missing == 1 else f"{missing} interactions have no rating and do"
        )
        notices.append(f"{what} not count as liked.")
    return True, round(LIKED_SHARE * high, 9) if high > 0 else high


def _name_items(connection: duckdb.DuckDBPyConnection, items: _Table | None, notices: list[str]) -> str | None:
    """Make table `catalogue` (item_id, title, categories, popularity, place); the name of the title column."""
    title = _describe_items(connection, items, notices)
    connection.execute(
        "CREATE TABLE catalogue AS"
        " WITH met AS (SELECT item_id, count(*)::INTEGER AS popularity FROM ordered GROUP BY item_id)"
        " SELECT item_id, CASE WHEN d.item_id IS NULL THEN 'unknown title (' || item_id || ')'"
        f" WHEN {_BLANK} THEN 'untitled (' || item_id || ')' ELSE title END AS title,"
        " coalesce(categories, []::VARCHAR[]) AS categories, coalesce(popularity, 0) AS popularity,"
        f" (row_number() OVER (ORDER BY {NUMERIC_ORDER.format('item_id')}) - 1)::INTEGER AS place"
        " FROM met FULL JOIN described d USING (item_id)"
    )
    (orphans,) = one(
        connection, "SELECT count(*) FROM (SELECT DISTINCT item_id FROM ordered) ANTI JOIN described USING (item_id)"
    )
    if orphans and items is not None:
        what = "1 item has" if orphans == 1 else f"{orphans} items have"
        notices.append(f"{what} interactions but no line in {items.name}; shown as unknown title (id).")
    return title


def _describe_items(connection: duckdb.DuckDBPyConnection, items: _Table | None, notices: list[str]) -> str | None:
    if items is None:
        notices.append("There is no .item file: no titles are known.")
        connection.execute("CREATE TABLE described (item_id VARCHAR, title VARCHAR, categories VARCHAR[])")
        return None
    _read(connection, items, "item_text")
    _refuse_first(
        connection, f"SELECT line, '' FROM item_text WHERE {items.field(ITEM)} IS NULL",
        found=f"no {ITEM}", expected="an id in every line", name=items.name,
    )  # fmt: skip
    title, kinds = _title_column(items), _category_column(items)
    if title is None:
        notices.append(f"{items.name} has no title column; items are shown as untitled (id).")
    connection.execute(
        f"CREATE TABLE described AS SELECT {items.field(ITEM)} AS item_id, {items.field(title)}::VARCHAR AS title,"
        f" {_category_list(items, kinds)} AS categories FROM item_text"
        " QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY line DESC) = 1"
    )
    _note_items(connection, items, title, notices)
    return title


def _note_items(connection: duckdb.DuckDBPyConnection, items: _Table, title: str | None, notices: list[str]) -> None:
    rows, distinct = one(connection, "SELECT (SELECT count(*) FROM item_text), (SELECT count(*) FROM described)")
    if rows != distinct:
        notices.append(
            f"{int(str(rows)) - int(str(distinct))} lines of {items.name} repeat an item_id; the last was kept."
        )
    (blank,) = one(connection, "SELECT count(*) FROM described WHERE " + _BLANK)
    if blank and title is not None:
        what = "1 item has" if blank == 1 else f"{blank} items have"
        notices.append(f"{what} no title; shown as untitled (id).")


def _title_column(items: _Table) -> str | None:
    text = [column for column in items.columns if column != ITEM]
    if "title" in text:
        return "title"
    for part in ("title", "name"):
        for column in text:
            if part in column.lower():
                return column
    return None


def _category_column(items: _Table) -> str | None:
    for fits in (
        lambda column: column in ("class", "categories", "category"),
        lambda column: column.startswith("genre"),
        lambda column: "category" in column or "categories" in column,
        lambda column: column == "brand",
    ):
        for column in items.columns:
            if fits(column.lower()):
                return column
    return None


def _category_list(items: _Table, column: str | None) -> str:
    """SQL for the list of categories: parted at commas or bars, else, in a sequence, at spaces."""
    if column is None:
        return "NULL::VARCHAR[]"
    sequence = items.types[items.columns.index(column)] == "token_seq"
    cell = items.field(column)
    plain = f"string_split({cell}, ' ')" if sequence else f"[{cell}]"
    parts = f"CASE WHEN regexp_matches({cell}, '[,|]') THEN string_split_regex({cell}, '[,|]') ELSE {plain} END"
    return f"list_filter(list_transform({parts}, lambda part: trim(part, ' []\"''')), lambda part: part <> '')"


def _noun(title: str | None) -> str:
    """`movie` for a column `movie_title`, else `item`."""
    word = (title or "").lower().replace("title", "").replace("name", "").strip("_- .")
    return word if word.isalpha() and word.isascii() and len(word) <= 20 and word != "item" else "item"


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
    digest = hashlib.sha256(json.dumps([FORMAT, facts], sort_keys=True).encode())
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
    top: Path,
) -> Stored:
    """Write the three tables and the facts, then give the folder its name: it appears whole or not at all."""
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
        folder = top / dataset_id
        with alone(f"dataset-{dataset_id}", "the same data"):
            existing = _facts_of(folder)  # Of other files with the same content.
            if existing is None:
                put_folder(part, folder)
    return Stored(folder, dataset_id, facts if existing is None else existing, notices)


def _sync(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())
