"""Rows that are records with named fields: lines of JSON, one JSON array, or lines of Python's literals."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from core.data.reading.blocks import LONGEST_RECORD, TextBlock, TextBlocks
from core.data.reading.layouts import LINE, FileReading, ReadingPass
from core.errors import DataError

FieldValues = Mapping[str, Any]
Spread = Callable[[FieldValues], Iterator[FieldValues]]
"""The records that one record stands for."""

LONGEST_LITERAL = 2_000_000
"""Most bytes of a line of Python's literals: their parser takes about a hundred times as much memory."""
LARGEST_ARRAY = 256 * 2**20
"""Most bytes of a file that is one JSON array, which is read at once."""
PARTS = "\x1f"
"""Stands between the parts of a list, in a field."""
_NOTATIONS = {"json": "JSON", "literal": "Python literals"}


@dataclass(frozen=True)
class RecordLines:
    """One record a line."""

    notation: Literal["json", "literal"]
    names: tuple[str, ...]
    array: bool = False
    """Whether the file is one JSON array instead of lines."""
    spread: Spread | None = None

    @property
    def words(self) -> str:
        """For the report."""
        return "one JSON array" if self.array else f"one record of {_NOTATIONS[self.notation]} a line"

    def blocks(self, reading: ReadingPass) -> Iterator[pa.Table | FileReading]:
        """Tables of the reading's columns; the outcome at the end."""
        texts = TextBlocks(reading.stream, reading.rejects, reading.encoding, longest=LONGEST_RECORD)
        rows = self._array(texts) if self.array else None
        if rows is not None:
            yield _table(rows, reading)
        else:
            for block in texts:
                yield _table(self._lines(block, reading), reading)
        yield FileReading(texts.read_as, texts.cut)

    def _lines(self, block: TextBlock, reading: ReadingPass) -> list[tuple[int, FieldValues]]:
        rows: list[tuple[int, FieldValues]] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # A backslash in a title is none of the reader's business.
            for number, line in enumerate(block.data.split(b"\n"), block.first):
                record = parsed(line, self.notation) if line.strip() else None
                if isinstance(record, dict):
                    rows += [(number, row) for row in (self.spread(record) if self.spread else (record,))]
                elif line.strip():
                    problem = f"this is no record of {_NOTATIONS[self.notation]}"
                    reading.rejects.add(reading.stream.name, number, problem, "one record a line")
        return rows

    def _array(self, texts: TextBlocks) -> list[tuple[int, FieldValues]]:
        data, size = [], 0
        texts.longest = LARGEST_ARRAY
        for block in texts:
            size += len(block.data)
            if size > LARGEST_ARRAY:
                what = f"one JSON array of more than {LARGEST_ARRAY // 2**20} MB"
                raise DataError(what, expected="JSON lines", where=texts.name)
            data.append(block.data)
        rows = parsed(b"".join(data), "json")
        if not isinstance(rows, list):
            raise DataError("this is no whole JSON array", expected="an array of records", where=texts.name)
        records: list[tuple[int, FieldValues]] = []
        for number, row in enumerate(rows, 1):
            if isinstance(row, dict):
                records += [(number, each) for each in (self.spread(row) if self.spread else (row,))]
            else:
                texts.rejects.add(texts.name, number, "this is no record", "one record for each element")
        return records


def parsed(line: bytes, notation: str) -> Any:
    """The value that a text writes; None where it writes none."""
    try:
        if notation == "json":
            return json.loads(line)
        return ast.literal_eval(line.decode().strip()) if len(line) <= LONGEST_LITERAL else None
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


def _table(rows: Sequence[tuple[int, FieldValues]], reading: ReadingPass) -> pa.Table:
    columns = {LINE: pa.array([number for number, _ in rows], pa.int64())}
    for name in reading.columns:
        values = [row.get(name) for _, row in rows]
        columns[name] = _column(values, numeric=name in reading.numeric)
    return pa.table(columns)


def _column(values: list[Any], *, numeric: bool) -> pa.Array:
    if numeric and all(value is None or type(value) in (int, float) for value in values):
        try:
            return pa.array(values, pa.float64())
        except (pa.ArrowInvalid, OverflowError):
            pass
    return pa.array([text_of(value) for value in values], pa.string())


def text_of(value: Any) -> str | None:
    """A value as the text of a field; None for nothing, and for what no field can hold."""
    if value is None or value == "" or isinstance(value, bool | dict):
        return None
    if isinstance(value, list | tuple):
        parts = [part for each in value if (part := text_of(each))]
        return PARTS.join(parts) or None
    text = value if isinstance(value, str) else repr(value)
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text
