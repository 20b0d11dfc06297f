"""A task and its link are the same thing for every kind, and no link can break a page."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import BaseModel, ValidationError
from questions import tasks

from app import links
from app.pages.explore.selection import ExploreSelection
from app.pages.personalise.played import PlaySelection
from app.session import Selection
from core.analysis.explain.explain_task import Explain
from core.analysis.quality.utility_task import UtilityTask
from core.analysis.robustness.inference_settings import InferenceSettings
from core.analysis.robustness.robustness_task import RobustnessTask
from core.personal.personalise_task import PersonaliseTask
from core.question.case_spec import OF_LOGGED_CASES, CaseSpec
from core.question.command_line import own_fields, task_of
from core.question.kinds import KINDS
from core.question.task import Task
from core.selection.improve_task import ImproveTask

SELECTIONS: dict[str, type[Selection]] = {"explain": ExploreSelection, "personalise": PlaySelection}
NAMES = some.text(some.characters(codec="utf-8"), min_size=1, max_size=40)
TEXTS = some.one_of(
    some.sampled_from(
        ["yes", "no", "none", "manual", "recent", "time", "nan", "sample", "1:2", "50:yes", "٤", "", "2"]
    ),
    some.just("2") | some.integers(-3, 40).map(str),
    some.floats(0, 1).map(str),
    some.text(max_size=600),
)


def parameters(kind: str) -> list[str]:
    """Every parameter that a link of this kind may hold, and one that no link holds."""
    task, selection = KINDS[kind].task, SELECTIONS.get(kind, Selection)
    names = [*CaseSpec.model_fields, *own_fields(task), *selection.model_fields]
    return [*map(links.parameter, names), *links.PASSED_OVER, links.VERSION, "nonsense"]


QUERIES = {
    kind: some.dictionaries(some.sampled_from(parameters(kind)), some.lists(TEXTS, max_size=4), max_size=12)
    for kind in KINDS
}
"""Kind -> links that somebody may have written."""
NEWER = (links.VERSION, *OF_LOGGED_CASES)
"""Parameters that the first links had none of."""


def read(query: Any, kind: str) -> tuple[Task, BaseModel, str]:
    return links.read(query, KINDS[kind].task, SELECTIONS.get(kind, Selection))


@pytest.mark.parametrize("kind", KINDS)
@given(data=some.data())
def test_a_link_gives_a_task_whose_link_gives_it_again(kind: str, data: some.DataObject) -> None:
    task, selection, notice = read(data.draw(QUERIES[kind]), kind)
    assert len(notice) < 400
    link = links.written(task, selection)
    assert read(link, kind) == (task, selection, "")
    assert links.written(*read(link, kind)[:2]) == link


@pytest.mark.parametrize("kind", KINDS)
@given(data=some.data())
def test_a_task_becomes_a_link_that_gives_it_again(kind: str, data: some.DataObject) -> None:
    task = data.draw(tasks(KINDS[kind].task))
    assert read(links.written(task), kind) == (task, SELECTIONS.get(kind, Selection)(), "")


@given(demo=some.none() | some.integers(1, 32), item=some.none() | NAMES, alpha=some.floats(0, 0.99))
def test_a_link_gives_the_same_selection_again(demo: int | None, item: str | None, alpha: float) -> None:
    selection = ExploreSelection(demo=demo, item=item, alpha=alpha, samples=3)
    task = Explain(case=CaseSpec(user="7"))
    assert read(links.written(task, selection), "explain") == (task, selection, "")


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_vanish_but_for_those_of_the_page_alone(kind: str) -> None:
    task = KINDS[kind].task()
    alone = {links.parameter(name): links._texts(getattr(task.case, name)) for name in links.page_fields(type(task))}
    assert links.written(task) == {"v": ["3"], "user": ["135"], **alone}
    assert bool(alone) == (kind == "personalise")
    assert read({"v": ["3"]}, kind)[::2] == read({}, kind)[::2] == (task, "")


def test_links_are_short() -> None:
    task = RobustnessTask(case=CaseSpec(user="7", demos=4, demo_ids=()), kinds=("typos", "inject"), alpha=0.25)
    assert links.written(task) == {
        "v": ["3"],
        "user": ["7"],
        "demos": ["4"],
        "with": [""],
        "kinds": ["typos", "inject"],
        "alpha": ["0.25"],
    }
    selection = ExploreSelection(demo=3, item="50", beta=1.0)
    assert links.written(Explain(), selection) == {
        "v": ["3"],
        "user": ["135"],
        "demo": ["3"],
        "item": ["50"],
        "beta": ["1"],
    }


OLD = {
    "user": ["7"],
    "with": ["7:3", "7:4:no"],
    "strategy": ["manual"],
    "among": ["50", "56"],
    "method": ["path"],
    "target": ["50"],
    "against": ["56"],
    "budget": ["20"],
    "precision": ["0.5"],
    "matrix": ["no"],
    "faithfulness": ["32"],
    "seed": ["5"],
    "demo": ["2"],
    "item": ["56"],
    "alpha": ["0.1"],
}
"""A link of the first version, in which every page's link held the choices of an explanation."""
FIRST = CaseSpec(
    user="12", family="yes_no", strategy="recent", demos=8, order="nearest_last", each=1, history=5, scoring="sum"
)
"""What a link of the first version meant where it said nothing, but for the page Personalise."""
FIRST_LINKS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("explain", "user=7&demos=3&candidates=6&demo=2", {"user": "7", "demos": 3, "candidates": 6}, {}),
    ("explain", "user=7&demos=0", {"user": "7", "demos": 0}, {}),
    ("explain", "user=12&family=next_item", {"family": "next_item"}, {}),
    ("explain", "strategy=similar&scoring=mean", {"strategy": "similar", "scoring": "mean"}, {}),
    ("explain", "user=7&method=path&budget=20", {"user": "7"}, {"method": "path", "budget": 20.0}),
    ("explain", "dataset=/d&model=/m&adapter=/a", {"dataset": "/d", "model": "/m", "adapter": "/a"}, {}),
    ("explain", "with=7:3&with=7:4:no&strategy=manual", {"demo_ids": ("7:3", "7:4:no"), "strategy": "manual"}, {}),
    ("dual", "user=7&demos=3", {"user": "7", "demos": 3}, {}),
    ("robustness", "user=7&kinds=typos&alpha=0.25", {"user": "7"}, {"kinds": ("typos",), "alpha": 0.25}),
    ("improve", "user=7&candidates=10", {"user": "7", "candidates": 10}, {}),
    ("personalise", "user=7", {"user": "7", "demos": 4, "history": 3, "adapter": "recicl"}, {}),
    ("personalise", "demos=4&history=3&adapter=none", {"demos": 4, "history": 3}, {}),
    ("personalise", "adapter=recicl&steps=2", {"demos": 4, "history": 3, "adapter": "recicl"}, {"steps": 2}),
]
"""Page, a link that stood in documents and tests of the first version, and what it meant."""


