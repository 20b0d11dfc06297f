"""A command that names data, a model or an adapter runs with the choice that is kept for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import choices
import pytest

from core.cli import command
from core.comparison.kept_choice import keep_choice
from core.data.dataset import open_dataset
from core.question.case_spec import CaseSpec

LINES = ["user_id:token\titem_id:token\ttimestamp:float"]
LINES += [f"{user}\t{item}\t{10 * item + user}" for user in range(4) for item in range(6)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    data = tmp_path / "films"
    data.mkdir()
    (data / "films.inter").write_text("\n".join(LINES) + "\n")
    return str(data)


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The tasks that commands run, without a model."""
    tasks: list[Any] = []
    monkeypatch.setattr(command, "_answer", lambda task, _: tasks.append(task))
    return tasks


def called(*words: str) -> int:
    return command.status_of(lambda: command.app(list(words), standalone_mode=False))


def keep(folder: str, **facts: Any) -> None:
    dataset = open_dataset(folder)
    keep_choice(choices.choice(dataset_id=dataset.dataset_id, model="sample", **facts))
    dataset.close()


def test_the_kept_choice_fills_what_is_not_named(folder: str, answered: list[Any], capsys: Any) -> None:
    keep(folder, most=16)
    assert called("explain", "--dataset", folder, "--user", "1") == 0
    case = answered[-1].case
    assert (case.family, case.strategy, case.demos, case.scoring) == ("next_item", "neighbours", 16, "sum")
    assert "Chosen on validation lists of this data set: 16 demonstrations" in capsys.readouterr().err


def test_explicit_options_win(folder: str, answered: list[Any]) -> None:
    keep(folder, most=1)
    assert called("explain", "--dataset", folder, "--user", "1", "--demos", "3", "--family", "yes_no") == 0
    case = answered[-1].case
    assert (case.demos, case.family, case.strategy) == (3, "yes_no", "recent")


def test_none_is_an_answer_and_said(folder: str, answered: list[Any], capsys: Any) -> None:
    keep(folder, most=1)
    assert called("quality", "--dataset", folder, "--user", "1") == 0
    assert answered[-1].case.demos == 0
    written = capsys.readouterr()
    assert "On these data no demonstrations help: none are worth their tokens" in written.err
    assert written.out == ""


def test_a_kind_that_refuses_the_kept_choice_runs_with_the_general_default(folder: str, answered: list[Any]) -> None:
    keep(folder, most=1)
    assert called("utility", "--dataset", folder) == 0
    assert answered[-1].case == CaseSpec(dataset=folder)


def test_without_a_kept_choice_the_command_that_makes_one_is_named(
    folder: str, answered: list[Any], capsys: Any
) -> None:
    assert called("explain", "--dataset", folder) == 0
    assert answered[-1].case == CaseSpec(dataset=folder)
    assert f"the general default holds. demolens choose --dataset {folder}" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("--dataset", "/no/such/folder"), ("--user", "7"), ()])
def test_nothing_is_said_where_nothing_can_be_filled(words: tuple[str, ...], answered: list[Any], capsys: Any) -> None:
    assert called("explain", *words) == 0
    assert len(answered) == 1
    assert capsys.readouterr().err == ""


def test_the_choice_of_another_adapter_is_not_taken(folder: str, answered: list[Any]) -> None:
    keep(folder, most=1)
    assert called("explain", "--dataset", folder, "--adapter", "recicl") == 0
    assert answered[-1].case == CaseSpec(dataset=folder, adapter="recicl")
