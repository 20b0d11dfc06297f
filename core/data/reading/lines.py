"""The lines of a file of UTF-8 text; any other kind of file is refused."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from core.errors import DataError

LONGEST_LINE = 1_000_000
"""Most bytes in one line."""
_STEP = 1 << 20
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_BOM = b"\xef\xbb\xbf"
_KINDS = (
    (b"\x1f\x8b", "a gzip archive"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PAR1", "a Parquet file"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"SQLite format 3", "an SQLite database"),
    (b"%PDF", "a PDF document"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"<?xml", "an XML document"),
    (b"\xff\xfe", "text in UTF-16"),
    (b"\xfe\xff", "text in UTF-16"),
)


@dataclass
class Lines:
    """The lines of one file, read once; what is known after reading stands in the attributes."""

    path: Path
    digest: str = ""
    """SHA-256 of the raw bytes, once all lines are read."""
    cut: bool = False
    """Whether the last line had no line end, as in a file that was cut short."""
    _tail: bytes = field(default=b"", repr=False)

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return label(self.path)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Numbered lines from 1 without their ends; a BOM is dropped, CRLF and CR end a line as LF does.

        Raises `DataError`, with the line, for another kind of file, bytes that are not UTF-8, a NUL byte
        and a line above `LONGEST_LINE`; never holds more than one such line in memory.
        """
        try:
            with open(self.path, "rb") as file:
                yield from self._numbered(file)
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise DataError(f"cannot be read: {reason}", where=self.name) from None

    def _numbered(self, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
        digest, number, first, held = hashlib.sha256(), 1, True, b""
        while block := file.read(_STEP):
            digest.update(block)
            if first:
                self._check_kind(block)
                block, first = block.removeprefix(_BOM), False
            block = held + block
            held = b"\r" if block.endswith(b"\r") else b""  # its LF may come with the next block
            lines = self._split(block[: len(block) - len(held)], number)
            for line in lines:
                yield number, line
                number += 1
        for line in self._split(held, number):
            yield number, line
            number += 1
        self.cut = bool(self._tail)
        if self._tail:
            self._check_text([self._tail], number)
            yield number, self._tail
        self.digest = digest.hexdigest()

    def _split(self, block: bytes, number: int) -> list[bytes]:
        text = self._tail + block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, self._tail = text.split(b"\n")
        self._check_text(lines, number)
        if len(self._tail) > LONGEST_LINE:
            raise self._too_long(number + len(lines))
        return lines

    def _check_text(self, lines: list[bytes], number: int) -> None:
        block = b"\n".join(lines)
        if b"\0" in block or not _is_utf8(block) or max(map(len, lines), default=0) > LONGEST_LINE:
            for place, line in enumerate(lines, number):
                self._check_line(line, place)

    def _check_line(self, line: bytes, number: int) -> None:
        where = f"{self.name}, line {number}"
        if len(line) > LONGEST_LINE:
            raise self._too_long(number)
        if b"\0" in line:
            raise DataError("a NUL byte", expected="text in UTF-8", where=where)
        if not _is_utf8(line):
            raise DataError("bytes that are not UTF-8, likely Latin-1 or Windows-1252", expected="UTF-8", where=where)

    def _too_long(self, number: int) -> DataError:
        where = f"{self.name}, line {number}"
        return DataError("a line of more than 1 MB", expected="one interaction or item a line", where=where)

    def _check_kind(self, block: bytes) -> None:
        start = block.removeprefix(_BOM).lstrip()[:64].lower()
        for magic, kind in _KINDS:
            if block.startswith(magic) or start.startswith(magic.lower()):
                raise DataError(f"this is {kind}", expected="tab-separated text in UTF-8", where=self.name)
        if block[8:12] == b"DUCK" or block[:2] in (b"\x80\x03", b"\x80\x04", b"\x80\x05"):
            raise DataError("this is a binary file", expected="tab-separated text in UTF-8", where=self.name)
        if 0 in block[:4] and len(block) % 2 == 0 and block[:64].count(0) * 3 >= len(block[:64]):
            raise DataError("this is text in UTF-16 without a mark", expected="UTF-8", where=self.name)


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def label(path: Path) -> str:
    """A file's name for sentences and results."""
    return readable_name(path.name)


def readable_name(name: str) -> str:
    """A name from the file system as text: bytes in it that are not UTF-8 are shown as \ufffd."""
    return _SURROGATE.sub("\ufffd", name)
