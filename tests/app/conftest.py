"""The hand-made example and a page that talks to a desk which only pretends."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = str(ROOT / "streamlit_app.py")


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

    def serve(desk, *, users=(("135", 51), ("12", 51), ("7", 40)), preview=example.preview):
        monkeypatch.setattr("app.cached.desk", lambda: desk)
        monkeypatch.setattr("app.cached.job_key", desk.key)
        monkeypatch.setattr("app.cached.users", lambda name, search, limit: list(users))
        monkeypatch.setattr("app.cached.preview", preview)
        monkeypatch.setattr("app.cached.replacements", example.replacements)
        monkeypatch.setattr("app.cached.items", lambda name, item_ids: {})
        monkeypatch.setattr("app.cached.licence", lambda name: "research only")
        monkeypatch.setattr("app.cached.like_threshold", lambda name: 4.0)

    return serve


@pytest.fixture
def opened():
    """`opened(page, query)`: the page under the parameters of a link of now, not run yet."""

    def address(page, query):
        for name, value in ({"v": "3", **query} if query else {}).items():
            page.query_params[name] = value
        return page

    return address


@pytest.fixture
def open_page(example: Any, stand_in, opened):
    """Open a page: `open_page("theory", "done", user="7")`, and press Run where told; the desk remembers the tasks."""

    def start(name: str, state: str = "done", *, run: bool = False, **query: str) -> tuple[AppTest, Any]:
        desk = example.FakeDesk()
        desk.of_tasks = state
        stand_in(desk)
        page = AppTest.from_file(SCRIPT, default_timeout=60).run()
        page.query_params.clear()  # As the navigation of a browser does.
        opened(page, query)
        page = page.switch_page(f"app/pages/{name}/page.py").run()
        return page.button(key="run").click().run() if run else page, desk

    return start


@pytest.fixture(autouse=True)
def _no_kept_choice(request, monkeypatch):
    """No page of a test opens the sample data to look for a choice of demonstrations, unless it says so."""
    if "kept" not in request.fixturenames:
        monkeypatch.setattr("app.cached.choice_for", lambda case: None)


@pytest.fixture
def tell():
    """`tell(page, "edit", message)`: the page as its component of our own sends a message, then run again."""

    def send(page: AppTest, event: str, message: object) -> AppTest:
        (box,) = page.get("bidi_component")
        states = page._tree.get_widget_states()
        widget = states.widgets.add()
        widget.id = f"$$STREAMLIT_INTERNAL_KEY_{box.proto.id}__events"
        widget.json_trigger_value = json.dumps([{"event": event, "value": message}])
        return page._run(states)

    return send
