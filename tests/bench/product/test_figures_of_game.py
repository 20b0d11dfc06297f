"""Rows about whole games: every promise of the issue is there, and only measured numbers stand in them."""

import numpy as np
import pytest
from games import additive_game, random_game

from bench.product import figures_of_game as games_module
from bench.product.figures_of_game import BARS, OUR_COUNTS, OURS, PLACES, PROMISED, figures_of_game
from bench.product.game_figures import Prediction, target_values
from bench.product.game_rows import game_rows, our_rows
from bench.product.whole_games import KINDS
from core.question.targets import EXPLAINED

RIVAL = "a rival that knows everything"


def package_predictions(game):
    known = {
        (RIVAL, target, count): [Prediction(target_values(game, target), np.arange(count))]
        for target in ("score", "field")
        for count in (4, 8)
    }
    return known, {"another rival": "it needs a network"}


@pytest.fixture(scope="module")
def games():
    """The figures of an additive game of yes_no and of one with interactions of next_item."""
    additive = additive_game(np.random.default_rng(2).normal(size=(8, 5)), kind=KINDS[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(games_module, "package_predictions", package_predictions)
        one_pass = {"a trace": additive.gradient_score}
        return [
            figures_of_game(additive, one_pass, {}),
            figures_of_game(random_game(6, demos=8), {}, {"a trace": "no"}),
        ]


def test_a_game_in_figures(games):
    figures = games[0]
    assert figures.methods[OURS, "field", 0].lds > 0.99
    assert figures.methods[RIVAL, "score", 8].lds == pytest.approx(1)
    assert figures.methods["a trace", "score", 0].lds == pytest.approx(1)
    assert figures.methods["a trace", "score", 0].passes == 1
    assert figures.methods["leave-one-out", "field", 8].lds == pytest.approx(1)
    assert figures.matrices["leave-one-out", 8] == (pytest.approx(0, abs=1e-9), pytest.approx(1))
    assert figures.at_budget["score"].lds > 0.99
    assert figures.cite["score"].lds > 0.95
    assert set(figures.coverage) == {
        (name, count)
        for name in (*(f"effects on the {row.words}" for row in EXPLAINED.values()), "matrix", PLACES, PROMISED)
        for count in OUR_COUNTS
    }
    assert {each.goal for each in figures.flips} <= {"empty", "first", "rival"}


def test_rows_hold_every_promise_and_every_rival(games):
    rows = {row.measure: row for row in game_rows(games)}
    assert len(rows) == len(game_rows(games))
    promised = [row.target for row in rows.values() if row.target]
    for least in (0.66, 0.7, 0.73, 0.77, 0.81, 0.48, 0.57, 0.62, 0.69, 0.75):
        assert f">= {least:g}" in promised
    for target in (">= 0.5", ">= 0.6", "<= 0.5", ">= 0.94", ">= 0.95", "0.87 to 0.93", ">= 0.9", ">= 0.85"):
        assert target in promised
    behind = rows[f"2 whole games: LDS of the own score, {OURS} minus {RIVAL}, 8 evaluations"]
    assert behind.met is False
    assert behind.value < 0
    (missing,) = [row for name, row in rows.items() if name.startswith("another rival")]
    assert missing.value is None
    assert missing.measure.endswith("it needs a network")


def test_places_of_one_family_are_judged_on_its_games_alone(games):
    rows = {row.measure: row for row in game_rows(games)}
    alone = rows[f"2 whole games: predicted and true place of yes_no, base model, 16 ablations, {OURS}"]
    assert alone.value == pytest.approx(games[0].methods[OURS, "field", 16].places)
    assert games[0].methods[BARS, "score", 16].places < 1


def test_rows_are_there_before_a_game_of_the_promised_kind(games):
    rows = [row for row in game_rows(games[1:]) if "of yes_no, base model, 16" in row.measure]
    assert rows
    assert all(row.value is None for row in rows)


def test_on_other_data_the_intervals_alone_are_promised(games):
    rows = our_rows(games, "other data")
    assert {row.target for row in rows} == {None, "0.87 to 0.93"}
    assert all("that cover" in row.measure for row in rows if row.target)
    places = [row for row in rows if f"intervals of {PROMISED} that cover" in row.measure]
    assert places
    assert all(row.value >= 0.9 for row in places)
