"""The lines of a file of text in large blocks of checked UTF-8; any other kind of file is refused."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO

from core.data.reading.rejects import Rejects
from core.data.reading.streams import Stream
from core.errors import DataError

LONGEST_LINE = 1_000_000
"""Most bytes in one line of a table."""
LONGEST_RECORD = 8_000_000
"""Most bytes in one line that is a record of JSON or of Python's literals."""
_STEP = 4 << 20
_BOM = b"\xef\xbb\xbf"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_KINDS = (
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy file"),
    (b"%PDF", "a PDF document"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"<?xml", "an XML document"),
)
_PACKED = (
    (b"\x1f\x8b", "a gzip archive"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PAR1", "a Parquet file"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
)
"""What is not text but can be read where the format is not RecBole's."""


def check_kind(start: bytes, name: str, *, strict: bool = False) -> None:
    """Raise `DataError` where a file begins like something that holds no interactions.

    A `strict` check also refuses what would have to be unpacked or decoded: RecBole's files are plain UTF-8.
    """
    expected = "tab-separated text in UTF-8" if strict else "a table, JSON lines or Parquet"
    text = start.removeprefix(_BOM).lstrip()[:64].lower()
    for magic, kind in (*_KINDS, *(_PACKED if strict else ())):
        if start.startswith(magic) or text.startswith(magic.lower()):
            raise DataError(f"this is {kind}", expected=expected, where=name)
    if start[257:262] == b"ustar":
        raise DataError("this is a tar archive", expected=expected, where=name)
    if strict and start.startswith(_UTF16):
        raise DataError("this is text in UTF-16", expected=expected, where=name)
    if start[8:12] == b"DUCK":
        raise DataError(
            "this is a DuckDB database" if not strict else "this is a binary file", expected=expected, where=name
        )
    if start[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        what = "this is a binary file" if strict else "this is a Python pickle, which is never opened"
        raise DataError(what, expected=expected, where=name)
    if (
        not start.startswith(_UTF16)
        and 0 in start[:4]
        and len(start) % 2 == 0
        and start[:64].count(0) * 3 >= len(start[:64])
    ):
        raise DataError("this is text in UTF-16 without a mark", expected="UTF-8", where=name)


@dataclass(frozen=True)
class TextBlock:
    """Whole lines, each with its line feed."""

    first: int
    """Number of the first line in the file, from 1."""
    data: bytes
    """UTF-8 without NUL and without CR; a line that cannot be read is empty."""


@dataclass
class TextBlocks:
    """The lines of one file, read once; what is known after reading stands in the attributes."""

    stream: Stream
    rejects: Rejects
    encoding: str | None = None
    """None: UTF-8, and Windows-1252 from the first line on that is not, if none before it was beyond ASCII."""
    longest: int = LONGEST_LINE
    cut: bool = False
    """Whether the last line had no line end, as in a file that was cut short."""
    read_as: str = "utf-8"
    """The encoding at the end of reading."""
    _beyond_ascii: bool = field(default=False, repr=False)
    _converted: bool = field(default=False, repr=False)
    """Whether the bytes come in UTF-8 already."""

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return self.stream.name

    def __iter__(self) -> Iterator[TextBlock]:
        """Blocks of a few MB; a BOM is dropped, CRLF and CR end a line as LF does.

        Raises `DataError` for another kind of file and a line above `longest`; never holds more than one such line.
        """
        with self.stream.opened() as file:
            yield from self._blocks(file)

    def _blocks(self, file: IO[bytes]) -> Iterator[TextBlock]:
        number, tail = 1, b""
        for text in self._unix(self._decoded(file)):
            data = tail + text if tail else text
            end = data.rfind(b"\n") + 1
            tail, data = data[end:], data[:end]
            self._check_lengths(data, tail, number)
            if data:
                yield TextBlock(number, self._checked(data, number))
                number += data.count(b"\n")
        self.cut = bool(tail)
        if tail:
            yield TextBlock(number, self._checked(tail + b"\n", number))

    def _decoded(self, file: IO[bytes]) -> Iterator[bytes]:
        """The bytes as they are, or as UTF-8 where another encoding is named or marked; without a BOM."""
        start = file.read(_STEP)
        check_kind(start, self.name, strict=self.rejects.strict)
        named = "utf-16" if self.encoding is None and start.startswith(_UTF16) else self.encoding
        if named is None or codecs.lookup(named).name in ("utf-8", "cp1252"):
            self.read_as = "utf-8" if named is None else codecs.lookup(named).name
            yield start.removeprefix(_BOM)
            while block := file.read(_STEP):
                yield block
            return
        self.read_as, self._converted, decoder = named, True, codecs.getincrementaldecoder(named)()
        try:
            block = start
            while block:
                yield decoder.decode(block).removeprefix("\ufeff").encode()
                block = file.read(_STEP)
            decoder.decode(b"", final=True)
        except (UnicodeDecodeError, UnicodeEncodeError):
            raise DataError(f"bytes that are not {named}", expected="another encoding", where=self.name) from None

    @staticmethod
    def _unix(blocks: Iterator[bytes]) -> Iterator[bytes]:
        """The same with a line feed for each CRLF and CR."""
        held = b""
        for block in blocks:
            text = held + block
            held = b"\r" if text.endswith(b"\r") else b""  # its LF may come with the next block
            text = text[: len(text) - len(held)]
            yield text.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in text else text
        if held:
            yield b"\n"

    def _check_lengths(self, data: bytes, tail: bytes, number: int) -> None:
        place = 0
        while len(data) - place > self.longest:
            end = data.rfind(b"\n", place, place + self.longest + 1) + 1
            if not end:
                raise too_long(self.name, number + data.count(b"\n", 0, place), self.longest)
            place = end
        if len(tail) > self.longest:
            raise too_long(self.name, number + data.count(b"\n"), self.longest)

    def _checked(self, data: bytes, number: int) -> bytes:
        if b"\0" in data:
            data = self._without(data, number, lambda line: b"\0" in line, "a NUL byte", "text in UTF-8")
        if self._converted or data.isascii():
            return data
        if self.read_as == "utf-8":
            if _is_utf8(data):
                self._beyond_ascii = True
                return data
            if not self._is_cp1252(data):
                what = "bytes that are not UTF-8, likely Latin-1 or Windows-1252"
                return self._without(data, number, lambda line: not _is_utf8(line), what, "UTF-8")
            self.read_as = "cp1252"
        try:
            return data.decode(self.read_as).encode()
        except UnicodeDecodeError:
            data = self._without(data, number, lambda line: not _is_cp1252(line), "bytes of no Windows-1252", "UTF-8")
            return data.decode("cp1252").encode()

    def _is_cp1252(self, data: bytes) -> bool:
        """Whether a block that is not UTF-8 makes the whole file Windows-1252."""
        if self.rejects.strict or self.encoding is not None or self._beyond_ascii:
            return False
        lines = [line for line in data.split(b"\n") if not line.isascii()]
        return not any(map(_is_utf8, lines))

    def _without(self, data: bytes, number: int, wrong: Callable[[bytes], bool], problem: str, expected: str) -> bytes:
        lines = data.split(b"\n")
        for place, line in enumerate(lines):
            if wrong(line):
                self.rejects.add(self.name, number + place, problem, expected)
                lines[place] = b""
        return b"\n".join(lines)


def too_long(name: str, number: int, longest: int) -> DataError:
    """The error to raise for a line of more than `longest` bytes."""
    what = f"a line of more than {longest // 1_000_000} MB"
    return DataError(what, expected="one interaction or item a line", where=f"{name}, line {number}")


def _is_utf8(block: bytes) -> bool:
    return _decodes(block, "utf-8")


def _is_cp1252(block: bytes) -> bool:
    return _decodes(block, "cp1252")


def _decodes(block: bytes, encoding: str) -> bool:
    try:
        block.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
