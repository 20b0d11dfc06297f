"""The panel beside the model picker: asks when it is opened, loads when it is told to, says why a model is refused."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

PAGES = ("explore", "robustness", "improve", "theory", "personalise")
KEY = "model-panel"


def texts(page: AppTest) -> str:
    return " ".join(element.proto.body for element in page.get("html"))


def opened_panel(page: AppTest) -> AppTest:
    page.session_state[KEY] = True
    return page.run()


@pytest.fixture
def asked(example: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Model and `load` of every question to the desk."""
    questions: list[tuple[str, bool]] = []
    examine = example.FakeDesk.examine

    def counted(desk: Any, case: Any, **how: bool) -> Any:
        questions.append((case.model, how.get("load", False)))
        return examine(desk, case, **how)

    monkeypatch.setattr(example.FakeDesk, "examine", counted)
    return questions


@pytest.mark.parametrize("name", PAGES)
def test_every_page_that_picks_a_model_has_it_and_asks_nothing_unasked(open_page: Any, asked: Any, name: str) -> None:
    page, desk = open_page(name)
    assert not page.exception
    assert asked == []
    page = opened_panel(page)
    assert not page.exception
    assert ("sample", False) in asked
    assert ("sample", True) not in asked
    assert "9 in each layer, and 3 of keys and values" in texts(page)
    assert "about 0.6 GB needed, 21.5 GB free" in texts(page)
    assert desk.loads == {}


def test_a_press_loads_and_the_self_check_is_said(open_page: Any, asked: Any) -> None:
    page, desk = open_page("theory")
    page, before = opened_panel(page), len(desk.submissions)
    assert "Two packed branches" not in texts(page)
    page = page.button(key="load-model").click().run()
    assert asked.count(("sample", True)) == 1
    for words in ("Two packed branches", "A remembered prefix", "Prompts for an answer", "Prompts for a title"):
        assert words in texts(page)
    assert "Loaded on this machine and checked against plain passes." in texts(page)
    assert "load-model" not in {button.key for button in page.button}
    assert len(desk.submissions) == before


def test_a_load_in_progress_is_said_and_can_be_cancelled(open_page: Any) -> None:
    page, desk = open_page("theory")
    desk.seconds = 60.0
    page = opened_panel(page)
    page = page.button(key="load-model").click().run()
    assert "Loading and checking the model …" in texts(page)
    page = page.button(key="cancel-model").click().run()
    assert "Cancelled before the model was loaded." in texts(page)
    assert page.button(key="load-model").label == "Load and check"


def test_a_refusal_is_one_sentence_before_run(open_page: Any) -> None:
    page, _ = open_page("theory")
    page = page.text_input(key="in-model").set_value("refused").run()
    page = opened_panel(page)
    assert "This model cannot be used" in texts(page)
    assert "refused: no config.json" in texts(page)
    assert page.button(key="load-model").label == "Look again"


def test_a_model_that_a_link_names_is_not_looked_at_before_a_person_agrees(open_page: Any, asked: Any) -> None:
    page, _ = open_page("theory", model="/somewhere/else")
    page = opened_panel(page)
    assert asked == []
    assert "looked at only when you agree" in texts(page)
    assert "load-model" not in {button.key for button in page.button}
