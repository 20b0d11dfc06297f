"""What a file holds: its layout, and which of its columns means what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import pyarrow as pa

from core.data.reading.import_choices import TimeUnit
from core.data.reading.layouts import LINE, FileLayout, FileReading, ReadingPass
from core.data.reading.probe import FileProbe

Meaning = Literal["user", "item", "rating", "time", "title", "categories"]
FileRole = Literal["interactions", "items", "other"]
"""`other`: recognised, and not read."""


@dataclass(frozen=True)
class FileShape:
    """How one file is read."""

    layout: FileLayout
    taken: Mapping[Meaning, str] = field(default_factory=dict)
    """The column that each meaning is read from."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """RecBole's types of columns, where the file says them."""
    time_unit: TimeUnit | None = None
    """The unit of times, where the format fixes it."""
    not_rated: tuple[float, ...] | None = None
    """Ratings that mean "not rated", where the format fixes them."""
    notes: tuple[str, ...] = ()
    """What a reader should know of this kind of file, one sentence each."""


Taken = Mapping[Meaning, str]


def shaped(
    layout: FileLayout | None,
    taken: Taken | None = None,
    *,
    time_unit: TimeUnit | None = None,
    not_rated: tuple[float, ...] | None = None,
    notes: tuple[str, ...] = (),
) -> FileShape | None:
    """The shape of a layout; None for none."""
    if layout is None:
        return None
    return FileShape(layout, taken or {}, time_unit=time_unit, not_rated=not_rated, notes=notes)


Recognise = Callable[[FileProbe], FileShape | None]


@dataclass(frozen=True)
class FileKind:
    """One kind of file of a format."""

    role: FileRole
    words: str
    """For the report, such as `MovieLens ratings.csv`."""
    shape: Recognise
    """How a file of this kind is read; None for a file of another kind."""


@dataclass(frozen=True)
class DataFormat:
    """One format: the kinds of files that belong together."""

    name: str
    words: str
    """For the screen."""
    kinds: tuple[FileKind, ...]


@dataclass(frozen=True)
class Reshaped:
    """A layout whose rows are made of another layout's rows."""

    inner: FileLayout
    reads: tuple[str, ...]
    """Columns of the inner layout."""
    names: tuple[str, ...]
    reshaper: Callable[[], Callable[[pa.Table], pa.Table]]
    """Makes, anew for each reading, the function from the inner columns and `line` to `line` and `names`."""
    extra: tuple[str, ...] = ()
    """Columns of the inner layout that are not read."""

    @property
    def words(self) -> str:
        """For the report."""
        return self.inner.words

    def blocks(self, reading: ReadingPass) -> Iterator[pa.Table | FileReading]:
        """Tables of the reading's columns; the outcome at the end."""
        reshape = self.reshaper()
        for block in self.inner.blocks(replace(reading, columns=self.reads, numeric=frozenset())):
            yield block if isinstance(block, FileReading) else reshape(block).select([LINE, *reading.columns])
