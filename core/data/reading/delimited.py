"""Rows of fields between delimiters, quoted or not."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from core.data.reading.blocks import LONGEST_LINE, TextBlocks
from core.data.reading.layouts import LINE, FileReading, ReadingPass

MOST_QUOTED_LINES = 500
"""Lines that one quoted field may cover before its quote counts as not closed."""
_UNIT = "\x1f"
"""Stands for a delimiter of several characters."""
_WORDS = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars", "::": "double colons", " ": "spaces"}


@dataclass(frozen=True)
class Delimited:
    """Fields between `delimiter`s."""

    delimiter: str
    names: tuple[str, ...]
    header: bool = True
    """Whether the first line names the columns."""
    quote: str = ""
    """The quotation mark that may enclose a field; empty where none does."""
    escape: str = ""
    """The character that makes the next one plain, inside quotes."""
    named_by: str = ""
    """Who says how many fields a line has; empty for the first line."""

    @property
    def words(self) -> str:
        """For the report."""
        quoted = ", which may be quoted" if self.quote else ""
        return f"fields between {_WORDS.get(self.delimiter, repr(self.delimiter))}{quoted}"

    @cached_property
    def whole_field(self) -> re.Pattern[bytes]:
        """One field and the delimiter behind it; nothing where a quoted field is not closed."""
        mark, part = re.escape(self.quote.encode()), re.escape(self.delimiter.encode())
        escaped = rb"|" + re.escape(self.escape.encode()) + rb"." if self.escape else b""
        plain = rb"[^" + mark + (re.escape(self.escape.encode()) if self.escape else b"") + rb"]"
        rest = rb"[^" + part + rb"]*"
        inside = rb"(?:" + plain + rb"|" + mark + mark + escaped + rb")*"
        fields = (mark + inside + mark + rest, rb"[^" + mark + part + rb"]" + rest, b"")
        return re.compile(rb"(?:" + rb"|".join(fields) + rb")(?:" + part + rb"|\Z)", re.DOTALL)

    def blocks(self, reading: ReadingPass) -> Iterator[pa.Table | FileReading]:
        """Tables of the reading's columns, a few MB of text each; the outcome at the end."""
        texts = TextBlocks(reading.stream, reading.rejects, reading.encoding)
        part = _BlockReader(self, reading)
        for block in texts:
            first, data = block.first, block.data
            if first == 1 and self.header:
                blank = len(data) - len(data.lstrip(b"\n"))
                first, data = 2 + blank, data[data.find(b"\n", blank) + 1 :]
            if data or part.held:
                yield from part.tables(first, data)
        yield from part.end()
        yield FileReading(texts.read_as, texts.cut)


