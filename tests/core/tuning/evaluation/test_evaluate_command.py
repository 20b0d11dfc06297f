"""`demolens evaluate` on a tiny model: what it writes, what data allow, and mistakes in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from adapters import saved_adapter

from core.cli import command
from core.cli.schemas import schema_text
from core.tuning.evaluation import evaluation_plan, reference_scores
from core.tuning.evaluation.record import Evaluation, read_evaluation
from core.tuning.evaluation.ways import RECICL, RECICL_BARE, TALLREC
from core.tuning.training.card import Card
from core.tuning.training.train import tune
from core.tuning.training.training_settings import TuningSettings

Films = Callable[..., Path]


@pytest.fixture(scope="module")
def free_films(films_of: Films) -> Path:
    """Twelve users who have met six of the eight films each, and liked two thirds of them."""
    met = ((user, place) for user in range(12) for place in range(6))
    return films_of([(f"u{u}", (3 * p + u) % 8, 5 if (u + p) % 3 else 1, 100 * p + u) for u, p in met])


@pytest.fixture
def asked(
    free_films: Path, llama_folder: Path, tuning_home: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """The command's status on the films, or on other data; small rounds and references that are quick to fit."""
    monkeypatch.setattr(evaluation_plan, "ROUND", 4)
    monkeypatch.setattr(evaluation_plan, "LISTS", 2)
    fits = {name: reference_scores.FITS[name] for name in ("item mean", "popularity")}
    monkeypatch.setattr(reference_scores, "FITS", fits)

    def called(*words: str, data: Path = free_films) -> int:
        line = ["evaluate", "--dataset", str(data), "--model", str(llama_folder), "--interactions", "10"]
        line += ["--lists", "3", "--candidates", "2", "--share", "0.5", "--device", "cpu", *words]
        return command.status_of(lambda: command.app(line, standalone_mode=False))

    return called


@pytest.fixture
def tuned(tuning: TuningSettings, free_films: Path, tmp_path: Path) -> Callable[..., Card]:
    def made(name: str, **values: Any) -> Card:
        changes = {"dataset": str(free_films), "most_steps": 2, "share": 0.5} | values
        wanted = TuningSettings.model_validate(tuning.model_dump() | changes)
        return tune(wanted, tmp_path / name)

    return made


def test_adapters_of_one_s_own_are_measured_beside_base_and_references(
    asked: Callable[..., int], tuned: Callable[..., Card], tmp_path: Path
) -> None:
    tuned("shown")
    tuned("bare", demos=0)
    result = tmp_path / "found.json"
    status = asked("--recicl", str(tmp_path / "shown"), "--tallrec", str(tmp_path / "bare"), "--json", str(result))
    assert status == 0
    jsonschema.validate(json.loads(result.read_text()), json.loads(schema_text("evaluate")))
    found = read_evaluation(result)
    assert (found.interactions, found.ranked, found.candidates, found.history) == (10, 3, 2, 2)
    assert {row.way for row in found.ways} >= {RECICL.name, RECICL_BARE.name, TALLREC.name, "item mean"}
    assert set(found.adapters) == {"recicl", "tallrec"}
    assert found.commit.startswith("demolens ")


