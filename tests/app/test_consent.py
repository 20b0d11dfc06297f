"""A link may name any file, folder or host: nothing of it is looked at before a person agrees."""

from __future__ import annotations

import builtins
import io
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import screens
from streamlit.testing.v1 import AppTest

from app import cached

SCRIPT = str(Path(__file__).resolve().parents[2] / "streamlit_app.py")
PAGES = ("explore", "theory", "robustness", "improve", "personalise")
MARK = "marked-by-a-link"
LOOKS = ("stat", "lstat", "scandir", "listdir", "open", "access", "readlink", "mkdir")


class Spy:
    """Names with `MARK` that anything in this process looked at, while it watches."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.watching = False

    def note(self, what: str, *values: object) -> None:
        for value in values if self.watching else ():
            if isinstance(value, str | bytes | os.PathLike) and MARK in os.fsdecode(value):
                self.seen.append(f"{what} {os.fsdecode(value)}")


SPY = Spy()
sys.addaudithook(lambda event, values: SPY.note(event, *values) if SPY.watching else None)


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    """A folder that is a data set, a model and an adapter at once, if someone looks."""
    folder = tmp_path / MARK
    folder.mkdir()
    (folder / f"{MARK}.inter").write_text("user_id:token\titem_id:token\n" + "".join(f"12\t{n}\n" for n in range(9)))
    (folder / f"{MARK}.item").write_text("item_id:token\ttitle:token\n" + "".join(f"{n}\tFilm {n}\n" for n in range(9)))
    for name in ("config.json", "adapter_config.json"):
        (folder / name).write_text("{}")
    return folder


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch, marked: Path) -> Iterator[Spy]:
    """Audit events, and the calls that raise none, such as `os.stat`; it watches once `marked` lies there."""

    def watched(name: str, original: Any) -> Any:
        def look(*args: Any, **kwargs: Any) -> Any:
            SPY.note(name, *args)
            return original(*args, **kwargs)

        return look

    for name in LOOKS:
        monkeypatch.setattr(os, name, watched(name, getattr(os, name)))
    for module in (builtins, io):
        monkeypatch.setattr(module, "open", watched("open", open))
    monkeypatch.setattr(socket, "getaddrinfo", watched("getaddrinfo", socket.getaddrinfo))
    SPY.seen.clear()
    SPY.watching = True
    yield SPY
    SPY.watching = False


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch, example: Any):
    """Open a page on a link, with a desk that only pretends and everything else real."""

    def start(name: str, **query: str) -> tuple[AppTest, Any]:
        desk = example.FakeDesk()
        monkeypatch.setattr(cached, "desk", lambda: desk)
        page = AppTest.from_file(SCRIPT, default_timeout=60)
        if name != "explore":
            page = page.run()
        desk.submissions.clear()
        for parameter, value in query.items():
            page.query_params[parameter] = value
        return (page.run() if name == "explore" else page.switch_page(f"app/pages/{name}/page.py").run()), desk

    return start


def words(page: AppTest) -> str:
    assert not page.exception, page.exception
    return re.sub(r"<[^>]+>", "", " ".join(element.proto.body for element in page.get("html")))


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("field", ["dataset", "model", "adapter"])
def test_nothing_that_a_link_names_is_looked_at(open_page, spy: Spy, marked: Path, name: str, field: str) -> None:
    page, desk = open_page(name, **{field: str(marked)})
    assert desk.submissions == []
    assert f"This link names its own data, model or adapter: {marked}" in words(page)
    page.number_input(key="in-demos" if name != "improve" else "in-candidates").set_value(4).run()
    for other in PAGES:
        page = page.switch_page(f"app/pages/{other}/page.py").run()
    assert spy.seen == []


@pytest.mark.parametrize("name", ["//some.host/share", "file://some.host/x", "some.host/model"])
def test_no_host_that_a_link_names_is_asked(open_page, spy: Spy, name: str) -> None:
    named = name.replace("some.host", MARK)
    for field in ("dataset", "model", "adapter"):
        _, desk = open_page("explore", **{field: named})
        assert desk.submissions == []
    assert spy.seen == []


def test_run_is_the_agreement(open_page, marked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, desk = open_page("explore", dataset=str(marked), user="12", demos="2", candidates="4")
    assert not page.button(key="run").disabled
    page.button(key="run").click().run()
    assert [task.case.dataset for task in desk.submissions] == [str(marked)]
    assert [label.split(" ")[0] for label in page.selectbox(key="in-user").options] == ["12"]


def test_a_name_that_a_person_types_is_opened_at_once(open_page, marked: Path) -> None:
    page, _ = open_page("explore")
    page = screens.typed(page, "in-dataset", str(marked))
    assert page.selectbox(key="in-user").options == ["12 · 9 interactions"]


def test_another_link_to_the_same_name_asks_again_in_another_tab(open_page, marked: Path) -> None:
    page, _ = open_page("explore", dataset=str(marked))
    page.button(key="run").click().run()
    _, desk = open_page("explore", dataset=str(marked))
    assert desk.submissions == []


def test_a_full_queue_does_not_speak_of_consent(open_page, example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.errors import WorkerError

    def full(_: Any, task: object) -> str:
        raise WorkerError("50 jobs wait already; wait for one to end or cancel one")

    monkeypatch.setattr(example.FakeDesk, "submit", full)
    text = words(open_page("explore", user="7")[0])
    assert "50 jobs wait already" in text
    assert "when you agree" not in text
    assert "Not computed yet" in text
