"""A case file is chosen by its path, its cases by their ids; the page explains them, and its link names the content."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from logged_cases import TITLES, case_file, chat_case, text_case
from references import language_model
from streamlit.testing.v1 import AppTest

from app import cached
from core.analysis.explain.explain_run import explain
from core.analysis.explain.explain_task import Explain
from core.prompt.imported.imported_cases import open_cases

SCRIPT = str(Path(__file__).resolve().parents[2] / "streamlit_app.py")


@pytest.fixture
def desk(example: Any, stand_in: Any, tiny_llama: Any, tiny_tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The stand-in, which explains imported cases with the tiny model; they are previewed as they are."""
    model = language_model(copy.deepcopy(tiny_llama), tiny_tokenizer)
    reports: dict[str, Any] = {}

    class TinyDesk(example.FakeDesk):
        def job(self, key: str) -> Any:
            task = self.tasks.get(key)
            if not isinstance(task, Explain) or task.case.cases is None:
                return super().job(key)
            if key not in reports:
                *_, reports[key] = explain(task, dataset=open_cases(task.case.cases), model=model)
            return example.FakeJob(key, "done", task, reports[key], fraction=1.0, elapsed=1.0)

    preview, replacements = cached.preview, cached.replacements
    desk = TinyDesk()
    stand_in(desk, preview=lambda task: preview(task) if task.case.imported else example.preview(task))
    monkeypatch.setattr("app.cached.replacements", replacements)
    return desk


@pytest.fixture
def page(desk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """Explore with a case file chosen."""
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    titles = text_case("titles", options=TITLES, options_from="candidates", target="a")
    path = case_file(tmp_path, text_case("call 1"), chat_case("call 2"), titles)
    page = AppTest.from_file(SCRIPT, default_timeout=120).run()
    return typed(page, str(path))


def typed(page: AppTest, text: str) -> AppTest:
    """The page after a text that no option has was typed into the field of the case file."""
    states = page._tree.get_widget_states()
    field = next(widget for widget in states.widgets if widget.id == page.selectbox(key="in-cases").id)
    field.string_value = text
    return page._run(states)


def draft(page: AppTest) -> Any:
    return page.session_state["view"].current.draft


def words(page: AppTest) -> str:
    return re.sub("<[^>]+>", "", " ".join(str(element.proto.body) for element in page.get("html")))


def test_a_case_file_begins_with_its_first_case_under_the_name_of_its_content(page: AppTest, tmp_path: Path) -> None:
    assert not page.exception
    name = open_cases(str(tmp_path / "cases.jsonl")).dataset_id
    assert (draft(page).case.cases, draft(page).case.case) == (name, "call 1")
    assert page.selectbox(key="in-case").options == ["call 1", "call 2", "titles"]
    assert {"in-user", "in-strategy", "in-family", "in-wording"}.isdisjoint(box.key for box in page.selectbox)
    assert page.selectbox(key="in-target").options[1:] == ["No · no", "Yes · yes"]
    assert "(Yes)" not in words(page)  # A demonstration says its answer in its own text.


def test_running_it_shows_the_texts_of_its_demonstrations(page: AppTest, desk: Any) -> None:
    page.button(key="run").click().run()
    assert not page.exception
    assert desk.submissions[-1] == Explain(case=draft(page).case)
    assert "Case call 1 in calls.jsonl" in words(page)
    assert "asked for" not in words(page)
    assert page.query_params.get("case") == "call 1"
    assert "user" not in page.query_params
    page.selectbox(key="in-case").set_value("titles").run()
    page.button(key="run").click().run()
    assert not page.exception
    assert "Small Thunder" in words(page)


def test_a_link_opens_it_again_without_asking(page: AppTest, desk: Any) -> None:
    page.button(key="run").click().run()
    link = {name: page.query_params[name] for name in page.query_params}
    again = AppTest.from_file(SCRIPT, default_timeout=120)
    for name, value in link.items():
        again.query_params[name] = value
    again.run()
    assert not again.exception
    assert "Case call 1 in calls.jsonl" in words(again)


def test_what_is_no_case_file_is_said_and_nothing_changes(page: AppTest, tmp_path: Path) -> None:
    before = draft(page)
    (tmp_path / "x.csv").write_text("a,b\n")
    page = typed(page, str(tmp_path / "x.csv"))
    assert draft(page) == before
    assert "x.csv, line 1" in words(page)
    page.selectbox(key="in-cases").set_value("").run()
    assert draft(page) == Explain()


def test_a_path_in_a_link_is_not_looked_at(desk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "open_cases", lambda name: pytest.fail("the file was opened"))
    page = AppTest.from_file(SCRIPT, default_timeout=120)
    for name, value in {"v": "3", "cases": str(tmp_path / "own.jsonl"), "case": "1"}.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    assert "looked at only when you agree" in words(page)
