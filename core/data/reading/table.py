"""A checked text table: what a reader of a data format hands on, and how DuckDB loads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from core.data.duck import first_row
from core.errors import DataError
from core.words import brief


@dataclass(frozen=True)
class Table:
    """One checked file as a numbered copy: in each line the line's number in the file and its fields, tabs between.

    Interactions have columns `user_id` and `item_id` (perhaps `rating` or `label`, and `timestamp`), items `item_id`.
    """

    name: str
    """The file's, for sentences."""
    copy: Path
    columns: tuple[str, ...]
    types: tuple[str, ...]
    """RecBole's type of each column, such as `token_seq`."""
    rows: int
    digest: str
    """SHA-256 of the file's bytes, from the same reading."""
    cut: bool
    """Whether the last line has no line end, as in a file that was cut short."""

    def field(self, column: str | None) -> str:
        """The SQL name of a header column in the loaded table, or SQL NULL."""
        return f"f{self.columns.index(column)}" if column in self.columns else "NULL"

    def kind(self, column: str) -> str:
        """The type of a column."""
        return self.types[self.columns.index(column)]

    def unused(self, *used: str | None) -> tuple[str, ...]:
        """The columns that are none of `used`."""
        return tuple(column for column in self.columns if column not in used)


def load(connection: duckdb.DuckDBPyConnection, table: Table, name: str) -> None:
    """Make table `name` (line, f0, f1, ...) of the file's numbered copy, which is deleted."""
    # Nothing is guessed: every column is text, and no character quotes, escapes or comments.
    columns = {"line": "BIGINT"} | {f"f{place}": "VARCHAR" for place in range(len(table.columns))}
    connection.execute(
        f"CREATE TABLE {name} AS SELECT * FROM read_csv($path, auto_detect=false, header=false, delim='\t', quote='',"
        " escape='', comment='', new_line='\\n', max_line_size=1100000, columns=$columns)",
        {"path": str(table.copy), "columns": columns},
    )
    (rows,) = first_row(connection, f"SELECT count(*) FROM {name}")
    if rows != table.rows:
        raise DataError(f"{rows} of {table.rows} lines could be read", where=table.name)
    table.copy.unlink()


def refuse_first(connection: duckdb.DuckDBPyConnection, query: str, *, problem: str, expected: str, name: str) -> None:
    """Raise `DataError` for the first row (line, text) of `query`, if there is one."""
    for row in connection.execute(f"{query} ORDER BY line LIMIT 1").fetchall():
        raise DataError(problem.format(brief(row[1])), expected=expected, where=f"{name}, line {row[0]}")
