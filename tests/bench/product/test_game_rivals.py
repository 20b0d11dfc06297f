"""Rivals on games whose truth is known by formula."""

import numpy as np
import pytest
from games import additive_game, random_game
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from bench.product.game_figures import game_lds, target_values
from bench.product.game_rivals import (
    RIVALS,
    divergence,
    jensen_shannon,
    leave_one_out,
    paired,
    random_rows,
    ridge_effects,
)
from bench.product.whole_games import KINDS

EFFECTS = np.random.default_rng(0).normal(size=(8, 5))
YES_NO = KINDS[1]
"""Here a score is a log-odds, so that ContextCite's target is linear too."""
SIGNED = [rival for rival in RIVALS if rival.name != "ARC-JSD"]


@pytest.mark.parametrize("rival", SIGNED, ids=lambda rival: rival.name)
@pytest.mark.parametrize("target", ["score", "field"])
def test_every_rival_sees_through_an_additive_game(rival, target):
    game, count = additive_game(EFFECTS, kind=YES_NO), rival.counts[-1]
    assert game_lds(game, target, rival.predict(game, target, count, 0)) > 0.95


@pytest.mark.parametrize("rival", RIVALS, ids=lambda rival: rival.name)
def test_no_rival_reads_more_than_its_evaluations(rival):
    game = random_game(1, demos=8)
    for count in rival.counts:
        for draw in range(rival.repeats):
            evaluated = rival.predict(game, "field", count, draw).evaluated
            assert len(set(evaluated.tolist()) - {0, 255}) <= count


@pytest.mark.parametrize("rival", RIVALS, ids=lambda rival: rival.name)
def test_what_was_not_evaluated_changes_no_prediction(rival):
    game, changed = random_game(2, demos=8), random_game(2, demos=8)
    before = rival.predict(game, "score", rival.counts[0], 1)
    hidden = np.setdiff1d(np.arange(1, 255), before.evaluated)
    changed.scores[hidden] += np.random.default_rng(3).normal(size=(len(hidden), 4))
    after = rival.predict(changed, "score", rival.counts[0], 1)
    assert after.values == pytest.approx(before.values)


def test_least_squares_and_removals_are_exact_without_interactions():
    game = additive_game(EFFECTS)
    truth = target_values(game, "score")
    for prediction in (paired(game, "score", 32, 0), leave_one_out(game, "score", 8, 0)):
        assert np.ptp(prediction.values - truth) == pytest.approx(0, abs=1e-9)


def test_ridge_shrinks_towards_the_effects():
    game = additive_game(EFFECTS)
    effects = ridge_effects(game, target_values(game, "score"), random_rows(game, 32, 0))
    assert effects == pytest.approx(EFFECTS[:, 0], abs=0.1)


def test_pairs_hold_a_subset_and_its_complement():
    rows = paired(random_game(3, demos=8), "score", 16, 2).evaluated
    assert len(set(rows.tolist())) == 16
    assert set((255 - rows).tolist()) == set(rows.tolist())


def test_the_divergence_knows_which_demonstration_changes_the_answer():
    effects = np.zeros((8, 5))
    effects[3, 0] = 4.0
    for kind in KINDS[:2]:
        game = additive_game(effects, kind=kind)
        worth = divergence(game, "score", 8, 0).values[[1 << k for k in range(8)]]
        assert worth.argmax() == 3
        assert np.delete(worth, 3) == pytest.approx(np.zeros(7), abs=1e-12)


@given(st.integers(0, 10_000))
def test_the_divergence_is_the_square_of_scipy_s_distance(seed):
    first, second = np.random.default_rng(seed).dirichlet(np.ones(6), size=2)
    assert jensen_shannon(first, second) == pytest.approx(jensenshannon(first, second) ** 2)


def test_the_divergence_of_disjoint_answers_is_the_logarithm_of_two():
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(np.log(2))
