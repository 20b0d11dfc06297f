"""Figures of an evaluation against formulas, on scores written by hand."""

from __future__ import annotations

import numpy as np
import pytest

from core.tuning.evaluation import blends
from core.tuning.evaluation.blends import blend_rows
from core.tuning.evaluation.evaluate import CandidateList
from core.tuning.evaluation.evaluation_rows import (
    MEASURES,
    Answers,
    difference_rows,
    gains_at_10,
    measured_over_users,
    period_rows,
    ranking_rows,
    way_rows,
)
from core.tuning.evaluation.record import MetricEstimate, metric_estimate
from core.tuning.evaluation.ways import (
    ANSWERING,
    BASE_BARE,
    GAINS,
    RECICL,
    RECICL_BARE,
    TALLREC,
    TALLREC_BARE,
    AnsweringWay,
    gain,
    minus,
)
from core.tuning.examples import Example, Window

LIKED = (True, False, True, False, True, False)
RIGHT, WRONG, FLAT = np.array(LIKED, float), -np.array(LIKED, float), np.zeros(6)


def example(place, liked=True, user=None):
    return Example(user or f"u{place // 2}", place, float(place), f"i{place}", liked, (), ())


ASKED = tuple(example(place, liked) for place, liked in enumerate(LIKED))


def judged(scores):
    answers = Answers(ASKED, scores)
    return {measure: answers.resampled(measure, 0) for measure in MEASURES}


def test_names_say_how_many_demonstrations():
    assert [AnsweringWay("recicl", count).name for count in (0, 1, 4)] == [
        "RecICL, 0 demonstrations",
        "RecICL, 1 demonstration",
        "RecICL, 4 demonstrations",
    ]
    assert len({way.name for way in ANSWERING}) == len(ANSWERING) == 9
    assert BASE_BARE.adapter is None
    assert TALLREC.adapter == "tallrec"


def test_every_way_has_its_auc_and_the_mean_of_the_users_own():
    crossed = np.array([3.0, 2.0, 1.0, 0.0, -1.0, -2.0])
    rows = {row.way: row for row in way_rows(judged({RECICL.name: crossed, "item mean": WRONG}))}
    # Pairs in order: 3 of 3 for the first like, 2 of 3 for the second, 1 of 3 for the third.
    assert rows[RECICL.name].auc.value == pytest.approx(6 / 9)
    assert rows[RECICL.name].uauc.value == 1.0
    assert (rows[RECICL.name].tuned, rows["item mean"].tuned, rows["item mean"].demos) == ("recicl", None, None)
    assert rows["item mean"].auc.value == 0.0


def test_users_with_both_answers_are_counted():
    assert Answers(ASKED, {}).both_answers == 3
    assert Answers((example(0, True, "u"), example(1, True, "u"), example(2, False, "v")), {}).both_answers == 0


def test_the_gain_is_a_difference_of_differences():
    scores = {RECICL.name: RIGHT, RECICL_BARE.name: FLAT, TALLREC.name: WRONG, TALLREC_BARE.name: FLAT, "MF": FLAT}
    rows = {(row.name, row.measure): row.apart for row in difference_rows(judged(scores))}
    assert rows[f"{RECICL.name} minus MF", "auc"] == MetricEstimate(value=0.5, low=0.5, high=0.5)
    assert rows[minus(RECICL, TALLREC), "uauc"].value == 1.0
    assert rows[gain("recicl"), "auc"].value == 0.5
    assert rows[gain("tallrec"), "auc"].value == -0.5
    assert rows[GAINS, "auc"].value == pytest.approx((1.0 - 0.5) - (0.0 - 0.5))
    assert len(rows) == 2 * (4 + 3)


def test_ways_that_are_missing_have_no_differences():
    found = difference_rows(judged({BASE_BARE.name: FLAT, RECICL_BARE.name: RIGHT, "MF": FLAT}))
    assert found == ()


