"""Which adapter: none, the shipped one where it can be used, or a folder that is typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import links
from core.lm.loading import adapter
from core.question.case_spec import CaseSpec

SCRIPT = str(Path(__file__).resolve().parents[2] / "streamlit_app.py")
KIND, TYPED = "in-adapter-kind", "in-adapter"


@pytest.fixture
def shipped(monkeypatch, tmp_path):
    (tmp_path / "recicl").mkdir()
    (tmp_path / "recicl" / adapter.WEIGHTS).write_bytes(b"")
    monkeypatch.setattr(adapter, "ADAPTERS", tmp_path)


@pytest.fixture
def desk(example):
    return example.FakeDesk()


@pytest.fixture
def open_page(monkeypatch, desk, example, stand_in):
    def start(**query: str) -> AppTest:
        stand_in(desk, users=[("7", 40)])
        page = AppTest.from_file(SCRIPT, default_timeout=60)
        for name, value in query.items():
            page.query_params[name] = value
        return page.run()

    return start


def link(page: AppTest) -> list[str]:
    value = page.query_params.get("adapter", [])
    return value if isinstance(value, list) else [value]


def fields(page: AppTest) -> list[str]:
    assert not page.exception, page.exception
    return [field.key for field in page.text_input]


def test_the_shipped_adapter_is_picked_run_and_linked(shipped, open_page, desk):
    page = open_page()
    assert page.selectbox(key=KIND).options == ["none", "RecICL (shipped)", "a folder …"]
    assert page.selectbox(key=KIND).value == ""
    assert TYPED not in fields(page)
    page.selectbox(key=KIND).set_value("recicl").run()
    page.button(key="run").click().run()
    assert len(desk.submissions) == 2
    assert link(page) == ["recicl"]
    page.selectbox(key=KIND).set_value("").run()
    page.button(key="run").click().run()
    assert link(page) == []


def test_every_shipped_adapter_that_lies_here_is_offered(shipped, open_page, tmp_path):
    (tmp_path / "tallrec").mkdir()
    (tmp_path / "tallrec" / adapter.WEIGHTS).write_bytes(b"")
    offered = open_page().selectbox(key=KIND).options
    assert offered == ["none", "RecICL (shipped)", "TALLRec-style (shipped)", "a folder …"]


def test_a_link_to_the_shipped_adapter_runs_by_itself(shipped, open_page, desk):
    page = open_page(adapter="recicl")
    assert len(desk.submissions) == 1
    assert page.selectbox(key=KIND).value == "recicl"
    assert link(page) == ["recicl"]


def test_a_folder_is_typed_and_its_link_asks_first(shipped, open_page, desk, tmp_path):
    mine = str(tmp_path)
    page = open_page()
    page.selectbox(key=KIND).set_value("folder").run()
    assert TYPED in fields(page)
    assert page.selectbox(key=KIND).value == "folder"
    page.text_input(key=TYPED).set_value(mine).run()
    page.button(key="run").click().run()
    assert link(page) == [mine]
    before = len(desk.submissions)
    page = open_page(adapter=mine)
    assert len(desk.submissions) == before
    assert (page.selectbox(key=KIND).value, page.text_input(key=TYPED).value) == ("folder", mine)


def test_only_the_sample_model_is_offered_the_shipped_adapter(shipped, open_page):
    assert open_page(model="/tmp/model").selectbox(key=KIND).options == ["none", "a folder …"]


def test_an_adapter_that_is_not_in_the_checkout_is_not_offered(open_page, monkeypatch, tmp_path):
    monkeypatch.setattr(adapter, "ADAPTERS", tmp_path / "none")
    assert open_page().selectbox(key=KIND).options == ["none", "a folder …"]
    assert open_page(adapter="recicl").selectbox(key=KIND).value == "recicl"


def test_what_is_shipped_needs_no_consent_with_the_sample_alone():
    assert not links.foreign(CaseSpec(adapter="recicl"))
    assert not links.foreign(CaseSpec(adapter="tallrec"))
    assert links.foreign(CaseSpec(adapter="recicl", model="org/model"))
    assert links.foreign(CaseSpec(adapter="./recicl"))
