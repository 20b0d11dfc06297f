"""Requests to a hub leave the machine only where the owner allowed them."""

from __future__ import annotations

import pytest

from core.work.runner import quiet_environment


def test_a_hub_is_asked_only_where_that_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEMOLENS_ALLOW_HUB", raising=False)
    assert quiet_environment()["HF_HUB_OFFLINE"] == "1"
    monkeypatch.setenv("DEMOLENS_ALLOW_HUB", "1")
    assert quiet_environment()["HF_HUB_OFFLINE"] == "0"
    assert quiet_environment()["HF_HUB_DISABLE_TELEMETRY"] == "1"