@pytest.mark.parametrize(("kind", "link", "case", "own"), FIRST_LINKS)
def test_an_old_link_keeps_its_choices(kind: str, link: str, case: dict[str, Any], own: dict[str, Any]) -> None:
    task, _, notice = read(parse_qs(link), kind)
    explained = {"explain": "score"} if kind == "explain" else {}
    assert task == KINDS[kind].task(case=CaseSpec(**FIRST.model_dump() | case), **own, **explained)
    assert notice == ""
    assert read(links.written(task), kind)[0] == task


@pytest.mark.parametrize("kind", KINDS)
@given(data=some.data())
def test_an_old_link_and_a_new_one_differ_in_what_they_leave_out_alone(kind: str, data: some.DataObject) -> None:
    query = {name: texts for name, texts in data.draw(QUERIES[kind]).items() if name not in NEWER} | {"user": ["7"]}
    old, new = read(query, kind)[0], read(query | {"v": ["3"]}, kind)[0]
    frozen = {name: value for name, value in links.FIRST_DEFAULTS.items() if name != "user"} | (
        links.FIRST_PLAY if kind == "personalise" else {}
    )
    left_out = [name for name in frozen if links.parameter(name) not in query]
    usual = KINDS[kind].task.model_fields["case"].default
    assert [getattr(new.case, name) for name in left_out if name != "adapter"] == [
        getattr(usual, name) for name in left_out if name != "adapter"
    ]
    assert [getattr(old.case, name) for name in left_out if name != "adapter"] == [
        frozen[name] for name in left_out if name != "adapter"
    ]
    assert old.case.user == new.case.user == "7"


