"""The fake engine of the work tests, and a home of its own for every test."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

WORK = Path(__file__).parents[1] / "work"
if str(WORK) not in sys.path:
    sys.path.insert(0, str(WORK))


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("DEMOLENS_HOME", str(folder))
    return folder
