"""What a file looks like before it is read: its columns and first rows, for a person who corrects a guess."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict

from core.data.reading.delimited import Delimited
from core.data.reading.parquet_rows import parquet_file
from core.data.reading.probe import FileProbe
from core.data.reading.sources import SourceFile, probe_of
from core.data.reading.streams import Stream
from core.data.reading.table_shapes import MOST_SHOWN, table_layout
from core.errors import DataError

LONGEST_CELL = 120
"""Characters of a cell that are shown."""
MOST_COLUMNS = 200
"""Columns that are shown."""


class FileHead(BaseModel):
    """The beginning of one file, as any table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    role: str
    """`interactions` or `items` where the file was recognised, else empty."""
    columns: tuple[str, ...]
    """The names by which a choice may call its columns; numbers from 1 in a file without a header."""
    headings: tuple[str, ...]
    """The columns of `rows`."""
    rows: tuple[tuple[str, ...], ...]
    """The first rows, cut where they are long."""


def heads_of(
    streams: Iterable[Stream], files: Sequence[SourceFile], *, delimiter: str | None = None, encoding: str | None = None
) -> tuple[FileHead, ...]:
    """The beginnings of these files; those that hold no table are left out. `files` are those that were recognised."""
    recognised = {file.stream: file for file in files}
    heads = (_head(stream, recognised.get(stream), delimiter, encoding) for stream in streams)
    return tuple(head for head in heads if head is not None)


def _head(stream: Stream, file: SourceFile | None, delimiter: str | None, encoding: str | None) -> FileHead | None:
    try:
        probe = probe_of(stream, delimiter=delimiter, encoding=encoding)
        layout = table_layout(probe)
        if layout is None:
            return None
        headings = layout.names[:MOST_COLUMNS]
        rows = _rows(probe, headings, header=not isinstance(layout, Delimited) or layout.header)
    except DataError:
        return None
    columns = headings if file is None else file.shape.layout.names[:MOST_COLUMNS]
    role = "" if file is None else file.kind.role
    return FileHead(name=stream.name, role=role, columns=columns, headings=headings, rows=rows)


def _rows(probe: FileProbe, names: Sequence[str], *, header: bool) -> tuple[tuple[str, ...], ...]:
    if probe.parquet is not None:
        with parquet_file(probe.stream) as file:
            batch = next(file.iter_batches(batch_size=MOST_SHOWN, columns=list(names), use_threads=False), None)
        records = [] if batch is None else batch.to_pylist()
        return tuple(tuple(_cell(record.get(name)) for name in names) for record in records)
    if probe.notation:
        return tuple(tuple(_cell(record.get(name)) for name in names) for record in probe.records[:MOST_SHOWN])
    rows = probe.rows(probe.delimiter)[1 if header else 0 :][:MOST_SHOWN]
    return tuple(tuple(map(_cell, (*row[: len(names)], *[""] * (len(names) - len(row))))) for row in rows)


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 1]}…"
