"""What does a file of logged calls hold: JSON, a table or plain text? Its first bytes decide, never its name."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import pyarrow
import pyarrow.parquet

from core.data.reading.streams import label
from core.errors import DataError
from core.prompt.imported.calls import LONGEST_PROMPT, Json, Numbered, Skipped
from core.words import brief

LONGEST_LINE = 16_000_000
"""Most bytes in one line."""
LARGEST_DOCUMENT = 256_000_000
"""Most bytes of one JSON document; JSON lines are streamed and may be of any size."""
DEEPEST = 64
"""Most lists and objects inside each other."""
LARGEST_RATIO, RATIO_FROM = 200, 100_000_000
"""A packed file that grows beyond this factor is refused, once it has grown to so many bytes."""
TOO_DEEP = f"more than {DEEPEST} levels of JSON"
ROWS_AT_ONCE = 64
DELIMITERS = ",\t;|"
PEEK = 65_536
SourceKind = Literal["json", "table", "text"]

REFUSED = (
    (b"\x80\x02", "a pickle, which could run code when opened; save the program or table as JSON"),
    (b"\x80\x03", "a pickle, which could run code when opened; save the program or table as JSON"),
    (b"\x80\x04", "a pickle, which could run code when opened; save the program or table as JSON"),
    (b"\x80\x05", "a pickle, which could run code when opened; save the program or table as JSON"),
    (b"PK\x03\x04", "a zip archive; unpack it, or for Inspect write JSON with `inspect log dump`"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd; unpack it first"),
    (b"BZh", "packed with bzip2; unpack it first"),
    (b"\xfd7zXZ", "packed with xz; unpack it first"),
    (b"SQLite format 3", "an SQLite database; export the table as CSV or Parquet"),
    (b"%PDF", "a PDF document; copy the prompt into a text file"),
    (b"GGUF", "a model, not prompts"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
)
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Source:
    """A file of records, which can be read more than once; no more than one batch of them is held."""

    name: str
    kind: SourceKind
    records: Callable[[], Iterator[Numbered]]
    columns: tuple[str, ...] = ()
    """Of a table."""
    notices: tuple[str, ...] = ()

    @property
    def first(self) -> Json | None:
        """The first record that can be read."""
        return next((record for _, record in self.records() if not isinstance(record, Skipped)), None)


def open_source(path: Path) -> Source:
    """What a file holds; raises `DataError` with one sentence for a file of another kind."""
    name = label(path)
    try:
        with open(path, "rb") as raw:
            start = raw.read(PEEK)
        if start.startswith((b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")):
            return _columnar(path, name, start)
        with _unpacked(path, name) as file:
            start = file.read(PEEK)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(error, name) from None
    _check_kind(start, name)
    return _textual(path, name, start)


def _unreadable(error: Exception, name: str) -> DataError:
    reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
    return DataError(f"cannot be read: {reason}", where=name)


def _check_kind(start: bytes, name: str) -> None:
    lowered = start.lstrip()[:64].lower()
    for magic, words in REFUSED:
        if start.startswith(magic) or lowered.startswith(magic):
            raise DataError(f"this is {words}", where=name)
    if not start.strip():
        raise DataError("an empty file", expected="logged calls, a table or a prompt", where=name)
    if b"\0" in start and not start.startswith(_UTF16):
        raise DataError("this is a binary file", expected="JSON, CSV, Parquet or text", where=name)


def _textual(path: Path, name: str, start: bytes) -> Source:
    encoding = "utf-16" if start.startswith(_UTF16) else "utf-8-sig"
    text = codecs.getincrementaldecoder(encoding)("replace").decode(start).lstrip()
    notices = (f"{name} was read as UTF-16.",) if encoding == "utf-16" else ()
    if text[:1] in ("{", "["):
        return Source(name, "json", lambda: _json_records(path, name, encoding), notices=notices)
    header = text.split("\n", 1)[0].rstrip("\r")
    delimiter = max(DELIMITERS, key=header.count)
    columns = tuple(next(csv.reader([header], delimiter=delimiter), []))
    if _is_header(columns):
        rows = lambda: _csv_records(path, name, encoding, delimiter)  # noqa: E731  (a name for the lines' length)
        return Source(name, "table", rows, columns, notices)
    return Source(name, "text", lambda: _text_record(path, name, encoding), notices=notices)


def _is_header(columns: tuple[str, ...]) -> bool:
    """Whether a first line names columns: short different words without spaces inside."""
    names = [column.strip() for column in columns]
    short = all(0 < len(name) <= 40 and len(name.split()) == 1 and not name.endswith(".") for name in names)
    return len(names) > 1 and short and len(set(names)) == len(names)


def _unpacked(path: Path, name: str) -> BinaryIO:
    """The file's bytes; of gzip, unpacked as they are read and refused where they grow too far."""
    file = open(path, "rb")  # noqa: SIM115  (the caller closes it)
    if file.read(2) != b"\x1f\x8b":
        file.seek(0)
        return file
    file.close()
    return cast(BinaryIO, io.BufferedReader(_Gzip(path, name)))


