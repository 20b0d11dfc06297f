"""Equal scores share the middle of their places, and nothing depends on the order of the list."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.records import Item
from core.metrics.ranking import best_first, expected_ndcg, firsts, ndcg, ndcg_by_chance, ranks, sharing

SCORES = st.lists(st.integers(0, 3), min_size=1, max_size=6).map(lambda values: np.array(values, dtype=np.float64))


def orders(scores: np.ndarray) -> list[dict[int, int]]:
    """Every order of the candidates with no better one below a worse one, as candidate -> place."""
    every = permutations(range(len(scores)))
    falling = [order for order in every if all(scores[a] >= scores[b] for a, b in pairwise(order))]
    return [{item: place for place, item in enumerate(order, start=1)} for order in falling]


def test_two_that_share_the_second_and_the_third_place() -> None:
    assert ranks(np.array([1.0, 5.0, 0.0, 1.0])) == (2.5, 1, 4, 2.5)
    assert ranks(np.zeros(3)) == (2, 2, 2)
    assert [type(rank) for rank in ranks(np.array([1.0, 1.0, 0.0, 2.0]))] == [float, float, int, int]


@given(SCORES)
def test_a_rank_is_the_mean_place_over_all_orders(scores: np.ndarray) -> None:
    expected = [np.mean([order[item] for order in orders(scores)]) for item in range(len(scores))]
    assert ranks(scores) == pytest.approx(expected)


@given(SCORES, st.integers(1, 6))
def test_ndcg_is_the_mean_over_all_orders(scores: np.ndarray, at: int) -> None:
    for item in range(len(scores)):
        expected = np.mean([ndcg(order[item], at) for order in orders(scores)])
        assert expected_ndcg(scores, item, at) == pytest.approx(expected)


def test_all_equal_is_chance() -> None:
    assert expected_ndcg(np.zeros(20), 3) == pytest.approx(ndcg_by_chance(20))


@given(SCORES, st.randoms(use_true_random=False))
def test_the_order_of_the_list_changes_nothing(scores: np.ndarray, random: object) -> None:
    order = list(range(len(scores)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert ranks(scores[order]) == tuple(np.array(ranks(scores), dtype=object)[order])
    rows = [Item(str(item), f"title {item % 2}") for item in range(len(scores))]
    listed = [rows[index] for index in best_first(ranks(scores), rows)]
    moved = [rows[item] for item in order]
    assert [moved[index] for index in best_first(ranks(scores[order]), moved)] == listed


def test_equal_ranks_stand_by_title_then_by_id_and_those_without_a_rank_last() -> None:
    rows = [Item("1", "b"), Item("2", "a"), Item("3", "c"), Item("0", "b"), Item("5", "a")]
    assert best_first([2.5, 2.5, 1, 2.5, None], rows) == [2, 1, 3, 0, 4]


def test_the_first_and_those_who_share() -> None:
    scores = np.array([2.0, 1.0, 2.0, 1.0, 0.0])
    assert firsts(scores) == {0, 2}
    assert sharing(scores) == 4
    assert sharing(np.array([0.5, 0.25])) == 0
