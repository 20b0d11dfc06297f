"""Content hashes of model files, remembered so that each is read only once, and of weights in memory."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import MaterialError
from core.lm.loading.json_files import unreadable
from core.store.home import home, room, write_atomically
from core.store.sealed import content_hash, sealed, state_of, unsealed

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
    """SHA-256 of a file in hex, remembered under the home folder by path, size, times and inode.

    A home that cannot be written costs the time to read the file again, no more.
    """
    try:
        key = [str(file.absolute()), *state_of(file)]
        digest = _remembered(key)
        if digest is None:
            digest = content_hash(file)
            _remember(key, digest)
    except OSError as error:
        raise unreadable(error, where=where, what=file.name) from None
    return digest


def _note(key: list[object]) -> Path:
    name = hashlib.sha256(str(key[0]).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return home() / "hashes" / f"{name}.json"


def _remembered(key: list[object]) -> str | None:
    entry = unsealed(_note(key))
    return str(entry["sha256"]) if entry is not None and entry.get("key") == key else None


def _remember(key: list[object], digest: str) -> None:
    with contextlib.suppress(MaterialError):
        room("hashes")
        write_atomically(_note(key), sealed({"key": key, "sha256": digest}))
