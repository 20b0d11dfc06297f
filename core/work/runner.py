"""Where the worker lives: in a process of its own, or in a thread of this one."""

from __future__ import annotations

import contextlib
import io
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import IO, Protocol

from core.store.home import fix_home
from core.work import protocol
from core.work.engine import Engine
from core.work.job import ROOT
from core.work.log import logger
from core.work.worker import ENGINE, Worker

STOP_SECONDS = 2.0
"""How long a worker may take to leave before it is ended."""


class Listener(Protocol):
    """The desk, as a runner sees it; both are called on a thread of the runner."""

    def heard(self, runner: Runner, event: protocol.Event) -> None:
        """The worker said something."""
        ...

    def gone(self, runner: Runner, status: int) -> None:
        """The worker has ended; `status` is negative for a signal."""
        ...


class Runner(Protocol):
    """A started worker."""

    pid: int | None

    def send(self, message: Mapping[str, object]) -> None:
        """Say something to the worker, without waiting for it to listen.

        A worker that is gone hears nothing, and `gone` is on its way. Raises `ValueError` for what JSON cannot carry.
        """
        ...

    def kill(self) -> None:
        """End the worker now; `gone` follows."""
        ...

    def stop(self) -> None:
        """Ask the worker to leave, end it if it does not within `STOP_SECONDS`; returns when it is gone."""
        ...


StartRunner = Callable[[Listener], Runner]


class ProcessRunner:
    """A worker in a subprocess, over pipes."""

    def __init__(self, listener: Listener, *, engine: str = ENGINE) -> None:
        self._listener = listener
        self._process = subprocess.Popen(
            [sys.executable, "-m", "core.work.worker", engine],
            cwd=ROOT,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        self.pid: int | None = self._process.pid
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._write_lines, daemon=True, name="worker commands").start()
        threading.Thread(target=self._read_log, daemon=True, name="worker log").start()
        threading.Thread(target=self._read_events, daemon=True, name="worker events").start()

    def send(self, message: Mapping[str, object]) -> None:
        """Hand one line to the thread that writes to the worker's stdin."""
        self._lines.put(protocol.line_of(message))

    def kill(self) -> None:
        """End the process by SIGKILL: a forward pass does not listen to anything milder."""
        with contextlib.suppress(OSError):
            self._process.kill()

    def stop(self) -> None:
        """Close stdin, which the worker takes as its end; kill it if that does not help."""
        self.send({"stop": True})
        self._lines.put(None)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()

    def _write_lines(self) -> None:
        with contextlib.suppress(OSError), _pipe(self._process.stdin) as commands:
            while (line := self._lines.get()) is not None:
                rest = memoryview(line)
                while rest:
                    rest = rest[commands.write(rest) :]

    def _read_events(self) -> None:
        with _buffered(self._process.stdout) as events:
            while line := events.readline(protocol.LINE_LIMIT):
                event = protocol.event_of(line)
                if event is None:
                    logger.warning("worker %s said what is no event: %s", self.pid, line[:200])
                else:
                    self._listener.heard(self, event)
        status = self._process.wait()
        self._lines.put(None)
        self._listener.gone(self, status)

    def _read_log(self) -> None:
        with _buffered(self._process.stderr) as lines:
            while line := lines.readline(10_000):
                logger.info("worker %s: %s", self.pid, line.decode("utf-8", "replace").rstrip())


class ThreadRunner:
    """The same worker in a thread of this process: for notebooks and tests. It cannot be killed, only left behind."""

    def __init__(self, listener: Listener, *, engine: Engine) -> None:
        self._listener = listener
        self.pid: int | None = None
        self._worker = Worker(engine, lambda event: listener.heard(self, event))
        self._thread = threading.Thread(target=self._serve, daemon=True, name="worker")
        self._thread.start()

    def send(self, message: Mapping[str, object]) -> None:
        """Hand over one command."""
        self._worker.hear(protocol.line_of(message))

    def kill(self) -> None:
        """Leave the thread to itself; what it still says is not heard."""
        self._worker.stop()
        threading.Thread(target=self._listener.gone, args=(self, -9), daemon=True, name="left worker").start()

    def stop(self) -> None:
        """Let the thread end after the pass it is in."""
        self._worker.stop()
        self._thread.join(STOP_SECONDS)

    def _serve(self) -> None:
        self._worker.work()
        self._listener.gone(self, 0)


def quiet_environment() -> dict[str, str]:
    """What the environment lacks: no telemetry, and no request to a hub unless `DEMOLENS_ALLOW_HUB=1` asked for it."""
    offline = "0" if os.environ.get("DEMOLENS_ALLOW_HUB") == "1" else "1"
    return {"HF_HUB_OFFLINE": offline, "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}


def _environment() -> dict[str, str]:
    """The worker's environment: the checkout first on the path, and no request to a hub unless it was allowed."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    fix_home()  # The worker starts in another directory.
    return quiet_environment() | dict(os.environ) | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # Popen was asked for all three.
    return pipe


def _buffered(pipe: IO[bytes] | None) -> io.BufferedReader:
    raw = _pipe(pipe)
    assert isinstance(raw, io.RawIOBase)  # Popen was asked for unbuffered pipes.
    return io.BufferedReader(raw)
