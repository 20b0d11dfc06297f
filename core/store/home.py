"""The folder of what DemoLens fetches and computes, and whole files in it."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import platformdirs

from core.errors import MaterialError
from core.store.export import write_whole
from core.store.scratch import ROOMS, scratch_in, sweep

VARIABLE = "DEMOLENS_HOME"
LEAST_FREE = 1_000_000
"""Bytes that must be free before anything large is made in the home folder."""
PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Numbers of the errors that say: no room."""
_FILES = frozenset({"forecast.json"})


def _directory_at_start() -> Path:
    try:
        return Path.cwd()
    except OSError:  # It was removed.
        return Path(os.environ.get("PWD") or os.sep)


_START = _directory_at_start()


def home_path() -> Path:
    """Where the home folder lies, created or not: `DEMOLENS_HOME`, else the user's cache folder.

    A relative one is below the directory in which this process started. Raises `MaterialError` for no path.
    """
    named = os.environ.get(VARIABLE, "").strip()
    try:
        folder = Path(named).expanduser() if named else platformdirs.user_cache_path("demolens")
    except RuntimeError:  # ~ of a user that does not exist
        raise MaterialError(f"{VARIABLE} is {named[:200]!r}", expected="the path of a folder") from None
    return Path(os.path.normpath(_START / folder))


def fix_home() -> None:
    """Make a relative `DEMOLENS_HOME` absolute, so that the processes that this one starts mean the same place."""
    if os.environ.get(VARIABLE, "").strip():
        with contextlib.suppress(MaterialError):
            os.environ[VARIABLE] = str(home_path())


def home() -> Path:
    """The folder of all DemoLens files, readable by this user only; created when missing.

    The first call of a process removes what ended processes left there half done. Raises `MaterialError` when it
    cannot be created or is not a folder.
    """
    folder = home_path()
    with stored(f"the DemoLens folder {folder}"):
        if not folder.is_dir():
            folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    _settle(folder)
    return folder


def room(*names: str) -> Path:
    """A folder in the home for this user only, created when missing. Raises `MaterialError`."""
    folder = home()
    with stored(f"the folder {'/'.join(names)}"):
        for name in names:
            folder = folder / name
            folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    return folder


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """An empty folder in the home for work in progress, gone when the block ends.

    What a killed process leaves in its own is removed at the next start. Raises `MaterialError`.
    """
    with stored("the folder for work in progress"):
        folder = scratch_in(home()) / secrets.token_hex(8)
        folder.mkdir(mode=PRIVATE_FOLDER)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def spill_place() -> Path | None:
    """Where this process may put what does not fit into memory; None for a home that cannot be written."""
    try:
        return scratch_in(home()) / f"spill-{secrets.token_hex(8)}"
    except (OSError, MaterialError):
        return None


def private(path: str, flags: int) -> int:
    """An opener for `open`: a new file is for this user only."""
    return os.open(path, flags, PRIVATE_FILE)


def check_free() -> None:
    """Raise `MaterialError` when the home's disk is full, before anything large is begun."""
    folder = home()
    if shutil.disk_usage(folder).free < LEAST_FREE:
        raise disk_full(f"the DemoLens folder {folder}")


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader sees the old file or the whole new one, never a part.

    In the home only this user may read it, and a folder that stands in its place is removed. Raises `MaterialError`
    when the disk is full or the folder cannot be written; then nothing is left behind.
    """
    with stored(f"the file {path.name}"):
        if not path.is_relative_to(home_path()):
            write_whole(path, data)
            return
        part = scratch_in(home()) / secrets.token_hex(8)
        try:
            with open(part, "xb", opener=private) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        sync_folder(path.parent)


def put_folder(finished: Path, folder: Path) -> None:
    """Give a finished folder its name in the home; one that stands there already is replaced.

    The caller holds the lock under which that name is made. Raises `MaterialError`.
    """
    with stored(f"the folder {folder.name}"):
        with workplace() as old:
            if folder.exists() or folder.is_symlink():
                os.replace(folder, old / "old")
            os.replace(finished, folder)
        sync_folder(folder.parent)


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
        if error.errno in FULL:
            raise disk_full(what) from None
        reason = (error.strerror or type(error).__name__).lower()
        raise MaterialError(
            f"{what} cannot be stored: {reason}", expected="a folder that can be written; DEMOLENS_HOME names another"
        ) from None


@cache
def _settle(folder: Path) -> None:
    """Once a process and folder: close it to others and remove what ended processes left."""
    with contextlib.suppress(OSError):
        names = set(os.listdir(folder))
        for name in sorted(names & ROOMS):
            _close_to_others(folder / name)
        if names <= ROOMS | _FILES:  # Someone's own folder, such as /tmp, stays as it is.
            _close_to_others(folder)
    sweep(folder)


def _close_to_others(folder: Path) -> None:
    status = folder.stat()
    ours = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
    if ours and stat.S_ISDIR(status.st_mode) and status.st_mode & 0o077 and not status.st_mode & stat.S_ISVTX:
        with contextlib.suppress(OSError):
            folder.chmod(PRIVATE_FOLDER)
