"""A blended list has the model's effects and its own places; a weight of zero changes nothing."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
from explained_planets import last, small
from logged_cases import case_file, text_case

from core.analysis.explain.explanation import Explanation
from core.cli.explanation_lines import explanation_lines
from core.data.dataset import Dataset
from core.errors import RequestError
from core.lm.loading.load import LanguageModel
from core.question.case_spec import CaseSpec
from core.question.command_line import command_line, task_of
from core.question.targets import Explained

WEIGHT = 30.0
LIKERS = {"u": 0, "v": 3, "w": 6}


def likes_by_hand(item: int, moment: float = 80.0) -> int:
    """User u meets item place + shift at 10 (place + 1) + shift; of three ratings, 5, 4 and 3, two are likes."""
    met = [(shift, place) for shift in LIKERS.values() for place in range(8) if (place + shift) % 12 == item]
    return sum(place % 3 < 2 and 10 * (place + 1) + shift < moment for shift, place in met)


def by_hand(explanation: Explanation, weight: float = WEIGHT) -> list[float]:
    return [weight * math.log(1 + likes_by_hand(int(row.item_id))) for row in explanation.candidates]


def pair(planets: Dataset, model: LanguageModel, **choices: Any) -> tuple[Explanation, Explanation]:
    """The same question of the model alone and of the blended list."""
    return last(small(**choices), planets, model), last(small(prior=WEIGHT, **choices), planets, model)


def place(scores: list[float], at: int) -> float:
    """By counting: better ones, and the middle of equal ones."""
    return 1 + sum(score > scores[at] for score in scores) + (sum(score == scores[at] for score in scores) - 1) / 2


@pytest.mark.parametrize(
    "choices",
    [{"family": "yes_no"}, {"family": "next_item"}, {"family": "next_item", "scoring": "calibrated"},
     {"family": "next_item", "scoring": "mean"}],
)  # fmt: skip
def test_scores_and_places_are_those_of_the_blend(
    planets: Dataset, model: LanguageModel, choices: dict[str, Any]
) -> None:
    alone, blended = pair(planets, model, **choices)
    assert len({*by_hand(blended)}) > 1
    for before, row, prior in zip(alone.candidates, blended.candidates, by_hand(blended), strict=True):
        assert row.prior == pytest.approx(prior)
        assert row.score == pytest.approx((before.score or 0) + prior, abs=1e-6)
        assert row.zero_shot_score == pytest.approx((before.zero_shot_score or 0) + prior, abs=1e-6)
        assert (row.model_rank, before.model_rank, before.prior) == (before.rank, None, 0.0)
    scores = [(row.score or 0) + prior for row, prior in zip(alone.candidates, by_hand(alone), strict=True)]
    assert [row.rank for row in blended.candidates] == [place(scores, at) for at in range(len(scores))]
    assert [row.rank for row in blended.candidates] != [row.rank for row in alone.candidates]


@pytest.mark.parametrize("explain", get_args(Explained))
@pytest.mark.parametrize("method", ["default", "gradient", "leave_one_out"])
def test_effects_are_those_of_the_model(
    planets: Dataset, model: LanguageModel, explain: Explained, method: str
) -> None:
    """From the same ablations; removals and sets that are sought by places are others, as the places are."""
    against = {"against": "9", "candidate_ids": ("7", "9", "10", "11")} if explain == "pair" else {}
    alone, blended = pair(planets, model, explain=explain, method=method, removals=0, flips=0, **against)
    assert alone.contributions is not None
    assert blended.contributions is not None
    np.testing.assert_allclose(blended.contributions.values, alone.contributions.values, atol=1e-5)
    assert blended.contributions.residual == pytest.approx(alone.contributions.residual, abs=1e-5)
    if alone.list_effects is not None and blended.list_effects is not None:
        np.testing.assert_allclose(blended.list_effects.effects, alone.list_effects.effects, atol=1e-5)


def test_every_measured_list_is_a_blended_one(planets: Dataset, model: LanguageModel) -> None:
    alone, blended = pair(planets, model, removals=3, history_removals=True)
    assert alone.list_effects is not None
    assert blended.list_effects is not None
    before = {prompt.left_out: prompt for prompt in alone.list_effects.measured}
    shared = [prompt for prompt in blended.list_effects.measured if prompt.left_out in before]
    assert len(shared) >= 4
    for prompt in shared:
        scores = [s + p for s, p in zip(before[prompt.left_out].scores, by_hand(blended), strict=True)]
        np.testing.assert_allclose(prompt.scores, scores, atol=1e-6)
        assert list(prompt.ranks) == [place(scores, at) for at in range(len(scores))]
    at = blended.target_index or 0
    for row, plain in zip(blended.history_removals or (), alone.history_removals or (), strict=True):
        assert row.score == pytest.approx(plain.score + by_hand(blended)[at], abs=1e-6)


def test_a_weight_of_zero_is_the_model_alone(planets: Dataset, model: LanguageModel) -> None:
    plain, zero = last(small(), planets, model), last(small(prior=0), planets, model)
    timed = {"seconds", "timings", "provenance", "contributions", "list_effects", "flip_set"}
    assert zero.model_dump(exclude=timed) == plain.model_dump(exclude=timed)
    assert zero.key == plain.key
    assert "prior" not in small(prior=0).effective()["case"]
    assert small(prior=0.5).effective()["case"]["prior"] == 0.5
    assert not any("blend" in line for line in explanation_lines(zero))


def test_the_lines_say_what_the_places_are(planets: Dataset, model: LanguageModel) -> None:
    blended = last(small(prior=WEIGHT), planets, model)
    lines = explanation_lines(blended)
    head = next(line for line in lines if line.startswith("rank"))
    assert head.split()[:4] == ["rank", "without", "model", "score"]
    first = next(row for row in blended.candidates if row.rank == 1)
    assert f"{first.model_rank:g}" == next(line for line in lines if first.title in line).split()[2]
    assert sum("30 x log(1 + likes before the moment)" in line for line in lines) == 1


def test_a_command_repeats_the_weight() -> None:
    assert "--prior 1.5" in command_line(small(prior=1.5))
    assert "--prior" not in command_line(small())
    assert "--prior 0.0" in command_line(small(adapter="recicl"))


def test_a_finished_prompt_has_no_popularity(tmp_path: Any) -> None:
    path = case_file(tmp_path, text_case("call 1"))
    with pytest.raises(RequestError, match="prior has no meaning for a case from a file"):
        task_of(type(small()), {"cases": str(path), "case": "call 1", "prior": 1.0})
    assert "prior" not in CaseSpec(cases=str(path), case="call 1").effective()
