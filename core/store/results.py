"""Which finished results lie on disk: one file a key, whole or absent, the least used one dropped first."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from pathlib import Path

from core.errors import RequestError
from core.store.home import home, stored, write_atomically

KEY = re.compile(r"[0-9a-f]{16,64}")
LIMIT_BYTES = 200 * 2**20
"""Most bytes of results kept on disk."""


class Results:
    """JSON texts by content key in one folder; safe to use from several threads and processes.

    A file holds the SHA-256 of its text and then the text. What does not match is treated as absent and removed.
    """

    def __init__(self, folder: Path | None = None, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self.folder = home() / "results" if folder is None else folder
        self.limit_bytes = limit_bytes

    def save(self, key: str, text: str) -> None:
        """Store `text` under `key`, then drop the least used others beyond the limit.

        Raises `RequestError` for a malformed key and `MaterialError` when the disk is full or read-only.
        """
        path = self._path(key)
        body = text.encode("utf-8", "surrogatepass")
        with stored("the folder of results"):
            self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, hashlib.sha256(body).hexdigest().encode("ascii") + b"\n" + body)
        self._evict(keep=path)

    def load(self, key: str) -> str | None:
        """The text stored under `key`, or None; a damaged file is removed.

        Raises `RequestError` for a malformed key.
        """
        path = self._path(key)
        try:
            digest, _, body = path.read_bytes().partition(b"\n")
        except OSError:
            return None
        if hashlib.sha256(body).hexdigest().encode("ascii") != digest:
            self.discard(key)
            return None
        self._touch(path)
        return body.decode("utf-8", "surrogatepass")

    def discard(self, key: str) -> None:
        """Remove what is stored under `key`, if anything; a read-only folder keeps it."""
        with contextlib.suppress(OSError):
            self._path(key).unlink()

    def _path(self, key: str) -> Path:
        if not KEY.fullmatch(key):
            raise RequestError(f"no such result: {key[:80]!r}", expected="16 to 64 digits 0-9a-f")
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
            if path != keep:
                with contextlib.suppress(OSError):
                    path.unlink()
                total -= size


def _sizes(folder: Path) -> list[tuple[Path, int, int]]:
    """Path, time of last use and bytes of every result; a file that another process just removed is left out."""
    rows = []
    for path in folder.glob("*.result"):
        try:
            found = path.stat()
        except OSError:
            continue
        rows.append((path, found.st_mtime_ns, found.st_size))
    return rows
