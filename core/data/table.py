"""Is a file a table in RecBole's atomic format, and what are its columns?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from core.columns import ITEM, LABEL, RATING, TIMESTAMP, USER
from core.data.duck import one
from core.data.lines import Lines
from core.errors import DataError
from core.store.home import stored

_KNOWN = (USER, ITEM, RATING, LABEL, TIMESTAMP)
"""Columns that are found in any case, `User_ID` too."""


@dataclass(frozen=True)
class Table:
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

    def kind(self, column: str) -> str:
        """RecBole's type of a column, such as `token_seq`."""
        return self.types[self.columns.index(column)]

    def unused(self, *used: str | None) -> tuple[str, ...]:
        """The columns that are none of `used`."""
        return tuple(column for column in self.columns if column not in used)


def checked(path: Path, copy: Path, *, required: tuple[str, ...]) -> Table:
    """Check every line of `path` and write `line number <tab> line` to `copy`."""
    lines = Lines(path)
    numbered = iter(lines)
    header = next(numbered, None)
    name = lines.name
    if header is None:
        raise DataError("the file is empty", expected="a header line such as user_id:token", where=name)
    columns, types = _header(header[1].decode(), name, required)
    with stored("the data set"), open(copy, "wb") as file:
        rows = 0
        for number, line in numbered:
            if not line:
                continue
            if line.count(b"\t") != len(columns) - 1:
                raise _ragged(name, number, line, len(columns))
            file.write(b"%d\t%b\n" % (number, line))
            rows += 1
    return Table(name, copy, columns, types, rows, lines.digest, lines.cut)


def _ragged(name: str, number: int, line: bytes, expected: int) -> DataError:
    found = line.count(b"\t") + 1
    fields = "1 field" if found == 1 else f"{found} fields"
    return DataError(fields, expected=f"{expected}, as the header names", where=f"{name}, line {number}")


def _header(line: str, name: str, required: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    parts = [part.rpartition(":") if ":" in part else (part, ":", "token") for part in line.split("\t")]
    columns = tuple(_column(part[0].strip()) for part in parts)
    where = f"{name}, line 1"
    for place, column in enumerate(columns):
        if not column:
            raise DataError(f"column {place + 1} has no name", expected="name:type for each column", where=where)
        if column in columns[:place]:
            raise DataError(f"column {brief(column)} appears twice", expected="distinct column names", where=where)
    missing = [column for column in required if column not in columns]
    if missing:
        expected = f"columns {' and '.join(required)}" if len(required) > 1 else f"a column {required[0]}"
        raise DataError(_columns_found(columns), expected=f"{expected}, separated by tabs", where=where)
    return columns, tuple(part[2].strip() for part in parts)


def _column(written: str) -> str:
    return next((column for column in _KNOWN if column == written.casefold()), written)


def _columns_found(columns: tuple[str, ...]) -> str:
    named = ", ".join(brief(column) for column in columns[:12])
    more = f" and {len(columns) - 12} more" if len(columns) > 12 else ""
    return f"no column of the needed name; found {named}{more}"


def brief(text: str) -> str:
    """The words of a file, quoted, and cut at 60 characters."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def load(connection: duckdb.DuckDBPyConnection, table: Table, name: str) -> None:
    """Make table `name` (line, f0, f1, ...) of the file's numbered copy, which is deleted."""
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


def refuse_first(connection: duckdb.DuckDBPyConnection, query: str, *, found: str, expected: str, name: str) -> None:
    """Raise `DataError` for the first row (line, text) of `query`, if there is one."""
    for row in connection.execute(f"{query} ORDER BY line LIMIT 1").fetchall():
        shown = found.format(brief(str(row[1])))
        raise DataError(shown, expected=expected, where=f"{name}, line {row[0]}")
