"""Whether a set is better than chance would choose, with judges whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from core.selection.confirm import can_tell, chance_orders, confirmation
from core.selection.search import Question


class Known:
    """Each member is worth an amount, each choice is of its own ease."""

    def __init__(self, worth, ease):
        self.worth, self.ease = np.asarray(worth, float), np.asarray(ease, float)
        self.asked: list[tuple[Question, int]] = []

    def ask(self, asked):
        self.asked += asked
        return np.array([self.ease[choice] + self.worth[list(question.order)].sum() for question, choice in asked])


def _confirmed(judge, order, current=(), choices=8, seed=("d", "u", 0)):
    return confirmation(judge, order, current, members=len(judge.worth), choices=choices, seed=seed)


def test_scores_are_paired_by_choice_and_chance_is_drawn_for_each():
    judge = Known([1.0, 2.0, 4.0, 8.0, 16.0], np.arange(8.0))
    done = _confirmed(judge, (0, 2), current=(1,))
    assert done.scores == pytest.approx(np.arange(8) + 5.0)
    assert done.rivals["zero_shot"] == pytest.approx(np.arange(8.0))
    assert done.rivals["current"] == pytest.approx(np.arange(8) + 2.0)
    drawn = chance_orders(5, 2, 8, "d", "u", 0)
    worth = [judge.worth[list(order)].sum() for order in drawn]
    assert done.rivals["chance"] == pytest.approx(np.arange(8) + worth)
    assert done.tests["zero_shot"] == (pytest.approx(5.0), 1 / 256, 256)
    assert done.tests["current"].gap == pytest.approx(3.0)
    assert done.mean("zero_shot") == 3.5
    assert all(not question.changed for question, _ in judge.asked)


def test_each_choice_has_a_set_of_its_own_of_the_same_size():
    drawn = chance_orders(30, 4, 8, "d", "u", 0)
    assert len(set(drawn)) == len(drawn) == 8
    assert all(len(order) == len(set(order)) == 4 and max(order) < 30 for order in drawn)
    assert drawn == chance_orders(30, 4, 8, "d", "u", 0) != chance_orders(30, 4, 8, "d", "v", 0)


def test_a_set_holds_where_neither_none_nor_the_own_one_is_above_it():
    judge = Known([1.0, 2.0, -1.0, 0.0], np.zeros(6))
    assert _confirmed(judge, (0,), choices=6).holds
    assert not _confirmed(judge, (0,), current=(1,), choices=6).holds
    assert not _confirmed(judge, (2,), choices=6).holds
    assert _confirmed(judge, (3,), choices=6).holds, "no worse than none"


def test_the_own_set_is_no_rival_of_itself():
    judge = Known([1.0, 2.0], np.zeros(4))
    assert set(_confirmed(judge, (0,), current=(0,), choices=4).rivals) == {"chance", "zero_shot"}
    assert set(_confirmed(judge, (0,), current=(), choices=4).rivals) == {"chance", "zero_shot"}


def test_a_set_that_chance_drew_seldom_looks_better():
    """Of 400 sets that are no better than the average one, about one in twenty has p of at most 0.05."""
    small = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)

        class Noise:
            def ask(self, asked, rng=rng):
                return rng.normal(size=len(asked))

        done = confirmation(Noise(), (0, 1), (), members=20, choices=8, seed=("d", "u", seed))
        small += done.tests["chance"].p <= 0.05
    assert 0.02 <= small / 400 <= 0.08


def test_five_choices_are_needed_to_tell_a_set_from_chance():
    assert [can_tell(choices) for choices in (1, 4, 5, 8, 40)] == [False, False, True, True, True]
