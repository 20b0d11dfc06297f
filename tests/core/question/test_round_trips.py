"""A task survives a command line and JSON, for every kind; its key is equal exactly where its results must be."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from pydantic import ValidationError
from questions import explain_task, tasks

from core.analysis.explain.methods import METHODS
from core.analysis.robustness.robustness_task import RobustnessTask
from core.cli import command
from core.question.case_spec import CaseSpec
from core.question.command_line import command_line, own_fields, task_of
from core.question.kinds import KINDS, kind_of
from core.question.task import Task
from core.work.job import job_key


@pytest.mark.parametrize("name", KINDS)
def test_no_choice_of_a_kind_has_the_name_of_one_of_its_case(name: str) -> None:
    assert not set(own_fields(KINDS[name].task)) & set(CaseSpec.model_fields)


@pytest.mark.parametrize("name", KINDS)
@given(data=some.data())
@settings(max_examples=40, deadline=None)
def test_command_line_to_task_to_command_line(name: str, data: some.DataObject) -> None:
    task = data.draw(tasks(KINDS[name].task))
    answers: list[Task] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "_answer", lambda read, _: answers.append(read))
        words = shlex.split(command_line(task))
        assert command.status_of(lambda: command.app(words[1:], standalone_mode=False)) == 0
    assert answers == [task]
    assert command_line(answers[0]) == command_line(task)


@pytest.mark.parametrize("name", KINDS)
@given(data=some.data())
@settings(max_examples=40, deadline=None)
def test_json_to_task_to_json(name: str, data: some.DataObject) -> None:
    task = data.draw(tasks(KINDS[name].task))
    assert kind_of(task).name == name
    assert type(task).model_validate_json(task.model_dump_json()) == task
    assert type(task).model_validate(task.model_dump(mode="json")).model_dump_json() == task.model_dump_json()


@pytest.mark.parametrize("name", KINDS)
@given(data=some.data())
@settings(max_examples=25, deadline=None)
def test_the_effective_choices_are_a_task_of_their_own_with_the_same_key(name: str, data: some.DataObject) -> None:
    task = data.draw(tasks(KINDS[name].task))
    try:
        plain = type(task).model_validate(task.effective())
    except ValidationError as error:  # A strategy `manual` needs the ids that make it ineffective.
        raise AssertionError(str(error)) from error
    assert plain.effective() == task.effective()
    assert job_key(plain) == job_key(task)


WITHOUT_EFFECT = [
    (explain_task(method="leave_one_out"), {"budget": 3.0, "precision": 0.5}),
    (explain_task(method="regression"), {"precision": 0.5}),
    (explain_task(family="yes_no"), {"scoring": "mean"}),
    (explain_task(demo_ids=("12:1",)), {"demos": 3, "strategy": "similar"}),
    (explain_task(candidate_ids=("1", "2")), {"candidates": 9, "sampling": "popularity"}),
    (RobustnessTask(quick=True), {"repeats": 3, "kinds": ("typos",), "strengths": (0.5,), "samples": 3}),
    (RobustnessTask(alpha=0.1), {"samples": 3}),
    (RobustnessTask(quick=True), {"sensitivity": False}),
]
WITH_EFFECT = [
    (explain_task(), {"budget": 3.0, "precision": 0.5, "method": "path", "target": "50", "explain": "score"}),
    (
        explain_task(family="next_item"),
        {"scoring": "mean", "sampling": "popularity", "seed": 1, "chat": True, "wording": "implicit"},
    ),
    (RobustnessTask(), {"repeats": 5, "kinds": ("typos",), "strengths": (0.5,), "target": "50", "sigma": 0.1}),
    (RobustnessTask(sigma=0.1), {"samples": 3, "sensitivity": False}),
]


def _changed(task: Task, name: str, value: object) -> Task:
    own = {field: getattr(task, field) for field in own_fields(type(task))}
    return task_of(type(task), {**dict(task.case), **own, name: value})


@pytest.mark.parametrize(("task", "choices"), WITHOUT_EFFECT)
def test_choices_without_effect_leave_the_key(task: Task, choices: dict[str, object]) -> None:
    for name, value in choices.items():
        assert job_key(_changed(task, name, value)) == job_key(task), name


@pytest.mark.parametrize(("task", "choices"), WITH_EFFECT)
def test_choices_with_an_effect_change_the_key(task: Task, choices: dict[str, object]) -> None:
    keys = {job_key(_changed(task, name, value)) for name, value in choices.items()} | {job_key(task)}
    assert len(keys) == len(choices) + 1


def test_a_list_with_a_bare_line_break_is_refused_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["explain", "--candidate-ids", "a\nb"]
    assert command.status_of(lambda: command.app(line, standalone_mode=False)) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_method_of_an_explanation_is_no_choice_of_robustness() -> None:
    """What stands in the link of Explore changes no key of another page: it has no such field."""
    assert not set(own_fields(RobustnessTask)) & {"method", "budget", "precision", "matrix", "faithfulness"}


def test_the_written_command_of_a_utility_task_sets_both_seeds() -> None:
    task = task_of(KINDS["utility"].task, {"seed": 3, "users_seed": 5})
    assert command_line(task) == "demolens utility --seed 3 --users-seed 5"


def test_the_budget_of_a_search_is_its_own() -> None:
    task = task_of(KINDS["improve"].task, {"budget": 30.0})
    assert command_line(task) == "demolens improve --budget 30.0"
    confirming = 8 * (1 + 2 / 4 + 4 * 0.2)
    assert task.predicted_passes == pytest.approx(30 + confirming + 3 * (1 + 0.05 * 20))


def test_every_row_of_the_methods_has_a_function_and_a_cost() -> None:
    for row in METHODS.values():
        assert callable(row.function)
        assert row.passes(8, 10.0) > 0
