"""Smallest removals on games whose answer is known by hand."""

import numpy as np
import pytest
from games import additive_game

from bench.product.flip_figures import FlipFigures, flip_figures, flip_rows


def test_one_demonstration_alone_puts_the_target_behind():
    effects = np.zeros((5, 4))
    effects[2, 0] = -8
    game = additive_game(effects)  # Without demonstrations the target is first, with all of them last.
    by_goal = {each.goal: each for each in flip_figures(game)}
    for goal in ("empty", "first", "rival"):
        assert (by_goal[goal].smallest, by_goal[goal].verified) == (1, 1)


def test_where_removing_all_alone_does_it_no_set_exists():
    effects = np.full((4, 3), 0.0)
    effects[:, 0] = -2.0  # Any demonstration that is left keeps the target behind.
    game = additive_game(effects)
    (figures,) = [each for each in flip_figures(game) if each.goal == "empty"]
    assert figures.smallest is None
    assert figures.verified is None


def test_shares_of_what_exists():
    games = [
        [FlipFigures("empty", 2, 2, 3), FlipFigures("first", 1, None, 8)],
        [FlipFigures("empty", 2, 3, 5), FlipFigures("first", None, None, 8)],
    ]
    rows = {row.measure: row for row in flip_rows(games, "2 games")}
    assert rows["2 games: flip set, all goals, found of the 3 that exist"].value == pytest.approx(0.75)
    assert rows["2 games: flip set, all goals, smallest of the 3 that exist"].value == pytest.approx(0.25)
    assert rows["2 games: flip set, all goals, at most one larger of the 3 that exist"].value == pytest.approx(0.75)
    assert rows["2 games: flip set, all goals, prompts of a search"].value == pytest.approx((5.5 + 6.5) / 2)
    assert rows["2 games: flip set, all goals, found of the 3 that exist"].target == ">= 0.9"
