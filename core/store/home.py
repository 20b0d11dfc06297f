"""Where does DemoLens keep what it fetches and computes, and how is a file written there whole?"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from core.errors import MaterialError

LEAST_FREE = 1_000_000
"""Bytes that must be free before anything is started in the home folder."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def home() -> Path:
    """The folder of all DemoLens files: `DEMOLENS_HOME`, else the user's cache folder; created when missing.

    Raises `MaterialError` when it cannot be created, is not a folder, or its disk is full.
    """
    named = os.environ.get("DEMOLENS_HOME", "").strip()
    folder = Path(named).expanduser() if named else platformdirs.user_cache_path("demolens")
    with stored(f"the DemoLens folder {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        raise disk_full(f"the DemoLens folder {folder}")
    return folder.absolute()


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader sees the old file or the whole new one, never a part.

    Raises `MaterialError` when the disk is full or the folder cannot be written; then nothing is left behind.
    """
    part = path.with_name(f".{path.name[:80]}.{secrets.token_hex(8)}.part")
    with stored(f"the file {path.name}"):
        try:
            with open(part, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut, where the system can (Windows cannot)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def disk_full(what: str) -> MaterialError:
    """The error to raise when `what` does not fit on the disk."""
    return MaterialError(
        f"{what} cannot be stored, the disk is full", expected="free space, or DEMOLENS_HOME set to a folder with more"
    )


@contextlib.contextmanager
def stored(what: str) -> Iterator[None]:
    """Turn any `OSError` inside into a `MaterialError` that says why `what` cannot be stored."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise disk_full(what) from None
        reason = (error.strerror or type(error).__name__).lower()
        raise MaterialError(
            f"{what} cannot be stored: {reason}", expected="a folder that can be written; DEMOLENS_HOME names another"
        ) from None
