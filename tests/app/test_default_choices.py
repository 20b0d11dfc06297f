"""Who picks other data, another model or adapter gets the demonstrations that are kept for them, and reads why."""

from __future__ import annotations

import html
import re
from pathlib import Path

import choices
import pytest
import screens
from streamlit.testing.v1 import AppTest

from app import cached
from app.pages.explore.choice_section import TITLE
from core.question.case_spec import CaseSpec
from core.question.command_line import CHOSEN_BY_DATA

SCRIPT = str(Path(__file__).resolve().parents[2] / "streamlit_app.py")
KEPT = {
    ("/data/films", "sample", None): choices.choice(most=16, strategy="neighbours"),
    ("/data/books", "sample", None): choices.choice(most=1),
    ("/data/films", "/model", None): choices.choice(most=8),
}


@pytest.fixture
def kept(monkeypatch):
    """The choices that are kept, by data, model and adapter."""
    monkeypatch.setattr(cached, "choice_for", lambda case: KEPT.get((case.dataset, case.model, case.adapter)))


@pytest.fixture
def open_page(monkeypatch, example, kept, stand_in, opened):
    def start(**query: str) -> AppTest:
        desk = example.FakeDesk()
        stand_in(desk)
        monkeypatch.setattr(cached, "first_user", lambda name, split: "7")
        monkeypatch.setattr(cached, "material_fault", lambda case: "")
        page = AppTest.from_file(SCRIPT, default_timeout=60)
        opened(page, query)
        return page.run()

    return start


def words(page: AppTest) -> str:
    """All HTML text of the page, tags and entities taken out."""
    assert not page.exception, page.exception
    text = " ".join(html.unescape(re.sub("<[^>]+>", " ", each.proto.body)) for each in page.get("html"))
    return re.sub(r"\s+", " ", text)


def typed(page: AppTest, field: str, text: str) -> CaseSpec:
    key = f"in-{field}"
    if field == "dataset":
        screens.typed(page, key, text)
    else:
        page.text_input(key=key).set_value(text).run()
    case: CaseSpec = page.session_state["view"].current.draft.case
    return case


def chosen(case: object) -> dict[str, object]:
    return {name: getattr(case, name) for name in CHOSEN_BY_DATA}


def test_typed_data_bring_their_choice_and_the_general_default_comes_back(open_page):
    page = open_page()
    assert chosen(typed(page, "dataset", "/data/films")) == chosen(KEPT["/data/films", "sample", None])
    assert "Chosen on validation lists of this data set: 16 demonstrations" in words(page)
    assert typed(page, "dataset", "/data/books").demos == 0
    assert "On these data no demonstrations help: none are worth their tokens" in words(page)
    assert chosen(typed(page, "dataset", "/data/others")) == chosen(CaseSpec())
    assert "the general default holds. demolens choose --dataset /data/others" in words(page)


def test_a_typed_model_brings_its_own_choice(open_page):
    page = open_page()
    typed(page, "dataset", "/data/films")
    assert typed(page, "model", "/model").demos == 8


def test_what_a_person_set_stays(open_page):
    page = open_page()
    page.number_input(key="in-demos").set_value(3).run()
    page.selectbox(key="in-strategy").set_value("random").run()
    case = typed(page, "dataset", "/data/books")
    assert (case.demos, case.strategy, case.family) == (3, "random", KEPT["/data/books", "sample", None].family)


def test_a_link_is_whole_and_nothing_is_filled_into_it(open_page):
    page = open_page(dataset="/data/books", user="7", demos="5")
    assert chosen(page.session_state["view"].current.draft.case) == chosen(CaseSpec(demos=5))
    assert "Chosen on validation lists" not in words(page)


def test_the_page_with_its_own_usual_case_keeps_it(open_page):
    page = open_page().switch_page("app/pages/personalise/page.py")
    page.query_params.clear()
    page.run()
    before = page.session_state["view"].current.draft.case
    case = typed(page, "dataset", "/data/books")
    assert (case.demos, case.family, case.strategy) == (before.demos, before.family, before.strategy)


@pytest.mark.parametrize("choice", [choices.choice(), choices.choice(most=1)])
def test_the_tab_of_the_choice_holds_its_figure_and_its_command(open_page, monkeypatch, choice):
    monkeypatch.setattr(cached, "choice_of", lambda dataset_id, case: choice)
    page = open_page(view="choice")
    (chart,) = page.get("plotly_chart")
    assert chart.proto.alt.startswith("NDCG@10 on 200 validation lists.")
    assert TITLE in words(page)
    assert choice.sentence in words(page)
    assert "demolens choose --dataset /data/films" in words(page)
    assert choice.sentence not in words(open_page())


def test_without_a_choice_the_tab_names_the_command(open_page, monkeypatch):
    monkeypatch.setattr(cached, "choice_of", lambda dataset_id, case: None)
    page = open_page(view="choice")
    assert not page.get("plotly_chart")
    assert "the general default holds. demolens choose" in words(page)
