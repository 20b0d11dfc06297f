"""Which model is this? Content hashes of large files, remembered so that they are read only once, and of weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import ModelError
from core.store.home import home, stored, write_atomically

PIECE = 1 << 24
"""Numbers of a tensor that are copied from a device at a time."""


def model_id_of(files: Sequence[Path], *, where: str, base: str = "") -> str:
    """First 16 hex digits of a SHA-256 over the files' contents, in the order given; names do not count.

    `base` is the id of the model that the files are added to, such as an adapter's.
    """
    whole = hashlib.sha256(base.encode())
    for file in files:
        whole.update(bytes.fromhex(file_hash(file, where=where)))
    return whole.hexdigest()[:16]


def weights_sha256(network: Any) -> str:
    """SHA-256 in hex of a network's weights as they lie in memory, an attached adapter's included.

    Over name, number type, shape and bytes of every parameter and buffer, sorted by name, each tensor once: a weight
    that two layers share counts under its first name. About a second for 135M weights in single precision; a tensor on
    a device is copied in pieces of `PIECE` numbers.
    """
    import torch

    whole = hashlib.sha256()
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    for name in sorted(tensors):
        tensor = tensors[name].detach()
        whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        for piece in tensor.reshape(-1).split(PIECE):
            whole.update(piece.cpu().contiguous().view(torch.uint8).numpy())
    return whole.hexdigest()


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
