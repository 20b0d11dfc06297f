"""Rows of a Parquet file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.data.reading.import_choices import TimeUnit
from core.data.reading.layouts import LINE, FileReading, ReadingPass
from core.data.reading.records import PARTS
from core.data.reading.streams import Stream
from core.errors import DataError

MAGIC = b"PAR1"
_ROWS = 200_000
"""Rows in a block."""
_TIMESTAMP_UNITS: Mapping[str, TimeUnit] = {
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
}
MOST_UNPACKED = 500
"""Most unpacked bytes for each byte of the file: dictionaries make far more of it than archives."""


@dataclass(frozen=True)
class ParquetRows:
    """The rows of a Parquet file; line numbers count rows from 1."""

    names: tuple[str, ...]
    units: tuple[tuple[str, TimeUnit], ...] = ()
    """Columns of times whose type says their unit, and that unit."""
    words: str = "rows of Parquet"

    def blocks(self, reading: ReadingPass) -> Iterator[pa.Table | FileReading]:
        """Tables of the reading's columns; the outcome at the end."""
        first = 1
        with parquet_file(reading.stream) as file, _faults(reading.stream.name):
            for batch in file.iter_batches(batch_size=_ROWS, columns=list(reading.columns), use_threads=False):
                lines = pa.array(np.arange(first, first + batch.num_rows, dtype=np.int64))
                columns = [plain(batch.column(name), numeric=name in reading.numeric) for name in reading.columns]
                yield pa.table([lines, *columns], names=[LINE, *reading.columns])
                first += batch.num_rows
        yield FileReading()


def parquet_rows(stream: Stream) -> ParquetRows:
    """The layout of a Parquet file; raises `DataError` for one that is damaged or unpacks to too much."""
    with parquet_file(stream) as file:
        schema = file.schema_arrow
    units = [(field.name, unit) for field in schema if (unit := _unit(field.type))]
    return ParquetRows(tuple(schema.names), tuple(units))


def _unit(kind: pa.DataType) -> TimeUnit | None:
    if pa.types.is_timestamp(kind):
        return _TIMESTAMP_UNITS[kind.unit]
    if pa.types.is_date32(kind) or kind == pa.uint16():  # ClickHouse writes days as UINT16.
        return "days"
    return "milliseconds" if kind == pa.date64() else None


def parquet_file(stream: Stream) -> pq.ParquetFile:
    """The file, opened; raises `DataError`."""
    if stream.member is not None:
        raise DataError("a Parquet file in an archive", expected="the Parquet file itself", where=stream.name)
    with _faults(stream.name):
        file = pq.ParquetFile(stream.path)
        groups = range(file.metadata.num_row_groups)
        size = sum(file.metadata.row_group(group).total_byte_size for group in groups)
        if size > MOST_UNPACKED * stream.path.stat().st_size + 2**26:
            file.close()
            raise DataError("unpacks to far too much", expected="a Parquet file of ordinary size", where=stream.name)
        return file


class _faults:  # noqa: N801  (used like a function)
    """Turns what pyarrow raises for a damaged file into one sentence."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, pa.ArrowException | OSError | ValueError):
            problem = "the Parquet file is damaged or cut short"
            raise DataError(problem, expected="a whole Parquet file", where=self._name) from None


def plain(column: pa.Array, *, numeric: bool) -> pa.Array:
    """A column as text, or as numbers where it holds them and they are asked for; lists as their joined parts."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return plain(column.dictionary_decode(), numeric=numeric)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        texts = [None if row is None else PARTS.join(str(part) for part in row if part) for row in column.to_pylist()]
        return pa.array(texts, pa.string())
    if pa.types.is_timestamp(kind) or pa.types.is_date64(kind):
        column = column.cast(pa.int64())
    elif pa.types.is_date32(kind):
        column = column.cast(pa.int32())
    if numeric and (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return column.cast(pa.float64(), safe=False)
    if pa.types.is_floating(column.type):
        column = _whole_numbers(column)
    text = column.cast(pa.string())
    return pc.if_else(pc.equal(text, ""), None, text)


def _whole_numbers(column: pa.Array) -> pa.Array:
    """Ids that a library stored as 7.0 because some are missing."""
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:
        return column
