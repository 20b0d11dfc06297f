import math

import numpy as np
import pytest
from games import additive_game, random_game
from hypothesis import given
from hypothesis import strategies as st

from bench.product.game_figures import (
    Prediction,
    covered,
    field_margins,
    game_lds,
    matrix_error,
    passes,
    place_agreement,
    right_signs,
    target_values,
    true_matrix,
    true_places,
    unseen,
)

EFFECTS = np.array([[3.0, 0.0, 0.5], [-1.0, 2.0, 1.0], [0.25, -1.0, 4.0]])


def test_a_margin_is_the_score_minus_the_mean_of_the_others():
    assert field_margins(np.array([[4.0, 1.0, 2.0]])).tolist() == [[2.5, -2.0, -0.5]]


@given(st.integers(0, 1_000), st.floats(-5, 5))
def test_margins_do_not_change_with_what_moves_everything(seed, lift):
    scores = np.random.default_rng(seed).normal(size=(3, 6))
    assert field_margins(scores + lift) == pytest.approx(field_margins(scores), abs=1e-9)
    assert field_margins(scores).sum(axis=1) == pytest.approx(np.zeros(3), abs=1e-9)


def test_the_matrix_of_an_additive_game_holds_the_margins_of_its_effects():
    assert true_matrix(additive_game(EFFECTS)) == pytest.approx(field_margins(EFFECTS))


def test_places_share_the_middle_where_scores_are_equal():
    game = additive_game(np.array([[1.0, 1.0, 0.0]]))
    game.scores[:] = [[0.0, 0.0, 1.0], [2.0, 2.0, 1.0]]
    assert true_places(game).tolist() == [2.5, 1.5]


def test_true_values_are_a_perfect_prediction_and_their_opposite_the_worst():
    game = random_game(3)
    for target in ("score", "field"):
        values = target_values(game, target)
        assert game_lds(game, target, Prediction(values, np.array([1, 2]))) == pytest.approx(1)
        assert game_lds(game, target, Prediction(-values, np.array([1, 2]))) == pytest.approx(-1)
        assert game_lds(game, target, Prediction(0 * values, np.array([1, 2]))) == 0.0


def test_what_was_evaluated_counts_for_nothing():
    game = random_game(4)
    values = target_values(game, "score")
    wrong = values.copy()
    wrong[[0, 3, 7, 31]] = 1e6
    assert game_lds(game, "score", Prediction(wrong, np.array([3, 7]))) == pytest.approx(1)
    assert unseen(8, [2, 5]).tolist() == [1, 3, 4, 6]


def test_places_are_foretold_by_places_or_by_values():
    game = random_game(5)
    places = true_places(game)
    rows = np.array([], dtype=np.int64)
    assert place_agreement(game, Prediction(-places, rows)) == pytest.approx(1)
    assert place_agreement(game, Prediction(places, rows, places)) == pytest.approx(1)
    game.scores[:, game.target] = 100.0
    assert math.isnan(place_agreement(game, Prediction(-places, rows)))


def test_the_error_and_the_signs_of_a_matrix():
    truth = np.array([[4.0, -1.0], [2.0, 1.0]])
    assert matrix_error(truth, truth) == 0
    assert matrix_error(truth, np.zeros((2, 2))) == 1
    assert matrix_error(truth, np.array([[4.0, -1.0], [2.0, 3.0]])) == pytest.approx(2 / 8)
    assert right_signs(truth, np.array([[1.0, 1.0], [1.0, -9.0]])) == pytest.approx(6 / 8)


def test_intervals_that_cover():
    truth = np.array([1.0, 2.0, 3.0, 4.0])
    assert covered(truth, truth - 1, np.array([1.0, 1.5, 9.0, 9.0])) == 0.75


def test_the_own_score_reads_one_candidate():
    game = additive_game(EFFECTS)
    assert passes(game, "score", [0]) == pytest.approx((5 + 2) / 40)
    assert passes(game, "field", [0]) == pytest.approx((5 + 6) / 40)
    assert passes(game, "score", [0], whole_list=True) == passes(game, "field", [0])
