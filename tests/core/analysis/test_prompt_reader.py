"""A model picks the demonstrations of every kind of question; what it reads is counted, and read once."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from references import language_model

from core.analysis.ledger import Ledger
from core.analysis.setting import reader_for, set_up, setting_for
from core.analysis.subject import subject_of
from core.data.cases import case_of
from core.data.dataset import Dataset
from core.data.records import Demonstration
from core.errors import Cancelled
from core.lm.loading.load import LanguageModel
from core.lm.reading.head_gradients import head_gradients
from core.lm.reading.text_vectors import text_vectors
from core.lm.reading.vector_store import VectorStore
from core.lm.scoring.sweep import Cost
from core.prompt.families import Family
from core.question.case_spec import CaseSpec
from core.question.command_line import task_of
from core.question.kinds import KINDS
from core.question.task import Task

PLANETS = (
    *("Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn"),
    *("Uranus", "Neptune", "Pluto", "Ceres", "Eris", "Vesta"),
)
BY_MODEL = ("semantic", "gradient")
SMALL: dict[str, dict[str, Any]] = {
    "explain": {"method": "leave_one_out"},
    "quality": {"budget": 6.0, "stability": 0},
    "utility": {"users": 2, "least_history": 2},
    "robustness": {"repeats": 1},
    "improve": {"k": 2, "pool": 4, "shortlist": 3, "held_out": 2, "negatives": 2, "budget": 12.0},
    "dual": {"features": (16,), "draws": 3, "steps": 2},
    "updates": {},
    "personalise": {"steps": 1},
}


@pytest.fixture(scope="module")
def planets(planets_of: Any) -> Iterator[Dataset]:
    with planets_of({"u": 0, "v": -1, "w": -2, "x": -5}, PLANETS) as dataset:
        yield dataset


@pytest.fixture(scope="module")
def model(tiny_llama: Any, tiny_tokenizer: Any) -> LanguageModel:
    return language_model(copy.deepcopy(tiny_llama), tiny_tokenizer)


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors of one test are none of another's."""
    monkeypatch.setattr("core.lm.reading.vector_store.STORE", VectorStore(disk_bytes=0))


def spec(strategy: str, **choices: Any) -> CaseSpec:
    return CaseSpec.model_validate(
        {"user": "u", "demos": 2, "candidates": 4, "history": 2, "strategy": strategy, **choices}
    )


def test_items_are_read_by_title_and_categories(planets: Dataset, model: LanguageModel) -> None:
    reader = reader_for(spec("semantic"), planets, model)
    expected = text_vectors(model, ["Earth", "Mars", "Earth"], cue=f"{planets.noun.capitalize()}:")
    np.testing.assert_allclose(reader.item_vectors(["2", "3", "2"]), expected, atol=1e-5, rtol=1e-4)
    before = reader.cost.tokens
    reader.item_vectors(["3"])
    assert reader.cost.tokens == before > 0, "read once"


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
def test_choices_are_read_in_prompts_without_demonstrations(
    planets: Dataset, model: LanguageModel, family: Family
) -> None:
    choices = [
        Demonstration("v:2", "v", 2, ("1", "2"), "3", True, "similar"),
        Demonstration("w:2", "w", 2, (), "4", False, "similar"),
    ]
    chosen = spec("gradient", family=family)
    prompts = []
    for choice in choices:
        case = case_of(planets, "u", candidate_ids=["7", choice.item_id])
        setting = setting_for(chosen.model_copy(update={"demos": 0}), planets, model)
        history = tuple(row for row in planets.history("v") if row.item_id in choice.history)
        only = replace(case, history=history, candidates=(choice.item_id,))
        prompts.append(setting.write(only, (), items=planets.items(planets.catalogue.ids), liked=lambda _: True))
    reader = reader_for(chosen, planets, model)
    expected = head_gradients(model, prompts, [True, False])
    np.testing.assert_allclose(reader.choice_gradients([*choices, choices[0]]), expected[[0, 1, 0]], atol=1e-5)
    before = reader.cost.tokens
    reader.choice_gradients(choices)
    assert reader.cost.tokens == before > 0, "read once"
    assert reader.choice_gradients([]).shape == (0, 32)