@dataclass
class _BlockReader:
    """The reading of one file's blocks; `held` lines wait for the end of a quoted field."""

    layout: Delimited
    reading: ReadingPass
    held: list[bytes] = field(default_factory=list)
    held_from: int = 0

    def tables(self, first: int, data: bytes) -> Iterator[pa.Table]:
        delimiter = self.layout.delimiter.encode()
        if not self.held and (not self.layout.quote or self.layout.quote.encode() not in data):
            if len(delimiter) > 1:
                if _UNIT.encode() in data:
                    yield self._sliced(first, data)
                    return
                data = data.replace(delimiter, _UNIT.encode())
            yield self._parsed(first, data)
            return
        table = None if self.held or self.layout.escape or len(delimiter) > 1 else self._whole(first, data)
        yield table if table is not None else self._sliced(first, data)

    def end(self) -> Iterator[pa.Table]:
        if self.held:
            yield self._sliced(0, b"", last=True)

    def _whole(self, first: int, data: bytes) -> pa.Table | None:
        """The table of a block with quotes, if every row of it is one line."""
        wrong: list[tuple[int, int]] = []
        try:
            table = self._arrow(data, quote=True, wrong=wrong)
        except pa.ArrowInvalid:
            return None
        if wrong or table.num_rows != data.count(b"\n"):
            return None
        return self._numbered(table, first, [], blank=_has_blank(data))

    def _parsed(self, first: int, data: bytes) -> pa.Table:
        wrong: list[tuple[int, int]] = []
        table = self._arrow(data, quote=False, wrong=wrong)
        for place, count in wrong:
            self._ragged(first + place - 1, count)
        return self._numbered(table, first, [place for place, _ in wrong], blank=_has_blank(data))

    def _arrow(self, data: bytes, *, quote: bool, wrong: list[tuple[int, int]]) -> pa.Table:
        numeric = self.reading.numeric

        def skip(row: arrow_csv.InvalidRow) -> str:
            wrong.append((row.number, row.actual_columns))
            return "skip"

        delimiter = self.layout.delimiter if len(self.layout.delimiter) == 1 else _UNIT
        for kinds in ({name: pa.float64() for name in numeric}, {}):
            wrong.clear()
            try:
                table = arrow_csv.read_csv(
                    pa.py_buffer(data),
                    read_options=arrow_csv.ReadOptions(
                        column_names=list(self.layout.names), use_threads=False, block_size=len(data) + 1
                    ),
                    parse_options=arrow_csv.ParseOptions(
                        delimiter=delimiter,
                        quote_char=self.layout.quote if quote else False,
                        ignore_empty_lines=False,
                        invalid_row_handler=skip,
                    ),
                    convert_options=arrow_csv.ConvertOptions(
                        column_types=dict.fromkeys(self.layout.names, pa.string()) | kinds,
                        include_columns=list(self.reading.columns),
                        null_values=[""],
                        strings_can_be_null=True,
                        quoted_strings_can_be_null=True,
                        check_utf8=False,
                    ),
                )
            except pa.ArrowInvalid:
                if not kinds:
                    raise
                continue
            if all(pc.all(pc.is_finite(table.column(name))).as_py() is not False for name in kinds):
                return table
        raise AssertionError("the second reading takes every field as text")

    @staticmethod
    def _numbered(table: pa.Table, first: int, skipped: Sequence[int], *, blank: bool) -> pa.Table:
        """With the number of each row's line; without the rows of empty lines."""
        lines = np.arange(first, first + table.num_rows + len(skipped), dtype=np.int64)
        if skipped:
            lines = np.delete(lines, np.asarray(skipped) - 1)
        table = table.add_column(0, LINE, pa.array(lines))
        return _without_empty(table) if blank else table

    def _sliced(self, first: int, data: bytes, *, last: bool = False) -> pa.Table:
        """The same line by line, for blocks in which quotes may enclose line ends."""
        if not self.held:
            self.held_from = first
        lines = [*self.held, *data.split(b"\n")[:-1]]
        self.held = []
        places = [self.layout.names.index(name) for name in self.reading.columns]
        numbers: list[int] = []
        cells: list[list[str | None]] = [[] for _ in places]
        for number, fields in self._records(lines, self.held_from, last=last):
            if len(fields) != len(self.layout.names):
                self._ragged(number, len(fields))
                continue
            numbers.append(number)
            for column, place in zip(cells, places, strict=True):
                column.append(fields[place] or None)
        columns = [pa.array(column, pa.string()) for column in cells]
        return pa.table([pa.array(numbers, pa.int64()), *columns], names=[LINE, *self.reading.columns])

    def _records(self, lines: list[bytes], first: int, *, last: bool) -> Iterator[tuple[int, list[str]]]:
        place = 0
        while place < len(lines):
            if not lines[place]:
                place += 1
                continue
            end = self._end(lines, place)
            if end > len(lines) and not last and self._may_go_on(lines, place):
                self.held, self.held_from = lines[place:], first + place
                return
            if end > len(lines) or end - place > MOST_QUOTED_LINES:
                problem, expected = "a quotation mark that is not closed", "a second one that ends the field"
                self.reading.rejects.add(self.reading.stream.name, first + place, problem, expected)
                place += 1
                continue
            yield first + place, self._fields(b"\n".join(lines[place:end]).decode())
            place = end

    def _end(self, lines: list[bytes], place: int) -> int:
        """The place after the last line of a record; beyond the lines where its quote is not closed there."""
        text = b""
        for end in range(place, min(place + MOST_QUOTED_LINES, len(lines))):
            text = text + b"\n" + lines[end] if text else lines[end]
            if not self.layout.quote or self._closed(text):
                return end + 1
            if len(text) > LONGEST_LINE:
                break
        return len(lines) + MOST_QUOTED_LINES

    def _closed(self, text: bytes) -> bool:
        """Whether no quoted field of the text is open at its end."""
        place = 0
        while field := self.layout.whole_field.match(text, place):
            if field.end() == len(text) and not field[0].endswith(self.layout.delimiter.encode()):
                return True
            place = field.end()
        return False

    @staticmethod
    def _may_go_on(lines: list[bytes], place: int) -> bool:
        return len(lines) - place < MOST_QUOTED_LINES and sum(map(len, lines[place:])) < LONGEST_LINE

    def _fields(self, text: str) -> list[str]:
        layout = self.layout
        if len(layout.delimiter) > 1 or not layout.quote:
            return text.split(layout.delimiter)
        lines = [f"{line}\n" for line in text.split("\n")]
        lines[-1] = lines[-1][:-1]
        try:
            return next(
                csv.reader(lines, delimiter=layout.delimiter, quotechar=layout.quote, escapechar=layout.escape or None)
            )
        except csv.Error:  # A field of more than 128 kB.
            return []

    def _ragged(self, number: int, count: int) -> None:
        fields = "1 field" if count == 1 else f"{count} fields"
        expected = f"{len(self.layout.names)}, as {self.layout.named_by or 'the header names'}"
        self.reading.rejects.add(self.reading.stream.name, number, fields, expected)


def _has_blank(data: bytes) -> bool:
    return data.startswith(b"\n") or b"\n\n" in data


def _without_empty(table: pa.Table) -> pa.Table:
    """Rows in which at least one field is not empty."""
    some = np.zeros(table.num_rows, dtype=bool)
    for column in table.columns[1:]:
        some |= column.is_valid().to_numpy()
    return table.filter(pa.array(some))
