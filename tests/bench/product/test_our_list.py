"""The product's answers on whole games: what they read, what they cost, and that they agree with one another."""

import numpy as np
import pytest
from games import additive_game, random_game

from bench.product.game_figures import game_lds, matrix_error, true_matrix
from bench.product.our_list import default_answers, list_answers
from core.analysis.explain.explain_task import Explain

EFFECTS = np.random.default_rng(1).normal(size=(6, 5))


def test_an_additive_game_is_foretold_from_its_gradients_alone():
    game = additive_game(EFFECTS)
    answer = list_answers(game, [0])[0]
    for target in ("score", "field"):
        assert game_lds(game, target, answer.prediction(game, target)) > 0.99
        assert game_lds(game, target, answer.additive(game, target)) > 0.99
    assert answer.evaluated.tolist() == []


def test_each_number_of_ablations_adds_to_those_before():
    game = random_game(0, demos=6)
    answers = list_answers(game, [0, 4, 8])
    assert [len(answer.evaluated) for answer in answers.values()] == [0, 4, 8]
    assert answers[8].evaluated[:4].tolist() == answers[4].evaluated.tolist()
    assert len(set(answers[8].evaluated.tolist())) == 8
    assert not {0, 63} & set(answers[8].evaluated.tolist())


def test_ablations_that_were_not_chosen_change_nothing():
    game, changed = random_game(2, demos=6), random_game(2, demos=6)
    before = list_answers(game, [4])[4]
    hidden = np.setdiff1d(np.arange(1, 63), before.evaluated)
    changed.scores[hidden] += np.random.default_rng(3).normal(size=(len(hidden), 4))
    after = list_answers(changed, [4])[4]
    assert after.scores == pytest.approx(before.scores)
    assert after.evaluated.tolist() == before.evaluated.tolist()


def test_the_matrix_and_the_bars_say_the_same_of_the_target():
    game = random_game(4, demos=6)
    answer = list_answers(game, [8])[8]
    assert answer.matrix.value[:, game.target] == pytest.approx(answer.bars["field"].value)
    assert answer.matrix.value.sum(axis=1) == pytest.approx(np.zeros(6), abs=1e-9)


def test_with_nearly_every_subset_scored_the_matrix_is_nearly_the_truth():
    game = random_game(5, demos=4)
    answer = list_answers(game, [12])[12]
    assert matrix_error(true_matrix(game), answer.matrix.value) < 0.1
    read = answer.evaluated
    assert answer.scores[read] == pytest.approx(game.scores[read], abs=1e-3)


def test_the_cost_is_that_of_the_gradients_and_of_every_candidate_read():
    game = additive_game(EFFECTS)
    packed = game.length - 2 + 5 * 2
    gradients = 5 * packed / game.length  # One forward pass, and two backward passes of twice its cost.
    answers = list_answers(game, [0, 4])
    assert answers[0].passes == pytest.approx(gradients)
    assert answers[4].passes - gradients == pytest.approx(game.costs()[answers[4].evaluated].sum())


def test_places_are_promised_what_their_intervals_hold_at_least():
    answer = list_answers(random_game(3, demos=6), [8])[8]
    assert (answer.promised >= 0.9 - 1e-9).all()
    assert (answer.promised <= 1).all()


def test_the_default_stops_at_its_budget_and_goes_on_with_removals_and_flips():
    refined, complete = default_answers(random_game(7, demos=8, candidates=20))
    removed = len(complete.evaluated) - len(refined.evaluated)
    assert 1 <= removed <= Explain().removals + Explain().flips
    assert complete.evaluated[: len(refined.evaluated)].tolist() == refined.evaluated.tolist()
    assert Explain().budget <= refined.passes < Explain().budget + 2
