"""One process makes a thing, others wait; a child ends with its parent and is bounded in processor time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from waiting import until

from core.errors import Cancelled
from core.store.child import run_child
from core.store.lock import WAITING, alone, reporting, tell

HOLDER = """
import sys
from core.store.lock import alone
with alone("thing", "the thing"):
    print("held", flush=True)
    sys.stdin.read()
"""
PARENT = """
import sys
from core.store.child import run_child
run_child([sys.argv[1], sys.argv[2]], cpu_seconds=1000.0)
"""
BUSY_CHILD = """
import os, sys
open(sys.argv[1], "w").write(str(os.getpid()))
while True:
    sum(range(10_000_000))
"""


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_who_waits_says_so_and_goes_on_when_the_holder_is_killed() -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    said: list[str] = []

    def report(label: str, _: float) -> None:
        said.append(label)
        holder.kill()

    with reporting(report), alone("thing", "the thing"):
        said.append("mine")
    holder.communicate()
    assert set(said[:-1]) == {f"{WAITING}: the thing"}
    assert said[-1] == "mine"


def test_who_waits_can_be_cancelled() -> None:
    def report(*_: object) -> None:
        raise Cancelled("enough")

    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with alone("thing", "the thing"):
            entered.set()
            leave.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait(20)
    with pytest.raises(Cancelled), reporting(report), alone("thing", "the thing"):
        pytest.fail("two at once")
    leave.set()
    thread.join()
    tell("nobody listens any more")


def script(tmp_path: Path, words: str) -> str:
    path = tmp_path / "script.py"
    path.write_text(words)
    return str(path)


def test_what_a_child_writes_and_its_status_come_back(tmp_path: Path) -> None:
    words = "import sys; print(sys.argv[1:]); print('x' * 300_000, file=sys.stderr); sys.exit(7)"
    done = run_child([script(tmp_path, words), "a", "b c"], cpu_seconds=60.0)
    assert (done.status, done.output) == (7, b"['a', 'b c']\n")
    assert len(done.errors) == 300_001
    assert run_child(["-m", "timeit", "-n", "1", "pass"], cpu_seconds=60.0).output.startswith(b"1 loop")


def test_a_child_is_bounded_in_processor_time_and_in_rest(tmp_path: Path) -> None:
    busy, idle = "while True: pass", "import time; time.sleep(600)"
    assert run_child([script(tmp_path, busy)], cpu_seconds=0.3).status is None
    assert run_child([script(tmp_path, idle)], cpu_seconds=60.0, idle_seconds=0.5).status is None


def test_a_cancelled_child_is_ended(tmp_path: Path) -> None:
    note = tmp_path / "pid"

    def between() -> None:
        if note.exists() and note.read_text():
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        run_child([script(tmp_path, BUSY_CHILD), str(note)], cpu_seconds=60.0, between=between)
    assert not psutil.pid_exists(int(note.read_text()))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_child_ends_with_its_parent(tmp_path: Path, how: signal.Signals) -> None:
    note = tmp_path / "pid"
    child = script(tmp_path, BUSY_CHILD)
    parent = subprocess.Popen([sys.executable, "-c", PARENT, child, str(note)], stderr=subprocess.DEVNULL)
    until(lambda: note.exists() and note.read_text() != "")
    os.kill(parent.pid, how)
    parent.wait()
    until(lambda: not lives(int(note.read_text())))


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
