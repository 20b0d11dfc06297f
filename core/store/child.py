"""A child process with bounded work that ends with this process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

GUARD = Path(__file__).with_name("child_guard.py")
POLL_SECONDS = 0.1
IDLE_SECONDS = 300.0
"""A child that uses no processor time for this long has come to a halt."""
LEAST_STEP = 0.01
"""Seconds of processor time that count as a sign of life."""
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "USERPROFILE", "TZ")
"""Variables of the environment that a child which reads a person's files gets: no key, no token."""
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ended:
    """How a child ended; `status` is None where it was ended for what it had spent."""

    status: int | None
    output: bytes
    errors: bytes


def run_child(
    command: Sequence[str],
    *,
    cpu_seconds: float,
    idle_seconds: float = IDLE_SECONDS,
    isolated: bool = True,
    environment: Mapping[str, str] | None = None,
    between: Callable[[], None] = lambda: None,
) -> Ended:
    """Run Python with `command`, a script and its arguments or `-m module`, until it ends.

    The child ends with this process, however that ends, and when `between`, called ten times a second, raises. It may
    use `cpu_seconds` of processor time: a busy machine costs it nothing. Files that it makes are for this user only.
    An `isolated` one sees no PYTHON variables and no packages of the user's own site.
    """
    process = subprocess.Popen(
        [sys.executable, "-I" if isolated else "-P", str(GUARD), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=None if environment is None else dict(environment),
        umask=-1 if sys.platform == "win32" else 0o077,
    )
    output, errors = _PipeReader(process.stdout), _PipeReader(process.stderr)
    try:
        status = _wait(process, cpu_seconds, idle_seconds, between)
    finally:
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
    return Ended(status, output.all(), errors.all())


def keyless_environment() -> dict[str, str]:
    """An environment without keys and tokens, in which a child imports the same modules as this process."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return passed | {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}


def _wait(
    process: subprocess.Popen[bytes], cpu_seconds: float, idle_seconds: float, between: Callable[[], None]
) -> int | None:
    """The exit status; None for a child that used up its time or came to a halt."""
    last, alive = 0.0, time.monotonic()
    while True:
        between()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(POLL_SECONDS)
        spent, now = _cpu_seconds(process.pid), time.monotonic()
        if spent >= last + LEAST_STEP:
            last, alive = spent, now
        if spent > cpu_seconds or now - alive > idle_seconds:
            return None


def _cpu_seconds(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


class _PipeReader:
    """Everything that a child writes to a pipe, read while it runs so that it never waits for us."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        self._pipe, self._data = pipe, b""
        self._thread = threading.Thread(target=self._read, daemon=True, name="child output")
        self._thread.start()

    def _read(self) -> None:
        if self._pipe is not None:
            with self._pipe:
                self._data = self._pipe.read()

    def all(self) -> bytes:
        """What was written until the child ended."""
        self._thread.join(1.0)  # A grandchild may hold the pipe for longer.
        return self._data
