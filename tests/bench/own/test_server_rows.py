"""The rows about servers meet what is promised, on one case."""

from __future__ import annotations

import pytest

from bench.own import server_rows as module
from bench.own.server_rows import server_rows


@pytest.mark.sample
@pytest.mark.slow
def test_one_case_by_a_server_meets_every_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FAMILIES", ("yes_no",))
    monkeypatch.setattr(module, "NOISES", (0.3,))
    monkeypatch.setenv("DEMOLENS_SERVER", "http://before.example")
    rows = list(server_rows(1, 0))[-1]
    assert [row.target for row in rows] == ["<= 1e-4", ">= 0.99", ">= 1", None, None]
    assert all(row.met for row in rows[:3])
    assert module.os.environ["DEMOLENS_SERVER"] == "http://before.example"
