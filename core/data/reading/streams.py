"""The bytes of a file, of a compressed file or of a member of a zip archive, unpacked within limits."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from core.errors import DataError
from core.store.sealed import regular

MOST_BYTES = 64 * 2**30
"""Most bytes that one file may unpack to."""
MOST_RATIO = 100
"""Most unpacked bytes for each packed one, beyond the first `FREE_BYTES`."""
FREE_BYTES = 64 * 2**20
MOST_MEMBERS = 1000
"""Most members of a zip archive."""
_STEP = 1 << 20
_SURROGATE = re.compile(r"[\ud800-\udfff]")

_PACKINGS: tuple[tuple[bytes, Callable[[IO[bytes]], Any]], ...] = (
    (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ", lzma.LZMAFile),
)
"""First bytes and reader of each kind of packed file."""


def label(path: Path) -> str:
    """A file's name for sentences and results."""
    return readable_name(path.name)


def readable_name(name: str) -> str:
    """A name from the file system as text: bytes in it that are not UTF-8 are shown as \ufffd."""
    return _SURROGATE.sub("\ufffd", name)


@dataclass(frozen=True)
class Stream:
    """One file's unpacked bytes, by its path and, inside a zip archive, its member."""

    path: Path
    member: str | None = None
    plain: bool = False
    """Whether the bytes are to be read as they are, even where they look packed."""

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return label(self.path) if self.member is None else readable_name(Path(self.member).name)

    @contextlib.contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """The unpacked bytes; raises `DataError` for what cannot be read or unpacks to too much."""
        with _faults(self.name), contextlib.ExitStack() as stack:
            file: IO[bytes] = stack.enter_context(regular(self.path))
            packed = self.path.stat().st_size
            if self.member is not None:
                archive = stack.enter_context(zipfile.ZipFile(file))
                packed = archive.getinfo(self.member).compress_size
                file = stack.enter_context(archive.open(self.member))
            start = file.read(8)
            file.seek(0)
            packings = () if self.plain else _PACKINGS
            unpack = next((opener for magic, opener in packings if start.startswith(magic)), None)
            if unpack is not None:
                file = stack.enter_context(unpack(file))
            limited = unpack is not None or self.member is not None
            yield cast(IO[bytes], _Limited(file, self.name, packed if limited else None))

    def head(self, size: int) -> bytes:
        """The first `size` unpacked bytes, or all of fewer."""
        with self.opened() as file:
            return file.read(size)


class _Limited(io.RawIOBase):
    """Reads on while the unpacked bytes stay in proportion to the packed ones."""

    def __init__(self, file: IO[bytes], name: str, packed: int | None) -> None:
        self._file, self._name, self._total = file, name, 0
        self._most = MOST_BYTES if packed is None else min(MOST_BYTES, FREE_BYTES + MOST_RATIO * packed)

    def read(self, size: int = -1) -> bytes:
        parts, left = [], size
        while left and (part := self._file.read(min(_STEP, left) if left > 0 else _STEP)):
            self._total += len(part)
            if self._total > self._most:
                what = f"unpacks to more than {self._most / 2**20:,.0f} MB"
                raise DataError(what, expected="an archive of ordinary size", where=self._name)
            parts.append(part)
            left -= len(part) if left > 0 else 0
        return b"".join(parts)


@contextlib.contextmanager
def _faults(name: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError):
        raise DataError("the archive is damaged or cut short", expected="a whole archive", where=name) from None
    except RuntimeError as error:
        if "password" not in str(error) and "encrypted" not in str(error):
            raise
        raise DataError("the archive is encrypted", expected="one without a password", where=name) from None
    except OSError as error:
        reason = (error.strerror or "the archive is damaged").lower()
        raise DataError(f"cannot be read: {reason}", where=name) from None


def streams_of(path: Path) -> tuple[Stream, ...]:
    """The file itself, or the files in a zip archive; raises `DataError` for one with odd members."""
    with _faults(label(path)):
        with regular(path) as file:
            if file.read(4) != b"PK\x03\x04":
                return (Stream(path),)
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
    fault = next((problem for member in members if (problem := _member_fault(member))), "")
    if len(members) > MOST_MEMBERS:
        fault = f"{len(members):,} files in the archive"
    if fault:
        raise DataError(fault, expected="an archive of plain data files", where=label(path))
    return tuple(Stream(path, member.filename) for member in members if not _hidden(member.filename))


def _hidden(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith(".")


def _member_fault(member: zipfile.ZipInfo) -> str:
    name = readable_name(member.filename)[:60]
    if member.filename.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", member.filename) or ":" in member.filename:
        return f"a file outside the archive's own folder ({name!r})"
    if stat.S_ISLNK(member.external_attr >> 16):
        return f"a link ({name!r})"
    if member.flag_bits & 1:
        return f"an encrypted file ({name!r})"
    if member.filename.lower().endswith((".zip", ".7z", ".rar", ".tar", ".tgz")):
        return f"an archive in the archive ({name!r})"
    return ""
