"""Which model is this? Content hashes of large files, remembered so that they are read only once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from core.errors import ModelError
from core.store.home import home, stored, write_atomically


def model_id_of(files: Sequence[Path], *, where: str) -> str:
    """First 16 hex digits of a SHA-256 over the files' contents, in the order given; names do not count."""
    whole = hashlib.sha256()
    for file in files:
        whole.update(bytes.fromhex(file_hash(file, where=where)))
    return whole.hexdigest()[:16]


def file_hash(file: Path, *, where: str) -> str:
    """SHA-256 of a file in hex, remembered under the home folder by path, size and time of change."""
    try:
        found = file.stat()
        path = str(file.absolute())
        key: list[object] = [path, found.st_size, found.st_mtime_ns]
        note = _notes() / f"{hashlib.sha256(path.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.json"
        known = _remembered(note, key)
        if known is None:
            with file.open("rb") as stream:
                known = hashlib.file_digest(stream, "sha256").hexdigest()
            write_atomically(note, json.dumps({"key": key, "sha256": known}).encode())
    except OSError as error:
        reason = (error.strerror or "no such file").lower()
        raise ModelError(f"{file.name} cannot be read ({reason})", where=where) from None
    return known


def _notes() -> Path:
    folder = home() / "hashes"
    with stored("the folder of file hashes"):
        folder.mkdir(exist_ok=True)
    return folder


def _remembered(note: Path, key: list[object]) -> str | None:
    try:
        entry = json.loads(note.read_bytes())
        known = entry["sha256"] if entry["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return known if isinstance(known, str) and len(known) == 64 else None
