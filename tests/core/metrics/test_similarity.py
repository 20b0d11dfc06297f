"""How alike two orderings are, held against counts by hand."""

from __future__ import annotations

import math
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.metrics.ranking import ranks
from core.metrics.similarity import kendall_tau, rank_biased_overlap, spearman, spearman_rows


def vector(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def ranking(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def test_tau_counts_pairs_in_the_same_and_in_the_other_order() -> None:
    first, second = vector(4, 3, 2, 1), vector(4, 3, 1, 2)
    assert kendall_tau(first, second) == pytest.approx((5 - 1) / 6)
    assert kendall_tau(first, first) == pytest.approx(1)
    assert kendall_tau(first, -first) == pytest.approx(-1)


def test_ties_shorten_the_scale_of_tau() -> None:
    """One of three pairs is tied in the first vector: (2 - 0) / sqrt(2 * 3)."""
    assert kendall_tau(vector(1, 1, 2), vector(1, 2, 3)) == pytest.approx(2 / math.sqrt(6))


@given(st.permutations(range(6)))
def test_tau_is_the_balance_of_the_pairs(order: list[int]) -> None:
    values = vector(*order)
    balance = sum(np.sign(order[b] - order[a]) for a, b in combinations(range(6), 2))
    assert kendall_tau(vector(*range(6)), values) == pytest.approx(balance / 15)


@pytest.mark.parametrize(("first", "second"), [((), ()), ((1,), (2,)), ((1, 1, 1), (1, 2, 3)), ((1, 2, 3), (5, 5, 5))])
def test_no_order_gives_no_tau(first: tuple[float, ...], second: tuple[float, ...]) -> None:
    assert math.isnan(kendall_tau(vector(*first), vector(*second)))


def test_overlap_weighs_the_common_share_of_every_depth() -> None:
    """Two of three items exchanged at the top: shares 0, 1, 1."""
    p = 0.9
    expected = p**3 + (1 - p) / p * (0 * p + 1 * p**2 + 1 * p**3)
    assert rank_biased_overlap(ranking(1, 2, 3), ranking(2, 1, 3)) == pytest.approx(expected)


def test_overlap_of_a_reversed_list() -> None:
    """Shares 0, 0, 2/3, 1 at depths 1 to 4."""
    p = 0.5
    expected = p**4 + (1 - p) / p * (2 / 3 * p**3 + p**4)
    assert rank_biased_overlap(ranking(1, 2, 3, 4), ranking(4, 3, 2, 1), p=p) == pytest.approx(expected)


@given(st.integers(1, 30), st.floats(0.05, 0.99))
def test_a_list_overlaps_itself_wholly(size: int, p: float) -> None:
    ranks = np.arange(1, size + 1)
    assert rank_biased_overlap(ranks, ranks, p=p) == pytest.approx(1)


@given(st.permutations(range(1, 8)), st.permutations(range(1, 8)))
def test_overlap_agrees_with_its_slow_definition(one: list[int], other: list[int]) -> None:
    p, size = 0.9, 7
    common = [
        len({i for i in range(size) if one[i] <= d} & {i for i in range(size) if other[i] <= d}) / d
        for d in range(1, size + 1)
    ]
    slow = common[-1] * p**size + (1 - p) / p * sum(a * p**d for d, a in enumerate(common, start=1))
    assert rank_biased_overlap(ranking(*one), ranking(*other)) == pytest.approx(slow)
    assert rank_biased_overlap(ranking(*one), ranking(*other)) == rank_biased_overlap(ranking(*other), ranking(*one))


@given(st.lists(st.integers(0, 2), min_size=5, max_size=5), st.lists(st.integers(0, 2), min_size=5, max_size=5))
def test_overlap_of_ties_agrees_with_the_counts_of_all_orders(one: list[int], other: list[int]) -> None:
    """The chance to be among the first d places, counted over all orders; a list with ties overlaps itself wholly."""

    def chances(scores: list[int]) -> np.ndarray:
        falling = [order for order in permutations(range(5)) if [*map(scores.__getitem__, order)] == sorted(scores)]
        return np.array([[np.mean([item in order[:d] for order in falling]) for item in range(5)] for d in range(1, 6)])

    first, second = chances(one), chances(other)
    shares = [a @ b / math.sqrt((a @ a) * (b @ b)) for a, b in zip(first, second, strict=True)]
    slow = shares[-1] * 0.9**5 + 0.1 / 0.9 * sum(a * 0.9**d for d, a in enumerate(shares, start=1))
    ranked = [ranks(-np.array(scores, dtype=np.float64)) for scores in (one, other)]
    assert rank_biased_overlap(*ranked) == pytest.approx(slow)
    assert rank_biased_overlap(ranked[0], ranked[0]) == pytest.approx(1)


def test_a_change_at_the_top_weighs_more_than_one_at_the_end() -> None:
    ranks = ranking(1, 2, 3, 4, 5, 6)
    assert rank_biased_overlap(ranks, ranking(2, 1, 3, 4, 5, 6)) < rank_biased_overlap(ranks, ranking(1, 2, 3, 4, 6, 5))


def test_no_items_and_no_share() -> None:
    assert math.isnan(rank_biased_overlap(ranking(), ranking()))
    for p in (0.0, 1.0, -1.0):
        with pytest.raises(ValueError, match="not between 0 and 1"):
            rank_biased_overlap(ranking(1), ranking(1), p=p)


def test_spearman_needs_three_values_that_vary() -> None:
    assert spearman(vector(1, 2, 3), vector(2, 4, 9)) == pytest.approx(1)
    assert math.isnan(spearman(vector(1, 2), vector(2, 4)))
    assert math.isnan(spearman(vector(1, 1, 1), vector(2, 4, 9)))


@given(st.integers(0, 7), st.integers(0, 2**32 - 1))
def test_rows_are_correlated_as_each_alone(size: int, seed: int) -> None:
    drawn = np.random.default_rng(seed).integers(0, 4, (2, 5, size)).astype(np.float64)
    alone = [spearman(*pair) for pair in zip(*drawn, strict=True)]
    np.testing.assert_allclose(spearman_rows(*drawn), alone, atol=1e-12)
