"""The sign-flip test against counting by hand and against chance itself."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.metrics.permutation import DRAWS, EXACT, least_p, sign_flip


def test_all_differences_above_zero_leave_one_pattern():
    assert sign_flip(np.array([1.0, 2.0, 0.5]), seed=0) == (pytest.approx(3.5 / 3), 1 / 8, 8)


def test_the_patterns_as_large_are_counted_by_hand():
    """Of the 4 sums of +-3 and +-1 the measured one, 2, is reached by 3 + 1 and by 3 - 1."""
    assert sign_flip(np.array([3.0, -1.0]), seed=0) == (1.0, 2 / 4, 4)


def test_no_difference_at_all_is_chance():
    assert sign_flip(np.zeros(5), seed=0).p == 1.0


@given(st.lists(st.floats(-5, 5, width=16), min_size=1, max_size=7))
def test_it_is_the_share_of_all_patterns(values):
    patterns = product((1, -1), repeat=len(values))
    sums = [sum(sign * value for sign, value in zip(signs, values, strict=True)) for signs in patterns]
    expected = np.mean([total >= sum(values) - 1e-9 * (1 + np.abs(values).sum()) for total in sums])
    assert sign_flip(np.array(values), seed=0).p == pytest.approx(expected)


def test_beyond_the_exact_size_patterns_are_drawn_and_the_measured_one_counts():
    test = sign_flip(np.ones(40), seed=1)
    assert (test.p, test.permutations) == (1 / (DRAWS + 1), DRAWS + 1)
    rng = np.random.default_rng(5)
    values = rng.normal(0.4, 1, EXACT)
    exact = sign_flip(values, seed=0).p
    twice = sign_flip(np.concatenate([values, np.zeros(3)]), seed=0).p
    assert twice == pytest.approx(exact, abs=0.02), "zeros have no sign"


def test_without_an_effect_small_p_are_as_rare_as_they_say():
    rng = np.random.default_rng(2)
    ps = np.array([sign_flip(row, seed=0).p for row in rng.normal(size=(2000, 8))])
    for level in (0.05, 0.2, 0.5):
        assert (ps <= level).mean() == pytest.approx(level, abs=0.03)


@pytest.mark.parametrize(("pairs", "least"), [(4, 1 / 16), (5, 1 / 32), (EXACT + 1, 1 / (DRAWS + 1))])
def test_the_smallest_p_that_so_many_can_have(pairs, least):
    assert least_p(pairs) == least == sign_flip(np.arange(1.0, pairs + 1), seed=0).p


def test_nothing_cannot_be_tested():
    with pytest.raises(ValueError, match="no differences"):
        sign_flip(np.array([]), seed=0)
