"""The real server: who may open its socket, what it does when descriptors are short, and what its health says."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from app.descriptors import ClosedTabs
from bench.product.sessions import Session

ROOT = Path(__file__).resolve().parents[2]
SPEAKS: Any = ["streamlit"]
SERVER = """
import sys
from pathlib import Path
from app import cached, serve
from core.work.desk import Desk
from core.work.runner import ProcessRunner
desk = Desk(start=lambda listener: ProcessRunner(listener, engine="fake_work_engine:FakeEngine"))
cached.desk = lambda: desk
serve.main(int(sys.argv[1]), script=Path(sys.argv[2]))
"""


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if found := condition():
                return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def health(address: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=20) as answer:
            return answer.status, json.load(answer)["status"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["status"]


@contextlib.contextmanager
def serving(folder: Path, soft: int, hard: int) -> Iterator[tuple[str, psutil.Process]]:
    """A server of a small page that may hold so many descriptors."""
    (folder / "page.py").write_text("import streamlit as st\nst.html('<p>here</p>')\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "core" / "work")))
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(port), str(folder / "page.py")],
        cwd=ROOT,
        env=os.environ | {"DEMOLENS_HOME": str(folder / "home"), "PYTHONPATH": paths},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
    )
    try:
        address = f"http://127.0.0.1:{port}"
        until(lambda: health(address)[0] == 200)
        yield address, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, psutil.Process]]:
    with serving(tmp_path_factory.mktemp("server"), 128, 128) as running:
        yield running


@pytest.mark.parametrize(
    ("origin", "opens"),
    [
        ("http://127.0.0.1:{port}", True),
        (None, True),
        ("http://127.0.0.1:{other}", False),
        ("http://127.0.0.1", False),
        ("http://localhost:{port}", False),  # Its Host header would say localhost.
        ("https://example.org", False),
        ("null", False),
    ],
)
def test_only_a_page_of_this_server_opens_its_socket(server: Any, origin: str | None, opens: bool) -> None:
    port = int(server[0].rpartition(":")[2])
    named: Any = None if origin is None else origin.format(port=port, other=port + 1)
    address = server[0].replace("http", "ws") + "/_stcore/stream"
    with connect(address, origin=named, subprotocols=SPEAKS) if opens else pytest.raises(InvalidStatus) as outcome:
        if not opens:
            connect(address, origin=named, subprotocols=SPEAKS).__enter__()
    assert opens or outcome.value.response.status_code == 403


def test_closed_tabs_cannot_use_up_the_descriptors(server: Any) -> None:
    """With three a tab, the 35th would have failed."""
    address, process = server
    for _ in range(60):
        with Session(address) as tab:
            tab.run()
            assert tab.faults == []
            assert tab.elements == 1
    assert process.num_fds() < 100
    assert health(address) == (200, "ok")


def test_open_tabs_that_use_them_up_are_told_and_recovered_from(server: Any) -> None:
    address, _ = server
    tabs: list[Session] = []
    opened = time.monotonic()
    while time.monotonic() - opened < 2.5:  # The server has let go of every closed tab by then.
        try:
            tab = Session(address)
            tab.run()
        except (ConnectionClosed, OSError, InvalidStatus):
            continue
        tabs.append(tab)
        opened = time.monotonic()
    assert 10 < len(tabs) < 60
    tabs[0].close()  # Room for the question itself.
    status, sentence = until(lambda: health(address))
    assert status == 503
    assert sentence.endswith("descriptors are free")
    for tab in tabs:
        tab.close()
    assert until(lambda: health(address)[0] == 200)
    with Session(address) as tab:
        tab.run()
        assert (tab.faults, tab.elements) == ([], 1)


def test_a_worker_that_was_killed_is_replaced_before_health_answers(server: Any) -> None:
    address, process = server
    (worker,) = [child for child in process.children() if "core.work.worker" in child.cmdline()]
    worker.kill()
    assert until(lambda: health(address) == (200, "ok"))
    assert [child.pid for child in process.children() if child.pid != worker.pid]


def test_the_limit_is_raised_as_far_as_it_may_be(tmp_path: Path) -> None:
    with serving(tmp_path, 64, 512) as (_, process):
        assert process.rlimit(psutil.RLIMIT_NOFILE) == (512, 512)


# Closed tabs


class Tab:
    """A session as the storage sees it."""

    def __init__(self, name: str, shut: list[str]) -> None:
        self.id, self._shut = name, shut

    def shutdown(self) -> None:
        self._shut.append(self.id)


def kept(tabs: ClosedTabs) -> list[str]:
    return [info.session.id for info in tabs.list()]


def closed(names: str, tabs: ClosedTabs, shut: list[str]) -> None:
    for name in names:
        tabs.save(SimpleNamespace(session=Tab(name, shut)))  # type: ignore[arg-type]


def test_the_oldest_closed_tab_is_shut_down_first() -> None:
    tabs, shut = ClosedTabs(60.0, most=2), []
    closed("abca", tabs, shut)
    assert (kept(tabs), shut) == (["c", "a"], ["a", "b"])


def test_a_tab_that_stayed_away_too_long_is_shut_down(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    tabs, shut = ClosedTabs(30.0, most=9), []
    closed("ab", tabs, shut)
    now = 129.0
    assert tabs.get("a") is not None
    tabs.delete("a")
    now = 131.0
    assert tabs.get("b") is None
    assert shut == ["b"]
