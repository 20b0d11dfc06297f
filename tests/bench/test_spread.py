import math

import numpy as np
import pytest

from bench.spread import mean_interval, quartiles, ratio_interval


def test_quartiles_of_five_values():
    assert quartiles(np.array([5.0, 1.0, 2.0, 3.0, 4.0])) == (3.0, 2.0, 4.0)


def test_nothing_measured_is_nan():
    assert all(map(math.isnan, quartiles(np.array([]))))
    assert all(map(math.isnan, mean_interval(np.array([]))))


def test_one_case_has_a_mean_but_no_interval():
    value, low, high = mean_interval(np.array([0.4]))
    assert value == 0.4
    assert math.isnan(low)
    assert math.isnan(high)


def test_mean_interval_is_that_of_the_normal_for_many_cases():
    values = np.random.default_rng(1).normal(2.0, 1.0, size=400)
    mean, low, high = mean_interval(values)
    half = 1.645 * values.std() / math.sqrt(400)
    assert (mean, low, high) == pytest.approx((values.mean(), values.mean() - half, values.mean() + half), abs=0.01)


def test_ratio_of_means_is_paired():
    below = np.array([1.0, 2.0, 10.0, 4.0])
    assert ratio_interval(3 * below, below) == pytest.approx((3.0, 3.0, 3.0))
    assert ratio_interval(np.array([1.0, 5.0]), np.array([2.0, 4.0]))[0] == pytest.approx((1 + 5) / (2 + 4))