def test_the_file_grows_with_every_round(
    asked: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, seen = tmp_path / "found.json", []
    add = evaluation_plan.EvaluationScores.add

    def stopped(found: evaluation_plan.EvaluationScores, plan: evaluation_plan.EvaluationPlan, number: int) -> None:
        if number == 1:
            seen.append(read_evaluation(result).interactions)
            raise KeyboardInterrupt
        add(found, plan, number)

    monkeypatch.setattr(evaluation_plan.EvaluationScores, "add", stopped)
    assert asked("--json", str(result)) == 130
    assert seen == [4]
    assert read_evaluation(result).interactions == 4


def test_codes_that_an_adapter_was_tuned_with_stand_in_the_prompts(
    asked: Callable[..., int], tuned: Callable[..., Card], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned("coded", codes=True)
    shown: dict[str, set[bool]] = {}
    score = evaluation_plan.scores_of_prompts

    def noted(model: Any, prompts: Any, **more: Any) -> Any:
        texts = {"User code: " in prompt.query.text for prompt in prompts}
        shown.setdefault("base" if model.adapter is None else "coded", set()).update(texts)
        return score(model, prompts, **more)

    monkeypatch.setattr(evaluation_plan, "scores_of_prompts", noted)
    assert asked("--recicl", str(tmp_path / "coded")) == 0
    assert shown == {"base": {False}, "coded": {True}}


def test_without_ratings_lists_are_ranked_and_nothing_else(
    asked: Callable[..., int], films_of: Films, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(f"u{user}", (3 * place + user) % 8, 10 * place + user) for user in range(6) for place in range(7)]
    data, result = films_of(rows, ["timestamp:float"]), tmp_path / "found.json"
    assert asked("--json", str(result), data=data) == 0
    found = read_evaluation(result)
    assert (found.interactions, found.ways, found.liked_share) == (0, (), None)
    assert {row.family for row in found.ranking} == {"next_item", None}
    assert any(
        "has no ratings, or only equal ones, so only next_item is measured" in notice for notice in found.notices
    )
    assert any(notice.startswith("item mean is not measured: ") for notice in found.notices)
    assert asked(data=data) == 0
    assert "NDCG@10" in capsys.readouterr().out


def test_answers_of_one_kind_leave_auc_undefined_and_say_so(
    asked: Callable[..., int], films_of: Films, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(f"u{u}", (3 * p + u) % 8, 5 - (u + p) % 2, 10 * p + u) for u in range(6) for p in range(6)]
    data, result = films_of(rows), tmp_path / "found.json"
    assert asked("--json", str(result), data=data) == 0
    found = read_evaluation(result)
    assert found.liked_share == 1
    assert {row.auc.value for row in found.ways} == {None}
    assert "All 10 true answers are Yes, so no AUC is defined." in found.notices
    assert asked(data=data) == 0
    told = capsys.readouterr().out
    assert "users, 0 of them with both answers (for UAUC)" in told
    assert "All 10 true answers are Yes" in told
    assert "AUC  interval" not in told
    assert "gain of" not in told


def test_users_who_met_everything_leave_no_lists_but_answers(
    asked: Callable[..., int], films_folder: Path, tmp_path: Path
) -> None:
    result = tmp_path / "found.json"
    assert asked("--json", str(result), data=films_folder) == 0
    found = read_evaluation(result)
    assert (found.interactions, found.ranked, found.ranking) == (10, 0, ())
    assert any("No list is ranked: 0 items that the user never met" in notice for notice in found.notices)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--recicl", "nowhere"), "nowhere: no such adapter folder"),
        (("--interactions", "0"), "interactions is '0'"),
        (("--json", "no/such/folder.json"), "cannot be written"),
        (("--share", "1.5"), "share is '1.5'"),
    ],
)
def test_a_mistake_is_one_sentence(
    asked: Callable[..., int], capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert asked(*words) == 2
    told = capsys.readouterr().err
    assert told.startswith("demolens: ")
    assert said in told
    assert told.count("\n") == 1


def test_data_without_timestamps_and_an_adapter_that_saw_the_test_are_refused(
    asked: Callable[..., int],
    tuned: Callable[..., Card],
    films_of: Films,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    timeless = films_of([(f"u{user}", place, 5) for user in range(6) for place in range(7)], ["rating:float"])
    assert asked(data=timeless) == 2
    assert "timestamp" in capsys.readouterr().err
    tuned("late", share=0.9)
    assert asked("--recicl", str(tmp_path / "late")) == 2
    assert "RecICL was tuned on interactions of the test" in capsys.readouterr().err


def test_an_adapter_of_another_model_is_refused(
    asked: Callable[..., int], tiny_qwen3: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved_adapter(tiny_qwen3, tmp_path / "other")
    assert asked("--tallrec", str(tmp_path / "other")) == 2
    assert "adapter" in capsys.readouterr().err


def test_an_evaluation_can_be_read_back(asked: Callable[..., int], capsysbinary: Any) -> None:
    assert asked("--json", "-", "--no-references") == 0
    found = Evaluation.model_validate_json(capsysbinary.readouterr().out)
    assert {row.tuned for row in found.ways} == {"base"}


def test_a_blend_stands_beside_the_model_and_popularity_from_the_same_scores(
    asked: Callable[..., int], free_films: Path, capsysbinary: Any
) -> None:
    assert asked("--json", "-", "--no-references") == 0
    plain = Evaluation.model_validate_json(capsysbinary.readouterr().out)
    assert asked("--json", "-", "--no-references", "--prior", "2") == 0
    blended = Evaluation.model_validate_json(capsysbinary.readouterr().out)
    assert (plain.blends, plain.tokens) == ((), blended.tokens)
    alone = {(row.family, row.way): row.ndcg for row in plain.ranking}
    assert {(row.family, row.way) for row in blended.blends} == set(alone)
    for row in blended.blends:
        assert (row.weight, row.lists, row.model) == (2.0, plain.ranked, alone[row.family, row.way])
        values = [each.value or 0.0 for each in (row.blend, row.model, row.popularity)]
        assert row.over_model.value == pytest.approx(values[0] - values[1])
        assert row.over_popularity.value == pytest.approx(values[0] - values[2])
    assert len({row.popularity for row in blended.blends}) == 1
    assert asked("--prior", "2") == 0
    assert b"blend with popularity" in capsysbinary.readouterr().out
