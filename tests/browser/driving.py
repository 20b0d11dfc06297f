"""How is the dashboard driven in a browser: started, opened, waited for?"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER TEST WAS RUN: no chromium on the PATH"),
    # Playwright's own loop is left to the garbage collector when its browser closes.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT = 60_000
"""Milliseconds that a busy machine may take for one step."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serving(*command: str):
    """Run a server whose port is the last word of `command` until the block ends; yields its address."""
    port = _free_port()
    words = [part.replace("PORT", str(port)) for part in command]
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.3)
    raise AssertionError("the server did not start")


def headline(page, pattern: str = "ranks") -> str:
    """The headline once it says what is expected."""
    shown = page.locator("h1.dl-headline", has_text=re.compile(pattern))
    shown.wait_for()
    return shown.inner_text()


def drawn(page, number: int = 3) -> None:
    """Wait until so many charts are drawn."""
    page.wait_for_function(f"() => document.querySelectorAll('.js-plotly-plot .main-svg').length >= {number}")
    idle(page)


def idle(page) -> None:
    """Wait until the script has not run for a moment: a redraw would close what a test has just opened."""
    quiet = "() => document.querySelector('.stApp')?.getAttribute('data-test-script-state') === 'notRunning'"
    for _ in range(3):
        page.wait_for_function(quiet)
        page.wait_for_timeout(200)


def link(page, pattern: str) -> str:
    """The address once it holds what is expected."""
    page.wait_for_url(re.compile(pattern))
    return page.url


def run_task(page) -> None:
    """Press Run on the page of a task, where its report is not stored already, and wait for the report."""
    run = page.locator(".st-key-run button")
    run.wait_for()
    idle(page)
    if run.is_enabled():
        run.click()
    page.locator("h2.dl-section", has_text="Where this comes from").wait_for()
    idle(page)
