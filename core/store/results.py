"""Finished results on disk: one file a key, whole or absent; the least used is dropped first."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import time
from pathlib import Path

from core.errors import MaterialError, RequestError
from core.store.home import PRIVATE_FOLDER, home, stored, write_atomically
from core.store.sealed import bytes_of

KEY = re.compile(r"[0-9a-f]{16,64}")
LIMIT_BYTES = 200 * 2**20
"""Most bytes of results kept on disk."""
STALE_SECONDS = 3600
"""Age at which an unfinished file was left by a process that has ended."""


class Results:
    """JSON texts by content key in one folder; safe to use from several threads and processes.

    A file holds the SHA-256 of key and text, and then the text. What does not match is treated as absent and removed.
    """

    def __init__(self, folder: Path | None = None, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._folder = folder
        self.limit_bytes = limit_bytes

    @property
    def folder(self) -> Path:
        """Where they lie, whether it exists or not; raises `MaterialError` for a home that cannot be used."""
        return home() / "results" if self._folder is None else self._folder

    def save(self, key: str, text: str) -> None:
        """Store `text` under `key`, then drop the least used others beyond the limit.

        Raises `RequestError` for a malformed key and `MaterialError` when the disk is full or read-only.
        """
        path = self._path(key)
        body = text.encode("utf-8", "surrogatepass")
        with stored("the folder of results"):
            self.folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        write_atomically(path, _digest(key, body) + b"\n" + body)
        self._evict(keep=path)

    def load(self, key: str) -> str | None:
        """The text stored under `key`, or None; a damaged file is removed.

        Raises `RequestError` for a malformed key.
        """
        _check(key)
        try:
            path = self._path(key)
            digest, _, body = bytes_of(path).partition(b"\n")
        except (OSError, MaterialError):
            return None
        if digest not in (_digest(key, body), _digest("", body)):  # Earlier versions left the key out.
            self.discard(key)
            return None
        self._touch(path)
        return body.decode("utf-8", "surrogatepass")

    def discard(self, key: str) -> None:
        """Remove what is stored under `key`, if anything; a read-only folder keeps it."""
        _check(key)
        with contextlib.suppress(OSError, MaterialError):
            self._path(key).unlink()

    def _path(self, key: str) -> Path:
        _check(key)
        return self.folder / f"{key}.result"

    def _touch(self, path: Path) -> None:
        now = time.time()
        with contextlib.suppress(OSError):  # A read-only folder still serves; only the order of eviction is coarser.
            os.utime(path, (now, now))

    def _evict(self, *, keep: Path) -> None:
        files = sorted(_sizes(self.folder), key=lambda row: row[1])
        total = sum(size for _, _, size in files)
        for path, _, size in files:
            if total <= self.limit_bytes:
                return
            if path != keep and not _is_being_written(path):
                with contextlib.suppress(OSError):
                    path.unlink()
                total -= size


def _is_being_written(path: Path) -> bool:
    """Whether a file may be another process's unfinished one; an old one is nobody's."""
    try:
        return path.suffix == ".part" and time.time() - path.stat().st_mtime < STALE_SECONDS
    except OSError:
        return False


def _check(key: str) -> None:
    if not KEY.fullmatch(key):
        raise RequestError(f"no such result: {key[:80]!r}", expected="16 to 64 digits 0-9a-f")


def _digest(key: str, body: bytes) -> bytes:
    """Of the text and the key it is stored under, so that no result is taken for another's."""
    return hashlib.sha256(key.encode("ascii") + body).hexdigest().encode("ascii")


def _sizes(folder: Path) -> list[tuple[Path, int, int]]:
    """Path, time of last use and bytes of every file; one that another process just removed is left out."""
    rows = []
    for path in folder.iterdir():
        try:
            status = path.stat()
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            rows.append((path, status.st_mtime_ns, status.st_size))
    return rows
