"""The weight of popularity: found where it was planted, the most likely one, and never of its own user."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brute

from core.metrics.blend import MOST, RIDGE, BlendLists, cross_fitted, fitted_weight


def drawn(score: float, popularity: float, *, lists: int = 3000, scale: float = 1.0, seed: int = 0) -> BlendLists:
    """Choices drawn by utilities `score` s + `popularity` p; the model's scores are told `scale` times as large."""
    random = np.random.default_rng(seed)
    s, p = random.normal(0.0, 1.0, (lists, 8)), np.log1p(random.integers(0, 60, (lists, 8)))
    chosen = (score * s + popularity * p + random.gumbel(size=(lists, 8))).argmax(axis=1)
    users = tuple(f"u{number // 3}" for number in range(lists))
    return BlendLists(tuple(scale * s), tuple(p), tuple(chosen.tolist()), users)


@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_a_planted_weight_is_found(scale: float) -> None:
    assert fitted_weight(drawn(0.8, 1.2, scale=scale)) == pytest.approx(1.5 * scale, rel=0.1)


def test_it_is_the_most_likely_one() -> None:
    lists = drawn(0.5, 0.5, lists=40)
    s, p = (np.array(each) - np.array(each).mean(axis=1, keepdims=True) for each in (lists.scores, lists.popularity))
    spreads = [math.sqrt((each**2).mean()) for each in (s, p)]

    def loss(pair: tuple[float, float]) -> float:
        utility = pair[0] * s / spreads[0] + pair[1] * p / spreads[1]
        chosen = utility[np.arange(40), list(lists.targets)]
        return float((np.log(np.exp(utility).sum(axis=1)) - chosen).sum() + RIDGE / 2 * (pair[0] ** 2 + pair[1] ** 2))

    best = brute(loss, ((0, 3), (0, 3)), Ns=60)
    assert fitted_weight(lists) == pytest.approx(best[1] / spreads[1] / (best[0] / spreads[0]), abs=0.02)


def test_ends() -> None:
    assert fitted_weight(drawn(0.8, -1.0, lists=200)) == 0.0
    assert fitted_weight(drawn(-0.8, 1.0, lists=200)) == MOST
    lists = drawn(0.8, 1.0, lists=200)
    flat = tuple(np.zeros(8) for _ in range(200))
    assert fitted_weight(replace(lists, popularity=flat)) == 0.0
    assert fitted_weight(replace(lists, scores=flat)) == MOST


def test_ndcg_by_hand() -> None:
    lists = BlendLists(
        (np.array([3.0, 1.0, 0.0]), np.array([0.0, 2.0])), (np.array([0.0, 1.0, 4.0]), np.array([1.0, 1.0])),
        (2, 0), ("a", "b"),
    )  # fmt: skip
    second = 1 / math.log2(3)
    np.testing.assert_allclose(lists.ndcg(0.0), [0.5, second])
    np.testing.assert_allclose(lists.ndcg(0.5), [second, second])
    np.testing.assert_allclose(lists.ndcg(1.0), [1.0, second])
    np.testing.assert_allclose(lists.ndcg(np.array([0.5, 3.0])), [second, second])
    np.testing.assert_allclose(lists.ndcg_of_popularity(), [1.0, (1 + second) / 2])


def test_no_list_is_ranked_with_a_weight_of_its_own_user() -> None:
    lists = drawn(0.8, 1.2, lists=60)
    weights = cross_fitted(lists, seed=1)
    other = list(lists.targets)
    mine = [row for row, user in enumerate(lists.users) if user == "u4"]
    for row in mine:
        other[row] = (other[row] + 3) % 8
    again = cross_fitted(replace(lists, targets=tuple(other)), seed=1)
    np.testing.assert_array_equal(again[mine], weights[mine])
    assert (again != weights).any()
    assert 2 <= len(set(weights.tolist())) <= 5
