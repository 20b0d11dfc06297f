"""A server of the dashboard for as long as it is needed, and the browser that visits it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
APP = ("-m", "app.entry", "app", "--port", "PORT")
"""The words after `python` that start the dashboard as `demolens app` does; PORT stands for a free port."""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""Of a Chromium that nobody looks at and that calls nobody."""


class AppServer(NamedTuple):
    """A server that may still be starting."""

    address: str
    process: subprocess.Popen[bytes]

    def answers(self) -> bool:
        """Whether its health check succeeds."""
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=5) as reply:
            return bool(reply.status == 200)
        return False


def start_server(*command: str) -> AppServer:
    """Start `python COMMAND` from the checkout, with a free port for the word PORT."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, *(word.replace("PORT", port) for word in command)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    return AppServer(f"http://127.0.0.1:{port}", process)


@contextlib.contextmanager
def serving(*command: str, wait_seconds: float = 60.0) -> Iterator[AppServer]:
    """A server that answers, until the block ends. Raises `TimeoutError` where it does not start in time."""
    server = start_server(*command)
    try:
        end = time.monotonic() + wait_seconds
        while not server.answers():
            if time.monotonic() > end or server.process.poll() is not None:
                raise TimeoutError("the server did not start")
            time.sleep(0.05)
        yield server
    finally:
        server.process.terminate()
        try:
            server.process.wait(20)
        except subprocess.TimeoutExpired:
            server.process.kill()
            server.process.wait()


def chromium() -> str | None:
    """The program of a Chromium: `CHROMIUM` of the environment, or one on the PATH; None without any."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
