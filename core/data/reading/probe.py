"""The beginning of a file, for recognising its format: its lines, its delimiter, its first records."""

from __future__ import annotations

import csv
import json
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

from core.data.reading.blocks import LONGEST_LINE, check_kind, too_long
from core.data.reading.parquet_rows import MAGIC, ParquetRows, parquet_rows
from core.data.reading.records import parsed
from core.data.reading.streams import Stream

HEAD = 1 << 18
"""Bytes that are looked at."""
LINES = 50
DELIMITERS = ("\t", "::", ";", "|", ",")
"""In the order in which they are tried: a comma also stands in titles, a bar in lists of genres."""
_RECORD = re.compile(rb"(\xef\xbb\xbf)?\s*[\[{]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class FileProbe:
    """What the first bytes of a file hold; raises `DataError` for a kind of file that holds no interactions."""

    def __init__(
        self, stream: Stream, *, delimiter: str | None = None, encoding: str | None = None, strict: bool = False
    ) -> None:
        self.stream = stream
        self._delimiter, self._encoding = delimiter, encoding
        self._start = stream.head(HEAD)
        check_kind(self._start, stream.name, strict=strict)
        if len(self._start) == HEAD and not re.search(rb"[\r\n]", self._start) and not _RECORD.match(self._start):
            self._check_first_line()

    def _check_first_line(self) -> None:
        if not self._start.startswith(MAGIC) and not re.search(rb"[\r\n]", self.stream.head(LONGEST_LINE + 1)):
            raise too_long(self.name, 1, LONGEST_LINE)

    @property
    def name(self) -> str:
        """The file's name."""
        return self.stream.name

    @cached_property
    def parquet(self) -> ParquetRows | None:
        """The layout of a Parquet file; raises `DataError` for a damaged one."""
        return parquet_rows(self.stream) if self._start.startswith(MAGIC) else None

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The first lines that hold something."""
        if self._start.startswith(MAGIC):
            return ()
        text = self._text().removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        whole = text if len(self._start) < HEAD else text[: text.rfind("\n") + 1]
        return tuple(line for line in (whole or text).split("\n")[: 2 * LINES] if line.strip())[:LINES]

    def _text(self) -> str:
        marked = "utf-16" if self._start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
        for encoding in (self._encoding or marked, "cp1252"):
            try:
                return self._start[: len(self._start) // 2 * 2 if encoding == "utf-16" else None].decode(encoding)
            except UnicodeDecodeError as error:
                if encoding == "utf-8" and error.start >= len(self._start) - 4:
                    return self._start[: error.start].decode()
        return self._start.decode("latin-1")

    @cached_property
    def array(self) -> bool:
        """Whether the file begins like one JSON array."""
        return bool(self.lines) and re.match(r"\s*\[\s*($|\{)", self.lines[0]) is not None

    @cached_property
    def notation(self) -> Literal["json", "literal", ""]:
        """How records are written; empty where the file holds none."""
        return self._records[0]

    @cached_property
    def records(self) -> tuple[dict[str, Any], ...]:
        """The first records."""
        return self._records[1]

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The names of all fields of the first records, in order."""
        return tuple(dict.fromkeys(key for record in self.records for key in record))

    @cached_property
    def _records(self) -> tuple[Literal["json", "literal", ""], tuple[dict[str, Any], ...]]:
        if self.array:
            rows = _array_start("\n".join(self.lines))
            return ("json", rows) if rows else ("", ())
        if not self.lines or not self.lines[0].lstrip().startswith("{"):
            return "", ()
        for notation in ("json", "literal"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)
                values = [parsed(line.encode("utf-8", "replace"), notation) for line in self.lines]
            rows = tuple(value for value in values if isinstance(value, dict))
            if 2 * len(rows) > len(values):
                return notation, rows
        return "", ()

    @cached_property
    def delimiter(self) -> str:
        """What stands between fields: the first of `DELIMITERS` that nearly all lines hold equally often."""
        if self._delimiter is not None:
            return self._delimiter
        for delimiter in DELIMITERS:
            counts = Counter(len(row) for row in self.rows(delimiter))
            count, lines = counts.most_common(1)[0] if counts else (1, 0)
            if count > 1 and 10 * lines >= 6 * len(self.rows(delimiter)) and len(self.rows(delimiter)[0]) == count:
                return delimiter
        return ""

    def rows(self, delimiter: str, *, quoted: bool = True) -> tuple[tuple[str, ...], ...]:
        """The first lines' fields."""
        if len(delimiter) != 1 or not quoted:
            return tuple(tuple(line.split(delimiter)) for line in self.lines)
        try:
            return tuple(map(tuple, csv.reader([f"{line}\n" for line in self.lines], delimiter=delimiter)))
        except csv.Error:
            return tuple(tuple(line.split(delimiter)) for line in self.lines)

    def table(self, delimiter: str, width: int) -> tuple[tuple[str, ...], ...]:
        """The first lines' plain fields, where at least nine tenths of them have `width`; else nothing."""
        rows = self.rows(delimiter, quoted=False)
        fitting = tuple(row for row in rows if len(row) == width)
        return fitting if fitting and 10 * len(fitting) >= 9 * len(rows) else ()


def _array_start(text: str) -> tuple[dict[str, Any], ...]:
    """The first records of an array whose end is not there."""
    rows: list[dict[str, Any]] = []
    decoder, place = json.JSONDecoder(), text.index("[") + 1
    while len(rows) < LINES:
        gap = re.compile(r"[\s,]*").match(text, place)
        place = gap.end() if gap else place
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            break
        if isinstance(value, dict):
            rows.append(value)
    return tuple(rows)


def all_match(rows: Sequence[Sequence[str]], place: int, pattern: str, share: float = 1.0) -> bool:
    """Whether that share of the rows' fields at a place are wholly of a pattern."""
    fitting = sum(re.fullmatch(pattern, row[place]) is not None for row in rows)
    return bool(rows) and fitting >= share * len(rows)


def is_number(text: str) -> bool:
    """Whether a field is a plain number."""
    return _NUMBER.fullmatch(text.strip()) is not None


UNIX_SECONDS = r"\d{9,10}(\.\d+)?"
"""Pattern of a time in seconds."""
STARS = r"[0-5](\.\d+)?"
"""Pattern of a rating up to 5."""
