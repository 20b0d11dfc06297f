"""How the lines of a file hold rows: fields between delimiters, JSON, Python's literals, or the columns of Parquet.

Each layout gives the rows of a file in blocks, every field as text (or as a number where all of a block's are), with
the number of the line that a row stands on. Lines that hold no row are counted as rejected.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from core.data.reading.rejects import Rejects
from core.data.reading.streams import Stream

LINE = "line"
"""Name of the column of line numbers."""


@dataclass(frozen=True)
class ReadingPass:
    """One reading of one file."""

    stream: Stream
    rejects: Rejects
    columns: Sequence[str]
    """The columns to read, as the file names them."""
    numeric: frozenset[str] = frozenset()
    """Those of them that are to come as numbers wherever a whole block's are."""
    encoding: str | None = None


@dataclass(frozen=True)
class FileReading:
    """What is known of a file once it was read."""

    encoding: str = "utf-8"
    cut: bool = False
    """Whether the last line had no line end, as in a file that was cut short."""


class FileLayout(Protocol):
    """How the lines of a file hold rows."""

    @property
    def words(self) -> str:
        """For the report, such as `fields separated by commas`."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """All columns of the file, in its order."""
        ...

    def blocks(self, reading: ReadingPass) -> Iterator[pa.Table | FileReading]:
        """Tables with `line` and the reading's columns, null where a field is empty; the outcome at the end.

        Raises `DataError` for another kind of file; in a strict reading, for the first line that is wrong.
        """
        ...
