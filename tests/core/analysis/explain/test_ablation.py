"""Shapley, Banzhaf, leave-one-out and regression on games whose answers are known by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from references import Pair, random_prompt
from scipy.stats import spearmanr

from core.analysis.explain.ablation import (
    banzhaf_of_table,
    lasso_fit,
    leave_one_out,
    random_masks,
    regression,
    shapley,
    shapley_of_table,
    shapley_sampling,
)
from core.analysis.values import TargetScore, all_masks
from core.errors import RequestError
from core.lm.scoring.score import Scorer


class Game(TargetScore):
    """A made game in place of a prompt: the score is any function of the mask."""

    def __init__(self, demos: int, worth: Callable[[np.ndarray], float]) -> None:
        self.demos, self.worth, self.asked = demos, worth, 0
        self.scorer: Any = _Counter()

    def at(self, masks: Any, removal: Any = "text") -> Any:
        self.scorer.cost.tokens += len(masks)
        return np.array([self.worth(np.asarray(mask)) for mask in masks])


class _Counter:
    class cost:  # noqa: N801
        forwards, backwards, tokens = 0, 0, 0

    class prompt:  # noqa: N801
        length = 1


def gloves(mask: np.ndarray) -> float:
    """Two left gloves and a right one: a pair is worth 1."""
    return float(bool(mask[0] or mask[1]) and bool(mask[2]))


def test_shapley_values_of_the_glove_game() -> None:
    table = np.array([gloves(mask) for mask in all_masks(3)])
    np.testing.assert_allclose(shapley_of_table(table, 3), [1 / 6, 1 / 6, 4 / 6])


def test_banzhaf_values_of_the_glove_game() -> None:
    table = np.array([gloves(mask) for mask in all_masks(3)])
    np.testing.assert_allclose(banzhaf_of_table(table, 3), [1 / 4, 1 / 4, 3 / 4])


def test_leave_one_out_of_the_glove_game() -> None:
    np.testing.assert_allclose(leave_one_out(Game(3, gloves)).values, [0, 0, 1])


def test_shapley_sampling_covers_the_glove_game() -> None:
    answer = shapley_sampling(Game(3, gloves), budget=2_000, seed=1)
    assert answer.low is not None
    assert answer.high is not None
    assert np.all(answer.low <= [1 / 6, 1 / 6, 4 / 6])
    assert np.all(answer.high >= [1 / 6, 1 / 6, 4 / 6])
    assert answer.values.sum() == pytest.approx(1)


def test_an_additive_game_is_read_exactly_by_every_method() -> None:
    weights = np.array([0.5, -1.0, 2.0, 0.0, 1.5])
    game = Game(5, lambda mask: 3 + float(mask @ weights))
    for answer in (leave_one_out(game), shapley(game), shapley_sampling(game, budget=50, seed=0)):
        np.testing.assert_allclose(answer.values, weights, atol=1e-12)
    np.testing.assert_allclose(regression(game, budget=200, seed=0).values, weights, atol=0.05)


def test_shapley_on_a_model_is_efficient_and_needs_only_distinct_subsets(pair: Pair) -> None:
    score = TargetScore(Scorer(pair.model, random_prompt("yes_no", demos=6)), 0)
    answer = shapley(score)
    assert answer.values.sum() == pytest.approx(score.full - score.empty, abs=1e-4)
    assert score.scorer.cost.forwards == 2**6


def test_too_many_demonstrations_for_exact_shapley_is_one_sentence() -> None:
    with pytest.raises(RequestError, match="method: exact Shapley values of 9 demonstrations need 512 prompts"):
        shapley(Game(9, gloves))


def test_lasso_recovers_a_sparse_account() -> None:
    masks = random_masks(8, 200, seed=3)
    scores = masks @ np.array([2.0, 0, 0, -1.5, 0, 0, 0, 0])
    fit = lasso_fit(masks, scores)
    np.testing.assert_allclose(fit[[0, 3]], [2.0, -1.5], atol=0.05)
    np.testing.assert_allclose(np.delete(fit, [0, 3]), 0, atol=0.02)


def test_random_masks_repeat_with_their_seed_and_keep_half() -> None:
    masks = random_masks(8, 4_000, seed=5)
    assert (masks == random_masks(8, 4_000, seed=5)).all()
    assert masks.mean() == pytest.approx(0.5, abs=0.01)


def test_spearman_equals_scipy() -> None:
    from core.metrics.similarity import spearman

    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 9, 40).astype(float), rng.random(40)
    assert spearman(first, second) == pytest.approx(spearmanr(first, second).statistic)
    assert np.isnan(spearman(np.ones(5), second[:5]))
