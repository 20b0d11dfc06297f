"""The hand-made example and a page that talks to a desk which only pretends."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _load():
    if "example" not in sys.modules:
        spec = importlib.util.spec_from_file_location("example", Path(__file__).with_name("example.py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules["example"] = module
        spec.loader.exec_module(module)
    return sys.modules["example"]


@pytest.fixture(scope="session")
def example():
    return _load()


@pytest.fixture
def complete(example):
    """A complete explanation of 8 demonstrations and 20 candidates."""
    return example.explanation()


@pytest.fixture
def stand_in(monkeypatch, example):
    """`stand_in(desk)`: pages ask this desk, and the hand-made users, preview, licence and threshold."""

    def serve(desk, *, users=(("12", 51), ("7", 40)), preview=example.preview):
        monkeypatch.setattr("app.cached.desk", lambda: desk)
        monkeypatch.setattr("app.cached.job_key", desk.key)
        monkeypatch.setattr("app.cached.users", lambda name, search, limit: list(users))
        monkeypatch.setattr("app.cached.preview", preview)
        monkeypatch.setattr("app.cached.licence", lambda name: "research only")
        monkeypatch.setattr("app.cached.like_threshold", lambda name: 4.0)

    return serve


@pytest.fixture
def opened():
    """`opened(page, query)`: the page under the parameters of a link of now, not run yet."""

    def address(page, query):
        for name, value in ({"v": "2", **query} if query else {}).items():
            page.query_params[name] = value
        return page

    return address


@pytest.fixture(autouse=True)
def _no_kept_choice(request, monkeypatch):
    """No page of a test opens the sample data to look for a choice of demonstrations, unless it says so."""
    if "kept" not in request.fixturenames:
        monkeypatch.setattr("app.cached.choice_for", lambda case: None)
