"""Ctrl-C ends a process with one sentence whatever it does, and a second one at once."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest
from waiting import until

from core.data.stored import source_name
from core.store.lock import alone
from core.work.stopping import STOPPED

ROOT = Path(__file__).parents[3]
BEGIN = "import sys; from core.work.stopping import until_stopped\n"
WORKS = {
    "a loop": "def work():\n    print('ready', flush=True)\n    while True: pass\n",
    "an error made of it": (
        "def work():\n    print('ready', flush=True)\n"
        "    try:\n        while True: pass\n    except BaseException: raise ImportError('not loaded') from None\n"
    ),
    "swallowed": (
        "class Last:\n    def __del__(self):\n        print('ready', flush=True)\n        while True: pass\n"
        "def work():\n    Last()\n"
    ),
}
SPIN = "hashlib.pbkdf2_hmac('sha256', b'x', b'y', 2**31 - 1)"
DEAF = f"import hashlib\ndef work():\n    print('ready', flush=True)\n    {SPIN}\n"
END = "sys.exit(until_stopped(work))\n"


def started(*words: str, home: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "DEMOLENS_HOME": str(home), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


@pytest.mark.parametrize("name", ["a loop", "swallowed"])
def test_one_press_is_one_sentence(tmp_path: Path, name: str) -> None:
    process = started("-c", BEGIN + WORKS[name] + END, home=tmp_path)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == (b"", b"demolens: stopped\n")
    assert process.returncode == STOPPED


def test_a_command_whose_library_makes_another_error_of_it_is_stopped_too(tmp_path: Path) -> None:
    words = (
        "import sys; from core.work.stopping import interruptible; interruptible()\n"
        "from core.cli.command import status_of\n" + WORKS["an error made of it"] + "sys.exit(status_of(work))\n"
    )
    process = started("-c", words, home=tmp_path)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == (b"", b"demolens: stopped\n")
    assert process.returncode == STOPPED


def test_a_second_press_ends_work_that_hears_nothing(tmp_path: Path) -> None:
    process = started("-c", BEGIN + DEAF + END, home=tmp_path)
    assert process.stdout.readline() == b"ready\n"
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    assert process.communicate() == (b"", b"demolens: stopped\n")
    assert process.returncode == STOPPED


def test_a_command_that_waits_for_another_says_so_and_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    data = tmp_path / "books"
    data.mkdir()
    inter = data / "books.inter"
    inter.write_text("user_id:token\titem_id:token\na\t1\n")
    digest = hashlib.sha256(inter.read_bytes()).hexdigest()
    with alone(f"import-{source_name(inter, None, (digest, None))}", "the test"):
        process = started("-m", "app.entry", "explain", "--dataset", str(data), home=tmp_path / "home")
        assert process.stderr.readline() == b"demolens: waiting for another process: the import of books.inter\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == (b"", b"demolens: stopped\n")
    assert process.returncode == STOPPED


@pytest.mark.slow
def test_the_page_is_stopped_while_it_starts_and_while_it_runs(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ("-m", "app.entry", "app", "--port", str(port))
    starting = started(*words, home=tmp_path)
    until(lambda: b"app.serve" in command_of(starting.pid))
    os.killpg(starting.pid, signal.SIGINT)
    assert starting.communicate(timeout=60)[1] == b"demolens: stopped\n"
    assert starting.returncode == STOPPED
    running = started(*words, home=tmp_path)
    until(lambda: answers(port))
    os.killpg(running.pid, signal.SIGINT)
    assert running.communicate(timeout=60)[1].endswith(b"demolens: stopped\n")
    assert running.returncode == STOPPED


def command_of(pid: int) -> bytes:
    return " ".join(psutil.Process(pid).cmdline()).encode()


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False
