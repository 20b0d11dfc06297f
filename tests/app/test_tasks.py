"""A task and its link are the same thing, and no link can break a page."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from app import links, tasks
from core.analysis.quality.quality_task import QualityTask
from core.question.case_spec import CaseSpec
from core.analysis.robustness.kinds import KINDS
from core.analysis.robustness.robustness_task import RobustnessTask
from core.personal.personalise_task import PersonaliseTask
from core.selection.improve_task import ImproveTask


def test_defaults_have_an_empty_link() -> None:
    assert tasks.written(RobustnessTask()) == {}
    assert tasks.read({}, RobustnessTask) == (RobustnessTask(), "")


def test_own_options_stand_beside_those_of_the_case() -> None:
    task = RobustnessTask(case=Request(user="7", demos=4), kinds=("typos", "inject"), repeats=5, alpha=0.25, quick=True)
    assert tasks.written(task) == {
        "user": ["7"],
        "demos": ["4"],
        "kinds": ["typos", "inject"],
        "repeats": ["5"],
        "alpha": ["0.25"],
        "quick": ["yes"],
    }


@given(
    user=some.text(min_size=1, max_size=20),
    kinds=some.lists(some.sampled_from(KINDS), min_size=1, max_size=5, unique=True),
    strengths=some.lists(some.floats(0.001, 1), min_size=1, max_size=6),
    repeats=some.integers(1, 32),
    alpha=some.floats(0, 0.99),
)
def test_a_link_rebuilds_its_task(
    user: str, kinds: list[str], strengths: list[float], repeats: int, alpha: float
) -> None:
    task = RobustnessTask(
        case=Request(user=user), kinds=tuple(kinds), strengths=tuple(strengths), repeats=repeats, alpha=alpha
    )
    assert tasks.read(tasks.written(task), RobustnessTask) == (task, "")


def test_a_tuple_that_may_be_missing_is_rebuilt() -> None:
    task = ImproveTask(start=("12:3", "12:4:no"), budget=30, recents=False)
    assert tasks.read(tasks.written(task), ImproveTask) == (task, "")


@given(demos=some.integers(0, 8), history=some.integers(0, 8), adapter=some.sampled_from([None, "recicl", "./mine"]))
def test_what_a_page_chooses_for_itself_stands_in_every_link(demos: int, history: int, adapter: str | None) -> None:
    task = PersonaliseTask(case=Request(demos=demos, history=history, adapter=adapter))
    assert {"demos", "history", "adapter"} <= set(tasks.written(task))
    assert tasks.read(tasks.written(task), PersonaliseTask) == (task, "")


def test_wrong_parts_are_named_and_the_rest_is_kept() -> None:
    link = {"repeats": ["0"], "kinds": ["typos", "earthquake"], "alpha": ["0.5"], "user": ["9"]}
    task, notice = tasks.read(link, RobustnessTask)
    assert task == RobustnessTask(case=Request(user="9"), alpha=0.5)
    assert "repeats" in notice
    assert "kinds" in notice
    assert "alpha" not in notice


@given(
    some.dictionaries(
        some.sampled_from([*tasks.options_of(ImproveTask), "user", "demos", "other"]),
        some.lists(some.text(max_size=600), max_size=40),
        max_size=6,
    )
)
def test_any_link_gives_a_task(link: dict[str, list[str]]) -> None:
    task, notice = tasks.read(link, ImproveTask)
    assert isinstance(task, ImproveTask)
    assert len(notice) < 400


def test_an_overlong_value_is_refused() -> None:
    task, notice = tasks.read({"start": ["x" * (links.LONGEST + 1)]}, ImproveTask)
    assert task == ImproveTask()
    assert "start" in notice


def test_another_case_keeps_the_question() -> None:
    asked = QualityTask(stability=3)
    assert tasks.with_case(asked, Request(user="4")) == QualityTask(case=Request(user="4"), stability=3)
