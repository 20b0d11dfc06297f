"""Desks with a fake engine in a real subprocess, each with a folder of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
if str(HERE) not in sys.path:  # fake_work_engine is imported by the tests and by the worker processes
    sys.path.insert(0, str(HERE))


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("DEMOLENS_HOME", str(folder))
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.setenv("FAKE_RUNS", str(tmp_path / "runs"))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Callable[[], list[str]]:
    """The users of the runs that were started, in order."""

    def started() -> list[str]:
        path = tmp_path / "runs"
        return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []

    return started


@pytest.fixture
def make_desk() -> Iterator[Callable[..., Any]]:
    from core.work.desk import Desk
    from core.work.runner import ProcessRunner

    made = []

    def make(engine: str = "fake_work_engine:FakeEngine", **settings: Any) -> Desk:
        desk = Desk(start=lambda listener: ProcessRunner(listener, engine=engine), **settings)
        made.append(desk)
        return desk

    yield make
    for desk in made:
        desk.close()