@pytest.mark.parametrize("kind", KINDS)
@given(data=some.data())
def test_a_link_of_the_second_version_meant_another_user_where_it_named_none(kind: str, data: some.DataObject) -> None:
    query = {name: texts for name, texts in data.draw(QUERIES[kind]).items() if name not in (*NEWER, "user")}
    second, now = (read(query | {"v": [version]}, kind) for version in ("2", "3"))
    assert (second[0].case.user, now[0].case.user) == ("12", "135")
    assert second[0] == now[0].model_copy(update={"case": now[0].case.model_copy(update={"user": "12"})})
    assert second[1:] == now[1:]
    assert links.written(second[0])["user"] == ["12"]


@pytest.mark.parametrize("version", [["4"], ["1"], [""], ["3", "3"], ["x" * 600]])
def test_a_link_of_an_unknown_version_is_read_as_one_of_now_and_says_so(version: list[str]) -> None:
    task, _, notice = read({"v": version, "user": ["7"]}, "explain")
    assert task == Explain(case=CaseSpec(user="7"))
    assert "(v)" in notice


def test_a_link_to_a_case_from_a_file_names_it_and_nothing_of_built_cases() -> None:
    task = task_of(Explain, {"cases": "0123456789abcdef", "case": "call 7", "method": "path"})
    link = links.written(task)
    assert link == {"v": ["3"], "cases": ["0123456789abcdef"], "case": ["call 7"], "method": ["path"]}
    assert read(link, "explain")[0] == task
    assert read({**link, "user": ["7"]}, "explain")[2].startswith("Part of this link could not be used (user)")
    assert links.foreign(task.case) == ("0123456789abcdef",)


def test_an_old_link_of_explore_opens() -> None:
    task, selection, notice = read(OLD, "explain")
    named = {"demo_ids": ("7:3", "7:4:no"), "strategy": "manual", "candidate_ids": ("50", "56")}
    case = FIRST.model_copy(update={"user": "7", "seed": 5, **named})
    answer = {"method": "path", "budget": 20, "precision": 0.5, "faithfulness": 32}
    assert task == Explain(case=case, target="50", against="56", **answer)
    assert selection == ExploreSelection(demo=2, item="56", alpha=0.1)
    assert notice == ""


