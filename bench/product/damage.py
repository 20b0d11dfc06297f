"""The ways in which a stored file can be damaged."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

Damage = Callable[[Path, random.Random], object]


def _flipped(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def _flipped_in_secret(path: Path, chance: random.Random) -> None:
    """A flipped bit under the same size and time of change."""
    before = path.stat()
    _flipped(path, chance)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "inside").write_bytes(b"x")


def _replaced(path: Path, replace: Callable[[], None]) -> None:
    path.unlink()
    replace()


DAMAGES: Mapping[str, Damage] = {
    "cut": lambda path, chance: os.truncate(path, chance.randrange(1, max(path.stat().st_size, 2))),
    "emptied": lambda path, _: path.write_bytes(b""),
    "zeros": lambda path, _: path.write_bytes(bytes(path.stat().st_size)),
    "bit flipped": _flipped,
    "bit flipped, same size and time": _flipped_in_secret,
    "other text": lambda path, _: path.write_bytes(b'{"note": "of another program"}\n'),
    "bytes added": lambda path, chance: path.write_bytes(path.read_bytes() + chance.randbytes(100)),
    "missing": lambda path, _: path.unlink(),
    "a folder": lambda path, _: _replaced(path, lambda: _folder(path)),
    "a pipe": lambda path, _: _replaced(path, lambda: os.mkfifo(path)),
    "a link to nothing": lambda path, _: _replaced(path, lambda: path.symlink_to(path.parent / "nowhere")),
    "a link to a device": lambda path, _: _replaced(path, lambda: path.symlink_to("/dev/zero")),
}


def restore(path: Path, copy: Path) -> None:
    """Put the whole file back in whatever stands there now."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(copy, path)