class _Gzip(io.RawIOBase):
    """Unpacked bytes of a gzip file, up to a ratio that no log reaches."""

    def __init__(self, path: Path, name: str) -> None:
        self._file = gzip.open(path, "rb")  # noqa: SIM115  (closed with this)
        self._name, self._size, self._read = name, path.stat().st_size, 0

    def readable(self) -> bool:
        """It is read only."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer; raises `DataError` for a file that grows too far."""
        data = self._file.read(len(buffer))
        self._read += len(data)
        if self._read > max(RATIO_FROM, LARGEST_RATIO * self._size):
            raise DataError(f"a packed file that grows more than {LARGEST_RATIO}-fold", where=self._name)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the packed file too."""
        self._file.close()
        super().close()


def _lines(path: Path, name: str, encoding: str, *, longest: int | None = None) -> Iterator[tuple[int, bytes, bool]]:
    """Numbered lines as UTF-8 with their ends, and whether a line end was there; UTF-16 is read whole."""
    longest = LONGEST_LINE if longest is None else longest
    try:
        with _unpacked(path, name) as raw:
            file: BinaryIO = io.BytesIO(_document(raw, name, encoding).encode()) if encoding == "utf-16" else raw
            number = 0
            while line := file.readline(longest + 1):
                number += 1
                if len(line) > longest:
                    problem = f"a line of more than {longest // 1_000_000} MB"
                    raise DataError(problem, where=f"{name}, line {number}")
                yield number, line.removeprefix(codecs.BOM_UTF8) if number == 1 else line, line.endswith(b"\n")
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(error, name) from None


def _json_records(path: Path, name: str, encoding: str) -> Iterator[Numbered]:
    """The objects of JSON lines, of one document, or of documents one after another."""
    if _has_lines(path, name, encoding):
        yield from _line_records(path, name, encoding)
        return
    try:
        with _unpacked(path, name) as file:
            text = _document(file, name, encoding)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(error, name) from None
    records = (part for value in _documents(text, name) for part in (value if isinstance(value, list) else [value]))
    for number, record in enumerate(records, 1):
        yield number, record if isinstance(record, dict) else Skipped(number, "not a JSON object")


def _has_lines(path: Path, name: str, encoding: str) -> bool:
    """Whether the first line is an object by itself, and the second starts one too if there is one."""
    starts: list[bytes] = []
    for _, line, _ in _lines(path, name, encoding, longest=LARGEST_DOCUMENT):
        if not line.strip():
            continue
        if not starts and (len(line) > LONGEST_LINE or isinstance(_parsed(1, line), Skipped)):
            return False
        starts.append(line.strip()[:1])
        if len(starts) == 2:
            break
    return all(start == b"{" for start in starts)


def _line_records(path: Path, name: str, encoding: str) -> Iterator[Numbered]:
    for number, line, whole in _lines(path, name, encoding):
        if line.strip():
            record = _parsed(number, line)
            cut = not whole and isinstance(record, Skipped)
            yield number, Skipped(number, "a last line that was cut short") if cut else record


def _parsed(number: int, line: bytes) -> Json | Skipped:
    try:
        value = json.loads(line, parse_constant=lambda _: None)
    except UnicodeDecodeError:
        return Skipped(number, "bytes that are not UTF-8")
    except RecursionError:
        return Skipped(number, TOO_DEEP)
    except ValueError:
        return Skipped(number, "not JSON")
    if line.count(b"[") + line.count(b"{") > DEEPEST and _too_deep(value):
        return Skipped(number, TOO_DEEP)
    return value if isinstance(value, dict) else Skipped(number, "not a JSON object")


def _too_deep(value: object) -> bool:
    """Whether more than `DEEPEST` lists and objects stand inside each other."""
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [child for parent in level for child in _children(parent) if isinstance(child, (dict, list))]
        if not level:
            return False
    return True


def _children(value: object) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _document(file: BinaryIO, name: str, encoding: str) -> str:
    data = file.read(LARGEST_DOCUMENT + 1)
    if len(data) > LARGEST_DOCUMENT:
        problem = f"one JSON document or text of more than {LARGEST_DOCUMENT // 1_000_000} MB"
        raise DataError(problem, expected="JSON lines, which are streamed", where=name)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise DataError("bytes that are not UTF-8", expected="text in UTF-8", where=name) from None


def _documents(text: str, name: str) -> Iterator[Any]:
    decoder, place = json.JSONDecoder(parse_constant=lambda _: None), 0
    while place < len(text):
        rest = len(text) - len(text[place:].lstrip()) if text[place].isspace() else place
        if rest == len(text):
            return
        try:
            value, place = decoder.raw_decode(text, rest)
        except ValueError as error:
            line = text.count("\n", 0, getattr(error, "pos", rest)) + 1
            raise DataError("not JSON, or cut short", where=f"{name}, line {line}") from None
        except RecursionError:
            raise DataError(TOO_DEEP, where=name) from None
        if _too_deep(value):
            raise DataError(TOO_DEEP, where=name)
        yield value


def _csv_records(path: Path, name: str, encoding: str, delimiter: str) -> Iterator[Numbered]:
    """Rows as texts; only the empty field is missing."""
    text = (_decoded(number, line, name) for number, line, _ in _lines(path, name, encoding))
    csv.field_size_limit(LONGEST_PROMPT * 4)
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    number = 0
    try:
        header = [column.strip() for column in next(reader)]
        for number, row in enumerate(reader, 1):
            if row and len(row) != len(header):
                yield number, Skipped(number, "a row with more or fewer fields than the header")
            elif row:
                yield number, {column: field for column, field in zip(header, row, strict=True) if field}
    except csv.Error as error:
        raise DataError(f"not a table: {error}", where=f"{name}, line {reader.line_num}") from None


def _decoded(number: int, line: bytes, name: str) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        problem = "bytes that are not UTF-8, likely Windows-1252"
        raise DataError(problem, expected="text in UTF-8", where=f"{name}, line {number}") from None


def _text_record(path: Path, name: str, encoding: str) -> Iterator[Numbered]:
    try:
        with _unpacked(path, name) as file:
            text = _document(file, name, encoding)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(error, name) from None
    yield 1, {"text": text}


def _columnar(path: Path, name: str, start: bytes) -> Source:
    try:
        batches = _batches(path, start)
        columns = tuple(next(batches).schema.names)
    except StopIteration:
        raise DataError("a table without rows", where=name) from None
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(f"a damaged table: {brief(str(error).splitlines()[0])}", where=name) from None
    return Source(name, "table", lambda: _column_records(path, name, start), columns)


def _batches(path: Path, start: bytes) -> Iterator[Any]:
    if start.startswith(b"PAR1"):
        yield from pyarrow.parquet.ParquetFile(path).iter_batches(ROWS_AT_ONCE)
    elif start.startswith(b"ARROW1"):
        with pyarrow.memory_map(str(path)) as file:
            reader = pyarrow.ipc.open_file(file)
            yield from (reader.get_batch(place) for place in range(reader.num_record_batches))
    else:
        with pyarrow.memory_map(str(path)) as file:
            yield from pyarrow.ipc.open_stream(file)


def _column_records(path: Path, name: str, start: bytes) -> Iterator[Numbered]:
    number = 0
    try:
        for batch in _batches(path, start):
            for row in batch.to_pylist():
                number += 1
                yield number, {column: value for column, value in row.items() if value is not None}
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(f"a damaged table: {brief(str(error).splitlines()[0])}", where=name) from None