@pytest.mark.parametrize("kind", ["dual", "robustness", "improve", "personalise"])
def test_an_old_link_of_another_page_opens_without_a_notice(kind: str) -> None:
    task, _, notice = read(OLD, kind)
    assert notice == ""
    assert (task.case.user, task.case.candidate_ids, task.case.seed) == ("7", ("50", "56"), 5)
    choices = task.model_dump(exclude={"case"}, exclude_defaults=True)
    assert (
        choices
        == {
            "dual": {"target": "50", "against": "56"},
            "robustness": {"target": "50", "against": "56", "alpha": 0.1},
            "improve": {"budget": 20},
            "personalise": {},
        }[kind]
    )


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ({"demos": ["99"]}, "demos"),
        ({"demos": ["4", "5"]}, "demos"),
        ({"demos": ["nan"]}, "demos"),
        ({"demos": ["4.5"]}, "demos"),
        ({"budget": ["inf"]}, "budget"),
        ({"budget": ["nan"]}, "budget"),
        ({"precision": ["1e400"]}, "precision"),
        ({"user": ["x" * 501]}, "user"),
        ({"user": [""]}, "user"),
        ({"strategy": ["manual"]}, "strategy"),
        ({"target": ["5"], "against": ["5"]}, "against"),
        ({"with": ["1:2"] * 33}, "with"),
        ({"chat": ["maybe"]}, "chat"),
        ({"demo": ["0"]}, "demo"),
        ({"demo": ["-1"]}, "demo"),
        ({"item": ["a", "b"]}, "item"),
        ({"nonsense": ["1"]}, "nonsense"),
        ({"seed": ["9" * 400]}, "seed"),
        ({"demos": ["٤"]}, "demos"),
        ({"alpha": ["1"]}, "alpha"),
        ({"beta": ["1.5"]}, "beta"),
        ({"sigma": ["-1"]}, "sigma"),
        ({"dropout": ["nan"]}, "dropout"),
        ({"samples": ["65"]}, "samples"),
    ],
)
def test_a_wrong_part_gives_the_default_and_one_sentence(query: dict[str, list[str]], part: str) -> None:
    task, selection, notice = read({"v": ["3"], **query}, "explain")
    assert f"({part})" in notice
    assert notice.count(".") == 1
    assert task in (Explain(), Explain(target="5"))
    assert selection == ExploreSelection()


def test_the_rest_of_a_wrong_link_still_counts() -> None:
    query = {"user": ["7"], "demos": ["many"], **{f"x{number}": ["1"] for number in range(900)}}
    task, _, notice = read(query, "explain")
    assert task.case.user == "7"
    assert "897 more" in notice
    assert len(notice) < 300
    query = {"v": ["3"], "repeats": ["0"], "kinds": ["typos", "no"], "alpha": ["0.5"], "user": ["9"]}
    task, _, notice = read(query, "robustness")
    assert task == RobustnessTask(case=CaseSpec(user="9"), alpha=0.5)
    assert "(kinds, repeats)" in notice
    assert read({"v": ["3"], "start": ["x" * (links.LONGEST + 1)]}, "improve")[::2] == (
        ImproveTask(),
        links._notice(["start"]),
    )


def test_a_case_that_a_kind_refuses_is_named() -> None:
    task, _, notice = read({"v": ["3"], "demos": ["2"], "users": ["20"]}, "utility")
    assert task == UtilityTask(users=20)
    assert "(demos)" in notice


def test_a_selection_without_a_changed_model_compares_nothing() -> None:
    assert read({"samples": ["4"], "alpha": ["0"]}, "explain")[1].inference is None
    assert ExploreSelection(alpha=0.25, samples=4, demo=2).inference == InferenceSettings(alpha=0.25, samples=4)


@pytest.mark.parametrize("query", [{"model": ["/m"]}, {"model": ["/m"], "adapter": ["none"]}, {"adapter": ["x"]}])
def test_the_page_s_own_adapter_is_for_the_sample_model_alone(query: dict[str, list[str]]) -> None:
    case = read(query, "personalise")[0].case
    assert case.adapter == ("x" if query.get("adapter") == ["x"] else None)
    assert (case.demos, case.history) == (4, 3)


def test_only_the_sample_starts_by_itself() -> None:
    assert not links.foreign(CaseSpec(user="9"))
    assert links.foreign(CaseSpec(model="some/hub-name"))
    assert links.foreign(CaseSpec(dataset="/tmp/data"))
    assert links.foreign(CaseSpec(adapter="/tmp/adapter"))


def test_what_is_selected_is_refused_beyond_its_bounds() -> None:
    with pytest.raises(ValidationError):
        PlaySelection(after=-1)
    assert PlaySelection(after=3, item="5").after_run(None, PersonaliseTask()) == PlaySelection(item="5")


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000/v1", "HTTPS://elsewhere.example", " http://x"])
def test_a_link_cannot_name_a_server(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMOLENS_SERVER", address.strip())
    task, _, notice = links.read({"v": ["3"], "model": [address]}, Explain, Selection)
    assert task.case.model == "sample"
    assert "A link cannot name a server" in notice