def test_periods_take_their_own_interactions_only():
    scores = {RECICL.name: np.array([1.0, 0, 1, 0, 0, 1]), TALLREC_BARE.name: FLAT}
    windows = (Window(0.0, 4.0), Window(4.0, None), Window(9.0, None))
    rows, apart = period_rows(Answers(ASKED, scores), windows, seed=0)
    own = [row for row in rows if row.way == RECICL.name]
    assert [(row.period, row.interactions, row.users, row.auc.value) for row in own] == [(1, 4, 2, 1.0), (2, 2, 1, 0.0)]
    assert own[1].auc.low is None
    assert [(row.name, row.period, row.apart.value) for row in apart] == [
        (minus(RECICL, TALLREC_BARE), 1, 0.5),
        (minus(RECICL, TALLREC_BARE), 2, -0.5),
    ]


def test_without_timestamps_only_a_window_without_ends_holds_anything():
    timeless = tuple(Example("u", place, None, "i", True, (), ()) for place in range(2))
    answers = Answers(timeless, {"MF": np.zeros(2)})
    assert len(answers.within(Window()).examples) == 2
    assert answers.within(Window(until=5.0)).examples == ()


def lists():
    made = [({"yes_no": example(2 * n), "next_item": example(2 * n)}, place) for n, place in enumerate((0, 2, 1))]
    return [CandidateList(asked, ("a", "b", "c"), place) for asked, place in made]


def test_ndcg_of_the_item_really_chosen():
    table = np.array([[3.0, 2, 1], [3.0, 2, 1], [3.0, 2, 1]])
    assert gains_at_10(lists(), table) == pytest.approx([1.0, 1 / np.log2(4), 1 / np.log2(3)])


def test_lists_are_compared_within_a_family_and_with_every_reference():
    best = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, 1.0, 0]])
    scores = {
        ("yes_no", RECICL.name): best,
        ("yes_no", RECICL_BARE.name): -best,
        ("next_item", RECICL_BARE.name): best,
        (None, "popularity"): best,
    }
    rows, apart = ranking_rows(lists(), scores, seed=0)
    assert [row.family for row in rows] == ["yes_no", "yes_no", "next_item", None]
    assert (rows[0].way, rows[0].ndcg.value) == (RECICL.name, 1.0)
    differences = {row.name: row.apart.value for row in apart}
    assert differences == {
        f"yes_no, {minus(RECICL, RECICL_BARE)}": pytest.approx(1 - 1 / np.log2(4)),
        f"yes_no, {RECICL.name} minus popularity": 0.0,
    }


def test_a_mean_over_users_draws_whole_users():
    users = ["a"] * 50 + ["b"] * 50
    found = measured_over_users(np.array([0.0] * 50 + [1.0] * 50), users, seed=0)
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)
    assert measured_over_users(np.array([0.25, 0.75]), ["a", "a"], seed=0) == MetricEstimate(value=0.5)
    assert measured_over_users(np.array([]), [], seed=0) == MetricEstimate(value=None)


def test_what_is_not_finite_is_none():
    assert metric_estimate((float("nan"), float("-inf"), 1.0)) == MetricEstimate(value=None, low=None, high=1.0)
    assert metric_estimate([2]) == MetricEstimate(value=2.0)


def test_a_blend_by_hand(monkeypatch):
    """Popularity puts b first, then a and c; a weight of 3 puts b before a score that is 2 higher."""
    likes = {"a": 1.0, "b": np.e**2 - 1, "c": 1.0}
    monkeypatch.setattr(
        blends, "likes_of", lambda _data, items, _moment, _position: np.array([likes[i] for i in items])
    )
    scores = {
        ("yes_no", RECICL.name): np.array([[2.0, 0, 0], [0, 1.0, 0.5], [0, 0, 1.0]]),
        (None, "other"): np.zeros((3, 3)),
    }
    weights = {("yes_no", RECICL.name): 3.0, ("next_item", RECICL.name): 1.0}
    (row,) = blend_rows(None, lists(), scores, weights, seed=0)
    second, third = 1 / np.log2(3), 1 / np.log2(4)
    assert row.model.value == pytest.approx((1 + second + (second + third) / 2) / 3)
    assert row.popularity.value == pytest.approx(((second + third) / 2 + (second + third) / 2 + 1) / 3)
    assert row.blend.value == pytest.approx((second + second + 1) / 3)
    assert row.over_model.value == pytest.approx((row.blend.value or 0) - (row.model.value or 0))
    assert (row.weight, row.lists, row.way) == (3.0, 3, RECICL.name)
    assert blend_rows(None, lists(), scores, {("yes_no", RECICL.name): 0.0}, seed=0) == ()
