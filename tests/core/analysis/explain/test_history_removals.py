"""The flip set and the history's removals of whole explanations, held against prompts that are written anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from explained_planets import last, small

from core.analysis.explain.explain_task import Explain
from core.analysis.explain.flip_words import flip_sentence, history_sentence
from core.analysis.setting import set_up
from core.data.dataset import Dataset
from core.errors import RequestError
from core.lm.loading.load import LanguageModel
from core.lm.scoring.score import Scorer
from core.metrics.ranking import ranks
from core.question.command_line import command_line


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
def test_every_verified_set_is_what_the_prompt_without_it_scores(
    planets: Dataset, model: LanguageModel, family: Any
) -> None:
    task = small(family=family)
    report, setting = last(task, planets, model), set_up(task, planets, model)
    flips, target = report.flip_set, setting.targets[0]
    assert flips is not None
    assert report.target is not None
    assert flips.place_full == report.candidates[target].rank
    assert flips.place_empty == report.candidates[target].zero_shot_rank
    for row in flips.sets:
        kept = np.array([[demo not in row.left_out for demo in range(3)]])
        assert row.place == ranks(Scorer(model, setting.prompt).subsets(kept)[0])[target]
    assert flip_sentence(flips, 3).endswith(".")


def test_no_flip_set_without_passes_and_with_methods_that_know_one_score(
    planets: Dataset, model: LanguageModel
) -> None:
    assert last(small(flips=0), planets, model).flip_set is None
    assert last(small(method="gradient"), planets, model).flip_set is None


def test_a_rival_must_be_another_candidate(planets: Dataset, model: LanguageModel) -> None:
    ids = set_up(small(), planets, model).case.candidates
    report = last(small(flip="rival", target=ids[0], rival=ids[1]), planets, model)
    assert report.flip_set is not None
    assert report.flip_set.rival_id == ids[1]
    with pytest.raises(RequestError, match="rival"):
        last(small(flip="rival", rival="nowhere"), planets, model)
    with pytest.raises(RequestError, match="name it as rival"):
        small(flip="rival")


@pytest.mark.parametrize("scoring", ["sum", "calibrated"])
def test_the_list_without_a_named_demonstration_is_that_of_a_prompt_without_it(
    planets: Dataset, model: LanguageModel, scoring: Any
) -> None:
    task = small(family="next_item", scoring=scoring, demos=4, budget=2.0, removals=0, flips=0)
    before = last(task, planets, model)
    report = last(task.model_copy(update={"without": ("D2",)}), planets, model)
    setting = set_up(task, planets, model)
    assert before.list_effects is not None
    assert report.list_effects is not None
    prompt = report.list_effects.measured_without(1)
    assert prompt is not None
    scores = Scorer(model, setting.prompt).subsets(np.array([[True, False, True, True]]))[0]
    assert np.ptp(scores - np.array(prompt.scores)) < 1e-4 or scoring == "calibrated"
    assert len(report.list_effects.measured) == len(before.list_effects.measured) + 1


def test_a_demonstration_that_is_not_there_is_said_and_changes_nothing(planets: Dataset, model: LanguageModel) -> None:
    report = last(small(without=("D2", "D9")), planets, model)
    assert "The prompt has no D9 to take out." in report.notices
    plain = last(small(without=("D2",)), planets, model)
    assert plain.list_effects == report.list_effects


def test_labels_are_read_as_people_write_them() -> None:
    assert small(without=("d7", "2", "D7")).without == ("D2", "D7")
    assert small(without=("D2",)).effective()["without"] == ["D2"]
    assert small(without=("D2",), method="gradient").effective() == small(method="gradient").effective()
    assert command_line(Explain(without=("D2", "D7"))) == "demolens explain --without D2 --without D7"
    for label in ("D0", "E5", "D", "", "D1000"):
        with pytest.raises(RequestError, match="without"):
            small(without=(label,))


@pytest.mark.parametrize("scoring", ["sum", "calibrated"])
def test_the_list_without_a_title_is_that_of_a_prompt_without_it(
    planets: Dataset, model: LanguageModel, scoring: Any
) -> None:
    task = small(family="next_item", scoring=scoring, history_removals=True, method="gradient")
    report, setting = last(task, planets, model), set_up(task, planets, model)
    rows, target = report.history_removals, setting.targets[0]
    assert rows is not None
    assert [row.position for row in rows] == [place for place, met in enumerate(report.history) if met.in_query]
    free = Scorer(model, setting.write(setting.case, (), history=0)).full() if scoring == "calibrated" else 0.0
    for row in rows:
        history = tuple(met for met in setting.case.history if met.item_id != row.item_id)
        prompt = setting.write(replace(setting.case, history=history), setting.demos)
        assert row.title not in prompt.query.text
        assert row.moves_in is None or row.moves_in in prompt.query.text
        scores = Scorer(model, prompt).full() - free
        assert row.score == pytest.approx(scores[target], abs=1e-4)
        assert row.place == row.ranks[target]
    assert (history_sentence(report) or "").startswith("Without ")


def test_no_title_moves_in_where_the_whole_history_stands_in_the_query(planets: Dataset, model: LanguageModel) -> None:
    rows = last(small(history=20, history_removals=True, demos=0), planets, model).history_removals
    assert rows
    assert all(row.moves_in is None for row in rows)
