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


@pytest.fixture(autouse=True)
def _no_kept_choice(request, monkeypatch):
    """No page of a test opens the sample data to look for a choice of demonstrations, unless it says so."""
    if "kept" not in request.fixturenames:
        monkeypatch.setattr("app.cached.choice_for", lambda case: None)
