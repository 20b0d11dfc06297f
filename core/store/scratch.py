"""Folders for unfinished work, so that nothing of a killed process stays.

Each process has a folder of its own below the home's `scratch` and holds the lock of it as long as it lives: the
system releases the lock however the process ends. What no process holds is removed at the next start.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

ROOMS = frozenset(
    (
        "cases",
        "datasets",
        "encodings",
        "hashes",
        "choices",
        "likes",
        "locks",
        "logs",
        "material",
        "models",
        "results",
        "scratch",
        "templates",
        "utility",
    )
) | {"vectors", "wheels"}
"""Folders of the home."""
SECONDS = 10.0
"""Longest wait for another process that removes leftovers at this moment."""
_held: dict[tuple[int, Path], tuple[FileLock, Path]] = {}
"""Lock and folder of this process in each home."""
_making = threading.Lock()


def scratch_in(home: Path) -> Path:
    """This process's folder for unfinished work in that home; raises `OSError` where there can be none."""
    key = (os.getpid(), home)
    with _making:
        if key not in _held or not _held[key][1].is_dir():
            _held[key] = _new(home / "scratch" / secrets.token_hex(8))
        return _held[key][1]


def _new(folder: Path) -> tuple[FileLock, Path]:
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    with _sweeping(folder.parents[1], SECONDS):
        lock = lock_of(folder.with_suffix(".lock"))
        lock.acquire(timeout=SECONDS)
        folder.mkdir(mode=0o700)
    return lock, folder


def sweep(home: Path) -> None:
    """Remove the unfinished work of processes that have ended; a home that cannot be written keeps it."""
    with contextlib.suppress(OSError, Timeout):
        if not any((home / name).is_dir() for name in ROOMS):
            return
        with _sweeping(home, 0.0):
            for left in [*_abandoned(home / "scratch"), *_of_older_versions(home)]:
                _remove(left)


def lock_of(path: Path) -> FileLock:
    """A lock for this user's processes and their threads; the system releases it when its process ends."""
    return FileLock(path, thread_local=False, mode=0o600)


@contextlib.contextmanager
def _sweeping(home: Path, seconds: float) -> Iterator[None]:
    """While no other process makes or removes folders for unfinished work."""
    (home / "locks").mkdir(mode=0o700, exist_ok=True)
    with lock_of(home / "locks" / "scratch.lock").acquire(timeout=seconds):
        yield


def _abandoned(top: Path) -> Iterator[Path]:
    """What no living process holds in `scratch`; a lock file comes after its folder."""
    for path in sorted(top.iterdir()) if top.is_dir() else ():
        if path.suffix != ".lock":
            lock = lock_of(path.with_suffix(".lock"))
            with contextlib.suppress(Timeout), lock.acquire(blocking=False):
                yield path
    for path in sorted(top.glob("*.lock")):
        if not path.with_suffix("").exists():
            yield path


def _of_older_versions(home: Path) -> Iterator[Path]:
    """Unfinished work as earlier versions named it, beside what was to become of it."""
    for room in sorted(ROOMS - {"scratch", "locks", "wheels"}):
        for folder in (home / room, *((home / room).glob("*/") if room == "datasets" else ())):
            yield from folder.glob(".*.part*")
            yield from folder.glob("spill")
    yield from (home / "material").glob("*.lock")
    yield from home.glob(".*.part")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


@atexit.register
def _leave() -> None:
    for (pid, _), (lock, folder) in _held.items():
        if pid == os.getpid():
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                lock.release()
                folder.with_suffix(".lock").unlink()