@pytest.mark.parametrize("strategy", BY_MODEL)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_runs_with_demonstrations_that_the_model_picks(
    planets: Dataset, model: LanguageModel, kind: str, strategy: str
) -> None:
    choices = {"demos": 3, **SMALL[kind]} if kind == "utility" else SMALL[kind]
    flat = {**spec(strategy).model_dump(exclude_defaults=True), **choices}
    task = task_of(KINDS[kind].task, flat)
    subject = KINDS[kind].subject(task, planets)  # As the engine does: before a model is loaded.
    labels: list[str] = []
    *_, report = KINDS[kind].run(
        task, dataset=planets, model=model, progress=lambda label, _: labels.append(label), subject=subject
    )
    assert report.stage == "complete"
    assert any("picks" in label or "measuring" in label for label in labels)
    if kind != "utility":
        assert [row.source for row in report.demos] == [strategy] * 2
        assert len({row.user_id for row in report.demos} - {"u"}) == 2


@pytest.mark.parametrize("strategy", BY_MODEL)
def test_a_subject_waits_for_the_model_and_the_setting_has_what_it_picks(
    planets: Dataset, model: LanguageModel, strategy: str
) -> None:
    task = Task(case=spec(strategy))
    subject = subject_of(task, planets)
    assert subject.awaits_model
    assert subject.demos == ()
    assert subject.shortages == (), "nothing is missing yet"
    setting = set_up(task, planets, model, subject)
    assert not setting.awaits_model
    assert [demo.source for demo in setting.demos] == [strategy] * 2
    assert setting.demos == set_up(task, planets, model).demos
    nearest_first = Task(case=spec(strategy, order="nearest_first"))
    assert set_up(nearest_first, planets, model).demos == setting.demos[::-1]
    by_hand = spec("manual", demo_ids=[demo.demo_id for demo in setting.demos])
    assert setting_for(by_hand, planets, model).prompt.demos == setting.prompt.demos


@pytest.mark.parametrize("strategy", BY_MODEL)
def test_neither_target_nor_candidates_decide(planets: Dataset, model: LanguageModel, strategy: str) -> None:
    first = setting_for(spec(strategy), planets, model).demos
    others = spec(strategy, candidate_ids=("8", "9", "10"))
    assert setting_for(others, planets, model).demos == first


def test_no_demonstrations_need_no_model(planets: Dataset) -> None:
    assert not subject_of(Task(case=spec("semantic", demos=0)), planets).awaits_model
    assert spec("semantic", demos=0).picking_tokens == 0
    assert spec("similar").picking_tokens == 0
    assert spec("gradient").picking_tokens > 0
    assert spec("gradient", demo_ids=("v:1",)).picking_tokens == 0


@pytest.mark.parametrize("strategy", BY_MODEL)
def test_picking_is_counted_and_planned(planets: Dataset, model: LanguageModel, strategy: str) -> None:
    task = task_of(KINDS["explain"].task, spec(strategy).model_dump(exclude_defaults=True))
    shares: list[float] = []
    ledger = Ledger(task, model, lambda _, share: shares.append(share))
    setting = ledger.set_up(planets)
    cost = Cost()
    setting_for(spec(strategy), planets, model, cost=cost)
    assert ledger.passes == pytest.approx(ledger.picking_tokens / setting.prompt.length)
    assert ledger.planned == pytest.approx(task.predicted_passes + ledger.passes)
    assert ledger.picking_tokens > 0
    assert cost.tokens == 0, "read once for good"
    assert set(shares) == {0.01}


def test_picking_can_be_stopped(planets: Dataset, model: LanguageModel) -> None:
    def stop(_label: str, _share: float) -> None:
        raise Cancelled("stopped")

    for strategy in BY_MODEL:
        task = task_of(KINDS["explain"].task, spec(strategy).model_dump(exclude_defaults=True))
        with pytest.raises(Cancelled):
            Ledger(task, model, stop).set_up(planets)


@pytest.mark.parametrize("strategy", BY_MODEL)
def test_a_disk_that_cannot_be_written_is_said(
    planets: Dataset, model: LanguageModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, strategy: str
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("core.lm.reading.vector_store.STORE", VectorStore(tmp_path / "file"))
    setting = setting_for(spec(strategy), planets, model)
    assert len(setting.demos) == 2
    sentence = "What the model reads to pick demonstrations is not kept for the next time: "
    assert any(notice.startswith(sentence) for notice in setting.notices)
