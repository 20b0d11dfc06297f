"""Whole games against pass-by-pass scores, derivatives of single scores, and costs by hand."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from references import language_model, random_prompt

from bench.product import whole_games
from bench.product.whole_games import KINDS, GameSubject, WholeGame, all_scores, gradients, whole_game
from core.analysis.explain.gradient import gradient_at
from core.analysis.values import TargetScore, all_masks
from core.lm.scoring.score import Scorer


@pytest.fixture(scope="module")
def setting(tiny_llama):
    model = replace(language_model(tiny_llama), model_id="tiny")
    return SimpleNamespace(model=model, prompt=random_prompt("next_item"), targets=(1, None))


def game_of(scores, **parts):
    known = {
        "kind": KINDS[0],
        "user": "7",
        "target": 0,
        "scores": np.asarray(scores, dtype=float),
        "gradient_mean": np.zeros(2),
        "gradient_score": np.zeros(2),
        "demo_tokens": np.array([10.0, 20.0]),
        "query_tokens": 5,
        "candidate_tokens": np.array([3.0, 2.0, 1.0]),
        "length": 50,
    }
    return WholeGame(**{**known, **parts})


def test_scores_of_a_game_are_those_of_single_passes(setting):
    table = np.array(all_scores(setting)["scores"])
    for mask, row in zip(all_masks(4), table, strict=True):
        alone = Scorer(setting.model, setting.prompt).subsets(mask[None])[0]
        assert row == pytest.approx(alone, abs=1e-4)


def test_gradients_of_a_game_are_those_of_single_scores(setting):
    slopes = gradients(setting)
    by_candidate = [
        gradient_at(TargetScore(Scorer(setting.model, setting.prompt), candidate), 0.5).values
        for candidate in range(len(setting.prompt.candidates))
    ]
    assert slopes["score"] == pytest.approx(by_candidate[1].tolist(), abs=1e-4)
    assert slopes["mean"] == pytest.approx(np.mean(by_candidate, axis=0).tolist(), abs=1e-4)


def test_the_gradient_of_the_margin_is_score_minus_mean_of_the_others():
    each = np.array([[1.0, -2.0], [3.0, 0.5], [-1.0, 4.0]])
    game = game_of(np.zeros((4, 3)), gradient_mean=each.mean(axis=0), gradient_score=each[0])
    assert game.gradient_field == pytest.approx(each[0] - each[1:].mean(axis=0))


def test_only_what_follows_the_first_gap_is_run():
    game = game_of(np.zeros((4, 3)))
    none, first, second, both = 5 + 6, 5 + 6, 20 + 5 + 6, 5 + 6
    assert game.costs() == pytest.approx(np.array([none, first, second, both]) / 50)
    assert game.costs([2])[2] == pytest.approx((20 + 5 + 1) / 50)


def test_a_game_is_played_once(setting, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    calls = itertools.count()

    def counted(setting):
        next(calls)
        return all_scores(setting)

    monkeypatch.setattr(whole_games, "all_scores", counted)
    subject = GameSubject(KINDS[2], "7", setting)
    first, second = whole_game(subject), whole_game(subject)
    assert next(calls) == 1
    assert first.scores.tolist() == second.scores.tolist()
    assert first.name == "next_item-recicl-recent-user7"
    assert first.scores.shape == (16, len(setting.prompt.candidates))


def test_any_four_games_in_a_row_mix_families_and_strategies():
    for start in range(len(KINDS) - 3):
        some = KINDS[start : start + 4]
        assert {kind.family for kind in some} == {"yes_no", "next_item"}
        assert len({kind.strategy for kind in some}) == 2
    assert len(set(KINDS)) == len(KINDS)
