"""The statistics of a sweep, by hand on small tables of scores."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.analysis.robustness.perturbations import PerturbationKind
from core.analysis.robustness.robustness_task import Estimate, KindRow
from core.analysis.robustness.sweep import (
    Departures,
    departures,
    estimate,
    gains,
    over_cases,
    rows_of,
    smallest_flip,
    weakest,
)
from core.errors import RequestError

BASE = np.array([3.0, 2.0, 1.0])
SCORES = np.array([[3.0, 2.0, 1.0], [2.0, 3.0, 1.0], [0.0, 1.0, 2.0]])
"""The same order; the first two exchanged; reversed."""


def made(flips: list[bool], score: list[float], overlap: list[float] | None = None) -> Departures:
    """Departures with these changes of the margin, and places ten times as large."""
    nothing = np.full(len(flips), math.nan)
    apart = nothing if overlap is None else np.array(overlap)
    margin = np.array(score)
    return Departures(np.array(flips, dtype=bool), nothing, apart, nothing, nothing, 10 * margin, margin)


def test_departures_of_three_orders() -> None:
    found = departures(BASE, SCORES, chosen=0, target=0)
    assert found.flips.tolist() == [False, True, True]
    np.testing.assert_allclose(found.tau, [1, 1 / 3, -1])
    p = 0.9
    swapped = p**3 + (1 - p) / p * (p**2 + p**3)
    turned = p**3 + (1 - p) / p * (p**2 / 2 + p**3)
    np.testing.assert_allclose(found.overlap, [1, swapped, turned])
    np.testing.assert_allclose(found.ndcg, [0, 1 / math.log2(3) - 1, 1 / math.log2(4) - 1])
    np.testing.assert_allclose(found.score, [0, -1, -3])
    np.testing.assert_allclose(found.place, [0, 1, 2])
    # Margins of the first over the mean of the others: 3 - 1.5, 2 - 2 and 0 - 1.5.
    np.testing.assert_allclose(found.margin, [0, 0 - 1.5, -1.5 - 1.5])


def test_a_margin_is_the_difference_of_two_candidates() -> None:
    found = departures(BASE, SCORES, target=0, against=2)
    np.testing.assert_allclose(found.score, [2 - 2, 1 - 2, -2 - 2])
    np.testing.assert_allclose(found.margin, departures(BASE, SCORES, target=0).margin)


def test_a_case_without_a_target_still_has_flips() -> None:
    found = departures(BASE, SCORES)
    assert np.isnan(found.ndcg).all()
    assert np.isnan(found.score).all()
    assert found.flips.any()


def test_who_shares_the_first_place_still_comes_first() -> None:
    shared = np.array([1.0, 1.0, 0.0])
    after = np.array([[0.0, 0.0, 0.0], [0.0, 2.0, 1.0], [0.0, 0.0, 1.0]])
    found = departures(shared, after, chosen=0)
    assert found.flips.tolist() == [False, False, True]
    apart = 1 / math.log2(3)
    expected = [(1 + apart + 0.5) / 3 - (1 + apart) / 2, 0.5 - (1 + apart) / 2, (apart + 0.5) / 2 - (1 + apart) / 2]
    np.testing.assert_allclose(found.ndcg, expected)
    order = [1, 2, 0]
    turned = departures(shared[order], after[:, order], chosen=2)
    for name, values in vars(found).items():
        np.testing.assert_allclose(getattr(turned, name), values)


def test_one_candidate_cannot_flip_and_no_variant_gives_empty_tables() -> None:
    alone = departures(np.array([1.0]), np.array([[5.0]]), chosen=0, target=0)
    assert not alone.flips[0]
    assert math.isnan(alone.tau[0])
    assert alone.ndcg[0] == 0
    assert departures(BASE, np.empty((0, 3))).flips.shape == (0,)


def test_other_candidates_are_refused() -> None:
    with pytest.raises(RequestError, match="scores of 2 candidates; expected 3"):
        departures(BASE, np.ones((4, 2)))


def test_the_gain_falls_with_the_rank_and_ends_after_ten() -> None:
    scores = np.arange(12.0)[None]
    assert [gains(scores, place)[0] for place in (11, 10, 2, 1)] == pytest.approx(
        [1, 1 / math.log2(3), 1 / math.log2(11), 0]
    )


def test_rows_are_means_over_the_variants_of_their_cell() -> None:
    cells: list[tuple[PerturbationKind, float]] = [("typos", 0.1), ("inject", 0.5), ("typos", 0.1)]
    rows = rows_of(cells, departures(BASE, SCORES, chosen=0, target=0), seed="case")
    assert [(row.kind, row.strength, row.count) for row in rows] == [("typos", 0.1, 2), ("inject", 0.5, 1)]
    assert rows[0].flips.mean == 0.5
    assert rows[0].score is not None
    assert rows[0].score.mean == pytest.approx(-1.5)
    assert rows[0].place is not None
    assert rows[0].place.mean == pytest.approx(1), "0 and 2 places"
    assert rows[0].margin is not None
    assert rows[0].margin.mean == pytest.approx(-1.5), "0 and -3 nats"
    assert rows[1].score == Estimate(mean=-1)
    assert rows[1].tau is not None
    assert rows[1].tau.mean == pytest.approx(1 / 3)


def test_rows_without_a_target_have_no_such_means() -> None:
    (row,) = rows_of([("inject", 0.5)] * 3, departures(BASE, SCORES), seed=0)
    assert row.ndcg is None
    assert row.score is None
    assert row.flips.mean == pytest.approx(2 / 3)


def test_an_interval_holds_the_mean_and_repeats() -> None:
    values = np.random.default_rng(3).normal(2.0, 1.0, 400)
    one = estimate(values, seed=1)
    assert one == estimate(values, seed=1)
    assert one is not None
    assert one.low is not None
    assert one.high is not None
    assert one.low < one.mean < one.high
    half = 1.645 * values.std(ddof=1) / math.sqrt(400)
    assert one.high - one.low == pytest.approx(2 * half, rel=0.15), "the normal interval of a mean"


def test_few_numbers_have_no_interval_and_none_no_mean() -> None:
    assert estimate(np.array([2.0, math.nan]), seed=0) == Estimate(mean=2.0)
    assert estimate(np.array([math.nan]), seed=0) is None
    assert estimate(np.array([]), seed=0) is None
    assert estimate(np.array([1.0, 1.0]), seed=0) == Estimate(mean=1.0, low=1.0, high=1.0)


def test_over_cases_the_cases_are_drawn_again() -> None:
    def case(flips: float, score: float | None) -> list[KindRow]:
        made = None if score is None else Estimate(mean=score)
        return [KindRow(kind="inject", strength=0.5, count=3, flips=Estimate(mean=flips), score=made)]

    (row,) = over_cases([case(0.0, -1.0), case(1.0, None), case(0.5, -2.0)], seed=0)
    assert row.count == 3
    assert row.flips.mean == pytest.approx(0.5)
    assert (row.flips.low, row.flips.high) == pytest.approx((0.0, 1.0), abs=0.2)
    assert row.score is not None
    assert row.score.mean == pytest.approx(-1.5)
    assert row.tau is None


def test_the_smallest_flip_is_by_strength_then_by_what_else_moves() -> None:
    found = made([False, True, True, True], [0] * 4, [1.0, 0.9, 0.5, 0.7])
    assert smallest_flip(np.array([0.1, 0.5, 0.25, 0.25]), found) == 3
    assert smallest_flip(np.array([0.1]), made([False], [0.0])) is None


def test_the_weakest_flips_with_the_fewest() -> None:
    touched = [(0,), (1,), (1, 2), (2, 3), ()]
    flips = [False, False, True, True, True]
    one = weakest(touched, made(flips, [9.0, 0.1, 0.2, 0.4, 5.0]))
    assert one is not None
    assert (one.place, one.flip, one.variants) == (3, 3, 1), "1, 2 and 3 flip in pairs; 3 moves the score most: 0.2"
    assert one.change == pytest.approx(0.2)
    assert one.places == pytest.approx(2.0)
    alone = weakest(touched, made([False, True, *flips[2:]], [9.0, 0.1, 0.2, 0.4, 5.0]))
    assert alone is not None
    assert (alone.place, alone.flip) == (1, 1)


def test_without_a_flip_the_weakest_moves_the_score_most() -> None:
    one = weakest([(0,), (1,), (0, 1)], made([False] * 3, [-0.4, 0.6, 0.2]))
    assert one is not None
    assert (one.place, one.flip) == (1, None)
    assert one.change == pytest.approx((0.6 + 0.1) / 2)


def test_without_a_target_the_first_of_equals_is_named_and_nothing_touched_is_nobody() -> None:
    one = weakest([(2,), (1,)], made([True, True], [math.nan, math.nan]))
    assert one is not None
    assert one.place == 1
    assert math.isnan(one.change)
    assert weakest([(), ()], made([True, True], [0, 0])) is None
