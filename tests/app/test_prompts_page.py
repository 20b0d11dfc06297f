"""The page Prompts: files come in, cuts are shown and corrected, and Explain asks for nothing more."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logged_cases import TITLES, case, case_file, part, text_case
from streamlit.testing.v1 import AppTest

from app.pages.prompts import prompts_view
from app.pages.prompts.cut_editor.messages import correction_of
from app.pages.prompts.part_kinds import PART_ROWS, drawn_parts
from app.theme import DARK, LIGHT, contrast
from core.analysis.explain.explain_task import Explain
from core.prompt.imported import stored_cases
from core.prompt.imported.imported_cases import open_cases, taken_in

SCRIPT = str(Path(__file__).resolve().parents[2] / "streamlit_app.py")
PAGE = "app/pages/prompts/page.py"
HOSTILE = '<img src=x onerror=alert(1)> **b** \u202egnp "A", "B"'


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DEMOLENS_DATA_FOLDERS", raising=False)
    return tmp_path / "home"


@pytest.fixture
def desk(example: Any, stand_in: Any) -> Any:
    desk = example.FakeDesk()
    stand_in(desk)
    return desk


@pytest.fixture
def visit(desk: Any):
    """Open the page: `visit(cases="…")`, with the parameters of a link."""

    def start(**query: str) -> AppTest:
        page = AppTest.from_file(SCRIPT, default_timeout=120).run()
        desk.submissions.clear()
        page.query_params.clear()
        for name, value in query.items():
            page.query_params[name] = value
        return page.switch_page(PAGE).run()

    return start


@pytest.fixture
def name(tmp_path: Path) -> str:
    """A stored case file."""
    titles = text_case("titles", options=TITLES, options_from="candidates", target="a")
    return taken_in(str(case_file(tmp_path, text_case("call 1"), titles)))


def words(page: AppTest) -> str:
    assert not page.exception, page.exception
    return re.sub("<[^>]+>", "", " ".join(str(element.proto.body) for element in page.get("html")))


def drawn(page: AppTest) -> dict[str, Any]:
    """What the browser is given of the parts."""
    assert not page.exception, page.exception
    (box,) = page.get("bidi_component")
    data: dict[str, Any] = json.loads(box.proto.json)
    return data


def sent(page: AppTest, tell: Any, **correction: object) -> AppTest:
    usual = {"revision": drawn(page)["revision"], "place": 0, "kind": None, "at": None}
    after: AppTest = tell(page, "correct", usual | correction)
    return after


def labels(page: AppTest) -> list[str]:
    return [row["label"] for row in drawn(page)["parts"]]


def test_a_first_visit_says_what_to_drop(visit: Any) -> None:
    page = visit()
    assert "Drop the log of its calls" in words(page)
    assert "DemoLens reads chat lines" in words(page)
    assert not page.selectbox
    assert not page.text_input


def test_a_dropped_file_is_imported_and_its_first_case_is_shown(visit: Any, home: Path) -> None:
    shot = '{"messages": [{"role": "user", "content": "Next: Tin Harbour?"}, {"role": "assistant", "content": "%s"}]}'
    lines = [shot % "Yes", "{", (shot % "No").replace("Tin Harbour", "<b>x</b>")]
    page = visit()
    page.file_uploader[0].set_value(("../<i>log.jsonl", "\n".join(lines).encode(), "text/plain")).run()
    text = words(page)
    assert "2 prompts of &lt;i&gt;log.jsonl are ready to explain." in text
    assert "Read as OpenAI chat lines (fine-tuning). 3 calls: 2 imported, 1 refused." in text
    assert "not JSON" in text
    assert page.selectbox(key="in-prompts-format").options[0] == "recognised: OpenAI chat lines (fine-tuning)"
    (stored,) = stored_cases.stored_files()
    assert page.query_params["cases"] == stored.name
    assert list(page.dataframe[0].value.iloc[0]) == ["<i>log.jsonl:1", "known", 0, 0, 2]
    page.selectbox(key="in-prompts-options").set_value("candidates").run()
    assert "Not imported" in words(page)
    assert "no candidate list" in words(page)
    page.selectbox(key="in-prompts-options").set_value("titles").run()
    page.text_area(key="in-prompts-titles").set_value("one").run()
    assert "--titles" not in words(page)


def test_a_link_opens_the_case_that_it_names(visit: Any, name: str) -> None:
    page = visit(cases=name, case="titles")
    assert "Case titles" in words(page)
    assert page.selectbox(key="in-prompts-case").value == "titles"
    assert "Small Thunder the true answer" in words(page)
    page.selectbox(key="in-prompts-case").set_value("call 1").run()
    assert page.query_params["case"] == "call 1"
    assert "Case call 1" in words(page)


@pytest.mark.parametrize("value", ["/etc/passwd", "../x", "0" * 16, "~", ""])
def test_a_link_cannot_name_a_path(visit: Any, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setattr(prompts_view, "open_cases", lambda _: pytest.fail("a file was opened"))
    page = visit(cases=value, case="1")
    assert ("is stored here" in words(page)) == bool(value)
    assert "cases" not in page.query_params


def test_a_wrong_cut_is_mended_and_undone(visit: Any, name: str, tell: Any) -> None:
    page = visit(cases=name)
    assert labels(page)[:4] == ["Pinned text", "Demonstration 1", "Pinned text", "Demonstration 2"]
    page = sent(page, tell, action="split", place=1, at=11)
    assert labels(page)[1:3] == ["Demonstration 1", "Demonstration 1, continued"]
    assert (drawn(page)["active"], drawn(page)["revision"], drawn(page)["undo"]) == (2, 1, True)
    page = sent(page, tell, action="kind", place=1, kind="pinned")
    page = sent(page, tell, action="join", place=0)
    assert labels(page)[:3] == ["Pinned text", "Demonstration 1", "Pinned text"]
    page = sent(page, tell, action="kind", place=2, kind="history", revision=1)  # Of an earlier state.
    assert labels(page)[:3] == ["Pinned text", "Demonstration 1", "Pinned text"]
    for _ in range(3):
        page = sent(page, tell, action="undo")
    assert drawn(page)["parts"] == drawn_parts(open_cases(name).logged("call 1"))
    assert page.button(key="prompts-save").disabled


def test_corrections_are_stored_beside_what_was_imported(visit: Any, name: str, tell: Any) -> None:
    page = sent(visit(cases=name), tell, action="kind", place=1, kind="pinned")
    page.button(key="prompts-save").click().run()
    other = page.query_params["cases"]
    assert other != name
    assert (open_cases(other).logged("call 1").demo_count, open_cases(name).logged("call 1").demo_count) == (2, 3)
    assert "1 case corrected by hand" in words(page)


def test_options_of_a_case_are_changed(visit: Any, name: str) -> None:
    page = visit(cases=name)
    page.text_input(key="in-case-labels").set_value("ja, nein").run()
    assert "ja" in words(page)
    page.selectbox(key="in-case-target").set_value("2").run()
    assert "nein the true answer" in words(page)
    page.selectbox(key="in-case-options").set_value("candidates").run()
    assert "no candidate list in the question" in words(page)
    assert page.selectbox(key="in-case-options").value == "labels"


def test_explain_runs_the_case_with_nothing_else_to_choose(visit: Any, name: str, tell: Any, desk: Any) -> None:
    page = sent(visit(cases=name), tell, action="kind", place=1, kind="pinned")
    page.button(key="prompts-explain").click().run()
    assert not page.exception
    (task,) = desk.submissions
    assert isinstance(task, Explain)
    assert (task.case.case, task.target) == ("call 1", None)
    assert open_cases(str(task.case.cases)).logged("call 1").demo_count == 2


def test_a_hostile_prompt_is_drawn_as_text(visit: Any, tmp_path: Path) -> None:
    bad = case(f"c {HOSTILE}", [part("query", HOSTILE)], options=(("a", HOSTILE), ("b", "<b>")), target="a")
    page = visit(cases=taken_in(str(case_file(tmp_path, bad))))
    assert drawn(page)["parts"][0]["text"] == HOSTILE
    assert "true answer is given away" in words(page)
    bodies = " ".join(str(element.proto.body) for element in page.main.get("html"))
    assert not re.search(r"<img|<b>|\u202e", bodies)


def test_a_path_is_read_only_below_the_folders_of_the_owner(
    visit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "logs").mkdir()
    case_file(tmp_path / "logs", text_case("inside"))
    case_file(tmp_path, text_case("outside"))
    monkeypatch.setenv("DEMOLENS_DATA_FOLDERS", str(tmp_path / "logs"))
    page = visit()
    page.text_input(key="in-prompts-path").set_value(str(tmp_path / "logs" / ".." / "cases.jsonl")).run()
    assert "may not be read" in words(page)
    page.text_input(key="in-prompts-path").set_value(str(tmp_path / "logs" / "cases.jsonl")).run()
    assert "Case inside" in words(page)


def test_a_stored_file_is_chosen_and_removed(visit: Any, name: str) -> None:
    page = visit()
    page.selectbox(key="in-stored-cases").set_value(name).run()
    assert "Case call 1" in words(page)
    page.button(key="prompts-remove").click().run()
    assert stored_cases.stored_named(name) is None
    assert "Drop the log of its calls" in words(page)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@given(message=JSON, extra=JSON)
@settings(max_examples=60)
def test_what_is_no_correction_is_passed_over(message: object, extra: object) -> None:
    assert correction_of(message) is None
    whole = {"revision": 0, "action": "split", "place": 1, "kind": None, "at": 2}
    assert correction_of(whole) is not None
    assert correction_of(whole | {"more": extra}) is None
    assert correction_of(whole | {"place": -1}) is None
    assert correction_of(whole | {"revision": True}) is None


def test_marks_of_parts_are_seen_in_both_themes_and_kinds_differ_in_key() -> None:
    for row in PART_ROWS:
        assert contrast(row.light, LIGHT.paper) >= 3
        assert contrast(row.dark, DARK.paper) >= 3
    assert len({row.letter for row in PART_ROWS} | {"J", "B", "Z"}) == len(PART_ROWS) + 3
