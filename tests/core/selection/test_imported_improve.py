"""A better set for a case from a file: other cases of the file judge, its own true answer has no part in that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from logged_cases import INSTRUCTION, TITLES, YES_NO, case, case_file, chat_case, part

from core.analysis.setting import set_up
from core.cli.report_lines import improve_lines
from core.errors import DataError, RequestError
from core.lm.loading.load import LanguageModel, load
from core.lm.scoring.score import Scorer
from core.prompt.imported.case_file import PromptCase
from core.prompt.imported.imported_cases import open_cases
from core.question.case_spec import CaseSpec
from core.question.task import Task
from core.selection.imported_material import FileMaterial
from core.selection.improve import improve
from core.selection.improve_task import ImproveReport, ImproveTask
from core.selection.verdict import verdict

QUICK: dict[str, Any] = {"k": 2, "shortlist": 3, "held_out": 2, "confirm": 1, "budget": 30.0, "lam": 0.5}
FILMS = ("Tin Harbour", "Iron Lullaby", "Paper Moons", "Blue Kettle", "North Lamp", "Quiet Ox", "Salt Parade")


def example(number: int, answer: str = "Yes") -> str:
    return f'Liked: "{FILMS[number]}". Next: "{FILMS[number - 1]}"?\nOutput: {answer}'


def call(name: str, film: int, *demos: str, **more: Any) -> PromptCase:
    """A prompt in one text that asks about a film behind two items of a history."""
    shown = [piece for n, text in enumerate(demos, start=1) for piece in (part("demo", text, n), part("pinned", "\n"))]
    query = [part("query", "Liked: "), part("history", f'"{FILMS[film]}", ', 1), part("history", '"Alien"', 2)]
    end = part("query", f'. Next: "{FILMS[film - 2]}"?\nOutput:')
    return case(name, [part("pinned", INSTRUCTION + "\n"), *shown, *query, end], **more)


def calls() -> list[PromptCase]:
    return [
        call("a", 0, example(0), example(1, "No"), target="no"),
        call("b", 1, example(2), target="yes"),
        call("c", 2, example(3, "No"), example(4), target="no"),
        call("d", 3, example(5), target="yes"),
        call("e", 4, example(1, "No"), target=None),
    ]


def task(path: Path, name: str = "a", **choices: Any) -> ImproveTask:
    return ImproveTask(case=CaseSpec(cases=str(path), case=name), **QUICK | choices)


def answered(path: Path, model: LanguageModel, name: str = "a", **choices: Any) -> list[ImproveReport]:
    return list(improve(task(path, name, **choices), dataset=open_cases(str(path)), model=model))


def material(path: Path, model: LanguageModel, name: str = "a", **choices: Any) -> FileMaterial:
    question, cases = task(path, name, **choices), open_cases(str(path))
    return FileMaterial(question, set_up(question, cases, model), cases)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return case_file(tmp_path_factory.mktemp("calls"), *calls())


@pytest.fixture(scope="module")
def done(path: Path, model: LanguageModel) -> ImproveReport:
    return answered(path, model)[-1]


def log_share(path: Path, model: LanguageModel, name: str, demo_ids: Sequence[str]) -> float:
    """The slow reference: the log-share of the true answer of a case, with these demonstrations, by its own prompt."""
    cases = open_cases(str(path))
    spec = CaseSpec(cases=str(path), case=name, demo_ids=tuple(demo_ids))
    scores = Scorer(model, set_up(Task(case=spec), cases, model).prompt).full()
    place = [option for option, _ in YES_NO].index(str(cases.logged(name).target))
    return float(scores[place] - np.logaddexp.reduce(scores))


def test_other_cases_judge_and_confirm(done: ImproveReport) -> None:
    assert [row.case_id for row in done.held_out] == ["b", "c"]
    assert [row.case_id for row in done.confirming] == ["d"]
    assert [(row.item_id, row.title, row.position) for row in done.held_out] == [("yes", "Yes", 1), ("no", "No", 2)]
    assert done.stage == "complete"
    assert ImproveReport.model_validate_json(done.model_dump_json()) == done


def test_the_shortlist_holds_own_demonstrations_and_those_of_other_cases(done: ImproveReport) -> None:
    own, others = {"a:d1", "a:d2"}, {"b:d1", "c:d1", "c:d2", "d:d1"}  # e:d1 is a:d2 word by word.
    ids = {row.demo_id for row in done.shortlist}
    assert own < ids <= own | others
    assert all((row.recency, row.neighbours) == (None, None) for row in done.shortlist)


def test_a_set_is_judged_by_the_true_answers_of_the_other_prompts(
    done: ImproveReport, path: Path, model: LanguageModel
) -> None:
    """The mean is over the plain prompts and those with a small change; the plain ones of the set found confirm it."""
    assert done.confirmed is not None
    assert done.found is not None
    rows = {row.against: row for row in done.confirmed}
    assert rows["zero_shot"].rival_mean == pytest.approx(log_share(path, model, "d", ()), abs=1e-5)
    assert rows["zero_shot"].mean == pytest.approx(log_share(path, model, "d", done.found.demo_ids), abs=1e-5)


def test_the_own_true_answer_changes_nothing_but_its_place(
    done: ImproveReport, path: Path, model: LanguageModel, tmp_path: Path
) -> None:
    first, *rest = calls()
    other = case_file(tmp_path, first.model_copy(update={"target": "yes"}), *rest)
    there = answered(other, model)[-1]
    assert [row.objective for row in there.path] == pytest.approx([row.objective for row in done.path])
    assert there.found is not None
    assert done.found is not None
    assert there.found.demo_ids == done.found.demo_ids
    assert [row.rank for row in there.outcomes or ()] == [3 - row.rank for row in done.outcomes or ()]


def test_without_true_answers_the_shortlist_alone_is_given(model: LanguageModel, tmp_path: Path) -> None:
    bare = [each.model_copy(update={"target": None}) for each in calls()]
    (report,) = answered(case_file(tmp_path, *bare), model)
    assert report.stage == "complete"
    assert (report.best, report.path, report.held_out) == (None, (), ())
    assert all(row.effect is not None and row.embedding is not None for row in report.shortlist)
    assert verdict(report).startswith("No set is judged: ")
    assert any("0 of 4 other cases can judge" in line for line in improve_lines(report))


def test_a_case_of_another_style_or_with_other_answers_does_not_judge(model: LanguageModel, tmp_path: Path) -> None:
    titles = call("t", 5, example(2), options=TITLES, options_from="titles", target="a")
    again = call("again", 0, example(2), target="yes")
    held = material(case_file(tmp_path, *calls(), chat_case(), titles, again), model, held_out=8).held_out()
    assert [choice.case.user_id for choice in held] == ["b", "c", "d"]


def test_the_true_answer_is_the_first_candidate_and_its_prompt_is_the_logged_one(
    path: Path, model: LanguageModel
) -> None:
    choice = material(path, model).held_out()[1].case
    assert choice.candidates == ("no", "yes")
    assert choice.logged is not None
    assert choice.logged.options == (("no", "No"), ("yes", "Yes"))


def test_a_small_change_takes_one_history_item_away(path: Path, model: LanguageModel) -> None:
    for choice in material(path, model).held_out():
        assert len(choice.shortened.history) == len(choice.case.history) - 1


def test_a_demonstration_that_asks_what_a_prompt_asks_is_not_shown_there(model: LanguageModel, tmp_path: Path) -> None:
    asks_b = f'Liked: "{FILMS[1]}", "Alien". Next: "{FILMS[-1]}"?\nOutput: Yes'
    asks_a = f'Liked: "{FILMS[0]}", "Alien". Next: "{FILMS[-2]}"?\nOutput: No'
    first, *rest = calls()
    found = material(case_file(tmp_path, first, *rest, call("f", 5, asks_b, asks_a, target="yes")), model, held_out=8)
    held = found.held_out()
    pool = {member.here.demo_id: member.then for member in found.pool(held, ())}
    assert "f:d2" not in pool
    assert [demo is None for demo in pool["f:d1"]] == [choice.case.user_id == "b" for choice in held]


def test_a_set_is_never_too_long_for_the_model(path: Path, model: LanguageModel) -> None:
    """With room for one demonstration alone, one is the most."""
    plain = material(path, model, "b")
    longest = max(plain._length(each.case) for each in plain.held_out())
    narrow = replace(model, context=longest + int(2.5 * max(plain._tokens(demo) for demo in plain._demos)))
    found = material(path, narrow, "b")
    assert found.most == 2
    assert material(path, model, "b", k=16).most == 16
    wide = material(path, narrow, "b", k=16)
    assert wide.most == 2
    assert any("A set holds at most 2 demonstrations" in sentence for sentence in wide.notices)


def test_what_cannot_be_searched_is_refused(model: LanguageModel, tmp_path: Path, path: Path) -> None:
    with pytest.raises(DataError, match="no prompt of the case file has a demonstration"):
        answered(case_file(tmp_path, call("a", 0), call("b", 1), call("c", 2)), model)
    with pytest.raises(RequestError, match="the objective truth for a case from a file"):
        answered(path, model, objective="truth")


def test_a_server_finds_the_same_set(serve: Any, path: Path, local_model: LanguageModel) -> None:
    serve()
    here, there = (answered(path, each)[-1] for each in (local_model, load("server")))
    assert there.found is not None
    assert here.found is not None
    assert there.found.demo_ids == here.found.demo_ids
