"""What is known of the files of interactions, or of those of items, once their rows are in DuckDB."""

from __future__ import annotations

from dataclasses import dataclass

LINE_BITS = 40
"""Bits of a row's number that count lines; those above them count files."""


@dataclass(frozen=True)
class Table:
    """The rows of one file, or of several whose rows are put together."""

    files: tuple[str, ...]
    """The files' names, for sentences."""
    columns: tuple[str, ...]
    """The columns of the rows in DuckDB, as the files name them; there they are f0, f1, ..."""
    types: tuple[str, ...]
    """RecBole's type of each column, such as `token_seq`."""
    rows_of: tuple[int, ...] = ()
    """Rows that were read of each file."""
    unread: tuple[str, ...] = ()
    """Columns of the files that no row in DuckDB has."""
    cut: tuple[str, ...] = ()
    """Files whose last line has no line end, as in a file that was cut short."""
    encodings: tuple[str, ...] = ()
    """The encoding that each file was read in."""

    @property
    def rows(self) -> int:
        """Rows that were read of all files."""
        return sum(self.rows_of)

    @property
    def name(self) -> str:
        """The name of the file, or of the first and how many more there are."""
        return self.files[0] if len(self.files) == 1 else f"{self.files[0]} and {len(self.files) - 1} more"

    def field(self, column: str | None) -> str:
        """The SQL name of a column in the loaded table, or SQL NULL."""
        return f"f{self.columns.index(column)}" if column in self.columns else "NULL"

    def kind(self, column: str) -> str:
        """The type of a column."""
        return self.types[self.columns.index(column)]

    def place(self, number: int) -> tuple[str, int]:
        """File and line of a row's number."""
        return self.files[number >> LINE_BITS], number & ((1 << LINE_BITS) - 1)
