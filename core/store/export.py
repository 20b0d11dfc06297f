"""A person's own file, written so that it is whole or as it was."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def write_whole(path: Path, data: bytes) -> None:
    """Write a file outside the home: a reader, also after a kill or on a full disk, has the old one or the whole new.

    A link is followed, the mode of an old file is kept, and what is no file (a pipe, /dev/stdout) is written to.
    Raises `OSError`; then the old file is as it was and nothing is left beside it.
    """
    with whole_file(path) as file:
        file.write(data)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """The same for data that comes bit by bit: the file is there when the block ends well, and as it was otherwise."""
    if path.exists() and not path.is_file():
        with open(path, "wb") as stream:
            yield stream
        return
    path = path.resolve()
    with _unnamed(path) as (file, name):
        if path.exists():
            os.chmod(file.fileno() if os.chmod in os.supports_fd else name, stat.S_IMODE(path.stat().st_mode))
        yield file
        file.flush()
        os.fsync(file.fileno())


def check_folder(folder: Path) -> None:
    """Raise `OSError` where no file can be made in a folder, before anything is computed for it."""
    with _named(folder / "check") as (_, name):
        name.unlink()


@contextlib.contextmanager
def _unnamed(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A new file that takes the place of `path` when the block ends well; a killed process leaves nothing of it."""
    if not hasattr(os, "O_TMPFILE"):
        with _replacing(path) as opened:
            yield opened
        return
    try:
        handle = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
    except OSError:  # A file system without such files, or one that refuses, which the other way tells.
        with _replacing(path) as opened:
            yield opened
        return
    with os.fdopen(handle, "wb") as file:
        yield file, path
        _link(handle, path)


def _link(handle: int, path: Path) -> None:
    """Give an unnamed file its name, in place of what has it."""
    part = _part_of(path)
    source, folder = f"/proc/self/fd/{handle}", os.open(path.parent, os.O_RDONLY)
    try:
        os.link(source, part.name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=True)
        try:
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    with _named(path) as (file, name):
        yield file, name
        file.close()
        os.replace(name, path)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    part = _part_of(path)
    try:
        with open(part, "xb") as file:
            yield file, part
    finally:
        part.unlink(missing_ok=True)


def _part_of(path: Path) -> Path:
    return path.with_name(f".{path.name[:80]}.{secrets.token_hex(8)}.part")
