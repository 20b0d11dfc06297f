"""Judging constants on games whose truth is known, and the choice without a game by hand."""

import numpy as np
import pytest
from games import additive_game, random_game

from bench.fit_prior import Judgement, alternatives, held_out, interval_score, judged, prior_lines
from core.analysis.explain.surrogate import Prior


def test_an_additive_game_is_foretold_by_any_prior():
    game = additive_game(np.random.default_rng(0).normal(size=(6, 4)))
    judgement = judged(game, Prior())
    assert min(judgement.designed, judgement.random) > 0.98


def test_a_prior_without_any_spread_around_the_guess_is_worse_where_the_guess_is_wrong():
    game = random_game(0, demos=6)
    game.gradient_mean[:] *= -1
    game.gradient_score[:] *= -1
    stubborn = Prior(scale_guess=1e-6, guess_spread=1e-6)
    assert judged(game, Prior()).interval_score < judged(game, stubborn).interval_score


def test_the_interval_score_is_the_width_and_twenty_times_every_miss():
    truth, low, high = np.array([0.0, 3.0]), np.array([-1.0, 0.0]), np.array([1.0, 2.0])
    assert interval_score(truth, low, high) == pytest.approx((2 + 2 + 20 * 1) / 2)


def test_every_alternative_changes_one_constant():
    present = Prior()
    for name, prior in alternatives(present).items():
        changed = [field for field in vars(present) if getattr(prior, field) != getattr(present, field)]
        assert changed == ([] if name == "present" else [name.split(" = ")[0]])


def test_a_game_is_judged_by_what_the_others_choose():
    lds = {"present": np.array([0.5, 0.5, 0.5]), "other": np.array([0.9, 0.6, 0.1])}
    # Without the first game the present is best, without the second it is tied, without the third the other is best.
    assert held_out(lds) == pytest.approx([0.0, 0.0, -0.4])


def test_lines_name_each_constant_and_its_difference_from_the_present():
    table = {"present": [Judgement(0.5, 0.6, 2.0)] * 3, "decay = 0.3": [Judgement(0.7, 0.5, 1.0)] * 3}
    lines = list(prior_lines(table))
    assert lines[1][1].startswith("0.500")
    name, designed, random, score = lines[2]
    assert name == "decay = 0.3, less present"
    assert designed == "+0.200 [+0.200, +0.200]"
    assert random == "-0.100 [-0.100, -0.100]"
    assert score == "-1.000 [-1.000, -1.000]"
    assert lines[3][1].startswith("+0.200")
    assert lines[3][2].startswith("+0.000")
