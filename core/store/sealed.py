"""Whether a stored file is still what was written: hashes of whole files, JSON records with their own hash."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any

SEAL = "seal"
"""Key of a record's own hash."""
_read: dict[tuple[object, ...], str] = {}
"""SHA-256 of the files that this process has read whole, by path and state."""


def regular(path: Path) -> BufferedReader:
    """The file opened for reading; raises `OSError` for a pipe, device or folder instead of waiting for it."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise OSError(errno.EINVAL, "not a regular file", str(path))


def bytes_of(path: Path) -> bytes:
    """The content of a regular file; raises `OSError`."""
    with regular(path) as file:
        return file.read()


FileState = tuple[int, int, int, int]


def state_of(path: Path) -> FileState:
    """What changes whenever a file does: size, times of writing and of change, and inode; raises `OSError`.

    The time of the last change of the inode cannot be set back by hand.
    """
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def content_hash(path: Path) -> str:
    """SHA-256 of a whole file in hex, read once a process for every state of it; raises `OSError`."""
    key = (str(path), *state_of(path))
    if key not in _read:
        with regular(path) as file:
            _read[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _read[key]


def hashes_of(folder: Path) -> dict[str, str]:
    """Name and SHA-256 of every file in a folder; raises `OSError`."""
    return {path.name: content_hash(path) for path in sorted(folder.iterdir())}


def sealed(record: dict[str, Any]) -> bytes:
    """The record as JSON together with its own hash."""
    return json.dumps(record | {SEAL: _seal(record)}, indent=1).encode()


def unsealed(path: Path) -> dict[str, Any] | None:
    """The record in a file that `sealed` wrote; None for a missing, damaged or other file."""
    try:
        return record_in(bytes_of(path))
    except OSError:
        return None


def record_in(data: bytes) -> dict[str, Any] | None:
    """The record in what `sealed` gave; None for damaged or other bytes."""
    try:
        record: dict[str, Any] = json.loads(data)
        seal = record.pop(SEAL)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return record if seal == _seal(record) else None


def _seal(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
