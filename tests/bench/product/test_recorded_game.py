"""A recorded game in place of a model: scores, derivatives and costs are those that the game holds."""

import numpy as np
import pytest
from games import additive_game, random_game

from bench.product.recorded_game import game_score
from core.analysis.explain.refine import list_gradients
from core.analysis.values import Meter
from core.question.targets import EXPLAINED


@pytest.mark.parametrize("explain", ["field", "score", "lift"])
def test_sums_of_recorded_scores(explain):
    game = random_game(0, demos=4)
    weights = EXPLAINED[explain].weights(4, game.target)
    score = game_score(game, explain)
    assert score.at(game.masks) == pytest.approx(game.scores @ weights)


def test_gradients_are_the_recorded_ones():
    game = additive_game(np.random.default_rng(0).normal(size=(5, 4)), target=2)
    score = game_score(game)
    guesses, gradient = list_gradients(score, Meter(score.scorer))
    assert guesses.mean == pytest.approx(game.gradient_mean)
    assert guesses.deviations[2] == pytest.approx(game.gradient_score - game.gradient_mean)
    assert gradient.values == pytest.approx(game.gradient_field)


def test_each_subset_costs_what_follows_its_first_gap_once():
    game = random_game(1, demos=4)
    score = game_score(game)
    meter = Meter(score.scorer)
    for _ in range(2):
        score.scores_at(game.masks[[3, 5, 15]])
    assert meter.read().passes == pytest.approx(game.costs()[[3, 5]].sum())
    assert meter.read().forwards == 2


def test_a_game_knows_only_removals_from_the_text():
    game = random_game(2, demos=4)
    with pytest.raises(ValueError, match="gate"):
        game_score(game).at(game.masks[[1]], "gate")
