"""Each page opens on its packaged example with an empty home, and on the way to another page no work starts."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import cached
from app.session import first_task
from app.widgets.next_steps import PAGES, STEPS
from core.question.case_spec import CaseSpec
from core.question.kinds import KINDS, kind_of
from core.question.task import TargetTask
from core.store.material import MOVIELENS, extracted
from core.work.desk import Desk
from core.work.packaged import EXAMPLES, Examples

ROOT = Path(__file__).resolve().parents[2]


def words(page: AppTest) -> str:
    assert not page.exception, page.exception
    text = re.sub(r"<[^>]+>", " ", " ".join(element.proto.body for element in page.get("html")))
    return " ".join(text.split())


def opened_at(kind: str, desk: Any = None, **query: str) -> AppTest:
    """A tab that is opened on the page of a kind; what the desk was asked before that is forgotten."""
    page = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=120).run()  # It learns the pages so.
    page.query_params.clear()
    del page.session_state["view"]
    if desk is not None:
        desk.submissions.clear()
    page = page.switch_page(PAGES[kind])
    for name, value in query.items():
        page.query_params[name] = value
    return page.run()


def go(page: AppTest, kind: str) -> AppTest:
    """Over the navigation, which empties the address in a browser."""
    page = page.switch_page(PAGES[kind])
    page.query_params.clear()
    return page.run()


@pytest.fixture
def desk(example: Any, stand_in: Any) -> Any:
    desk = example.FakeDesk()
    stand_in(desk)
    return desk


def test_every_page_has_an_example_and_next_steps() -> None:
    assert set(EXAMPLES) == set(PAGES) == set(STEPS)
    assert all((ROOT / script).is_file() for script in PAGES.values())


@pytest.mark.parametrize("kind", EXAMPLES)
def test_the_example_is_what_an_empty_link_asks(kind: str) -> None:
    assert first_task(KINDS[kind].task, TargetTask()) == KINDS[kind].task()


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the sample data and nothing else: no model, no result."""
    data = extracted(MOVIELENS)
    home = tmp_path / "home"
    shutil.copytree(data, home / "material" / data.name)
    monkeypatch.setenv("DEMOLENS_HOME", str(home))
    return home


@pytest.mark.sample
@pytest.mark.slow
def test_every_page_opens_on_its_example_without_a_model(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> Any:
        raise OSError("no worker in this test")

    desk = Desk(start=refuse, examples=Examples())
    monkeypatch.setattr(cached, "desk", lambda: desk)
    for kind in EXAMPLES:
        page = opened_at(kind)
        text = words(page)
        assert "with the package, not on this machine" in text
        assert f"User {CaseSpec().user}" in text
        assert "What you see came with the package. Run computes it on this machine." in text
        assert not page.button(key="run").disabled
    assert [(job.state, kind_of(job.task).name) for job in desk.jobs()] == [("done", kind) for kind in EXAMPLES]
    assert desk.worker_pid is None
    assert not (empty_home / "models").exists()
    assert not (empty_home / "results").exists()
    desk.close()


@pytest.mark.parametrize("kind", PAGES)
def test_a_link_to_one_page_starts_no_work_on_the_others(desk: Any, kind: str) -> None:
    page = opened_at(kind, desk, v="3", user="7", alpha="0.25")
    expected = [task.model_dump() for task in desk.submissions]
    assert [kind_of(task).name for task in desk.submissions] == (["explain", "robustness"] if kind == "explain" else [])
    others = [other for other in PAGES if other != kind]
    for other in [*others, kind, *others]:
        page = go(page, other)
        assert page.selectbox(key="in-user").value == "7"
    assert [task.model_dump() for task in desk.submissions] == expected


@pytest.mark.parametrize("kind", PAGES)
def test_nor_does_a_link_that_a_tab_comes_to_over_another_page(desk: Any, kind: str) -> None:
    page = opened_at("dual" if kind != "dual" else "improve", desk)
    page.query_params.clear()
    page = page.switch_page(PAGES[kind])
    page.query_params.update({"v": "3", "user": "7", "alpha": "0.25"})
    page = page.run()
    assert desk.submissions == []
    assert page.selectbox(key="in-user").value == "7"
    page = page.button(key="run").click().run()
    assert desk.submissions[0] == page.session_state["view"].current.task
    assert desk.submissions[0].case.user == "7"


@pytest.mark.parametrize("kind", PAGES)
def test_a_next_step_opens_its_page_with_the_same_case_and_runs_nothing_unless_it_says_so(
    desk: Any, example: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    for name, report in example.reports().items():
        monkeypatch.setitem(example.reports(), name, report.model_copy(update={"stage": "complete"}))
    page = opened_at(kind, desk, v="3", user="7")
    if kind != "explain":
        page = page.button(key="run").click().run()
    desk.seconds = 0.0
    page = page.run()
    submitted, case = len(desk.submissions), desk.submissions[0].case
    shown = [button.label for button in page.button if (button.key or "").startswith("next-")]
    assert shown == [step.label for step in STEPS[kind]]
    for place, step in enumerate(STEPS[kind]):
        other = page.button(key=f"next-{place}").click().run()
        view = other.session_state["view"]
        assert view.page == step.kind
        asked = view.current.draft.case
        assert asked.user == "7"
        assert (asked.demo_ids is not None) == ("set" in step.label and "Find" not in step.label)
        assert (asked == case) == (asked.demo_ids is None)
        assert len(desk.submissions) == submitted + step.runs
        submitted = len(desk.submissions)
        page = go(other, kind)
