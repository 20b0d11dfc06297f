"""The ways in which a stored file can be damaged."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

Damage = Callable[[Path, random.Random], None]


def _cut(path: Path, chance: random.Random) -> None:
    with path.open("r+b") as file:
        file.truncate(chance.randrange(1, max(path.stat().st_size, 2)))


def _emptied(path: Path, _: random.Random) -> None:
    path.write_bytes(b"")


def _zeros(path: Path, _: random.Random) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _flipped(path: Path, chance: random.Random) -> None:
    with path.open("r+b") as file:
        place = chance.randrange(path.stat().st_size)
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1 << chance.randrange(8)]))


def _flipped_in_secret(path: Path, chance: random.Random) -> None:
    """A flipped bit under the same size and time of change."""
    before = path.stat()
    _flipped(path, chance)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _other_text(path: Path, _: random.Random) -> None:
    path.write_bytes(b'{"note": "of another program"}\n')


def _grown(path: Path, chance: random.Random) -> None:
    with path.open("ab") as file:
        file.write(chance.randbytes(100))


def _missing(path: Path, _: random.Random) -> None:
    path.unlink()


def _folder(path: Path, _: random.Random) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").write_bytes(b"x")


def _pipe(path: Path, _: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def _loose_link(path: Path, _: random.Random) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nowhere")


def _endless(path: Path, _: random.Random) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


DAMAGES: Mapping[str, Damage] = {
    "cut": _cut,
    "emptied": _emptied,
    "zeros": _zeros,
    "bit flipped": _flipped,
    "bit flipped, same size and time": _flipped_in_secret,
    "other text": _other_text,
    "bytes added": _grown,
    "missing": _missing,
    "a folder": _folder,
    "a pipe": _pipe,
    "a link to nothing": _loose_link,
    "a link to a device": _endless,
}


def restored(path: Path, copy: Path) -> None:
    """Put the whole file back in whatever stands there now."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(copy, path)
