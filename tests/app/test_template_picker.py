"""The choice of a template: uploaded or stored, named by its hash in the link, shown with its prompt before Run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from film_case import NEXT, YES_NO
from streamlit.testing.v1 import AppTest

from app import links
from app.session import Selection
from core.analysis.explain.explain_task import Explain
from core.prompt.stored_templates import store_template
from core.question.case_spec import CaseSpec


@pytest.fixture(autouse=True)
def _home(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    opened = SimpleNamespace(noun="film", liked=lambda _: True)
    monkeypatch.setattr("app.cached.dataset", lambda _name: opened)


def texts(page: AppTest) -> str:
    return " ".join(element.proto.body for element in page.get("html"))


def uploaded(page: AppTest, content: bytes, name: str = "mine.txt") -> AppTest:
    page = page.selectbox(key="in-template").set_value("upload").run()
    return page.file_uploader(key="template-file").set_value((name, content, "text/plain")).run()


def test_an_upload_is_stored_chosen_and_named_by_its_hash_in_the_link(open_page: Any) -> None:
    page, desk = open_page("robustness")
    page = uploaded(page, YES_NO.encode(), "/secret/place/mine.txt")
    assert not page.exception
    content_hash = store_template(YES_NO.encode(), "x").content_hash
    box = page.selectbox(key="in-template")
    assert box.value == content_hash
    assert box.options == ["that of the wording", f"mine.txt · {content_hash[:4]}", "a file …"]
    assert page.selectbox(key="in-wording").disabled
    page = page.button(key="run").click().run()
    case = desk.submissions[-1].case
    assert (case.template, case.family) == (content_hash, "yes_no")
    assert page.query_params["template"] == content_hash
    assert "secret" not in str(dict(page.query_params))
    page = page.selectbox(key="in-template").set_value("").run().button(key="run").click().run()
    assert desk.submissions[-1].case.template is None
    assert "template" not in page.query_params


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (NEXT.replace("{noun}", "{user.__class__}").encode(), "mine.txt, line 2: placeholder {user.__class__}"),
        (NEXT.replace("{noun}", "{noun").encode(), "mine.txt, line 2: an unpaired { in [instruction]"),
        (NEXT.encode("utf-16"), "mine.txt, line 1: the byte 0xFF, which is not UTF-8"),
        (b"x" * 10**6, "mine.txt: more than 80000 bytes; expected at most 20000 characters"),
    ],
)
def test_a_file_that_is_no_template_is_refused_with_its_line(open_page: Any, content: bytes, words: str) -> None:
    page, _ = open_page("robustness")
    page = uploaded(page, content)
    assert not page.exception
    assert words in texts(page)
    assert page.selectbox(key="in-template").value == "upload"
    page = uploaded(page, NEXT.encode())
    assert words not in texts(page)
    assert page.selectbox(key="in-template").value == store_template(NEXT.encode(), "x").content_hash


def test_the_template_and_its_prompt_are_shown_before_run(open_page: Any) -> None:
    stored = store_template(NEXT.encode(), "<b>mine.txt")
    page, desk = open_page("robustness", template=stored.content_hash)
    before = len(desk.submissions)
    page = page.button(key="show-template").click().run()
    assert not page.exception
    said = texts(page)
    assert '<mark class="dl-field">{history}</mark>, then <mark class="dl-field">{item}</mark>' in said
    assert 'Pick a <mark class="dl-field">film</mark>.' in said
    assert "&lt;b&gt;mine" in said
    assert "<b>mine" not in said
    assert len(desk.submissions) == before


def test_the_template_of_a_wording_is_shown_too(open_page: Any) -> None:
    page, _ = open_page("robustness", wording="implicit")
    page = page.button(key="show-template").click().run()
    assert "The user interacted with: <mark" in texts(page)


def test_a_link_to_a_template_that_is_not_here_cannot_be_run_and_says_why(
    open_page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app import cached

    assert "not stored on this machine" in str(cached.preview(Explain(case=CaseSpec(template="0" * 16))))
    page, _ = open_page("robustness", template="0" * 16)
    assert not page.exception
    assert page.selectbox(key="in-template").options[0] == f"{'0' * 16} (not stored here)"


def test_a_link_names_no_path() -> None:
    query = {"v": ["3"], "template": ["/etc/passwd"]}
    task, _, notice = links.read(query, Explain, Selection)
    assert task.case.template is None
    assert "template" in notice
