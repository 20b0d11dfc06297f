"""Bootstrap intervals, held against plain loops over the same samples and against what theory says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from core.metrics.intervals import (
    Interval,
    Resampled,
    central,
    difference_of_means,
    ends,
    mean_over_cases,
    mean_over_users,
    resamples,
    spearman_over_pairs,
)

NONE = Interval(math.nan, math.nan, math.nan)


def same(interval: Interval, expected: tuple[float, ...]) -> bool:
    return interval == pytest.approx(expected, nan_ok=True)


def test_the_ends_cut_off_equal_tails() -> None:
    assert ends(np.arange(101.0), 0.8) == pytest.approx((10, 90))
    low, high = central(np.stack([np.arange(101.0), 2 * np.arange(101.0)], axis=1), 0.05)
    assert low == pytest.approx([5, 10])
    assert high == pytest.approx([95, 190])


def test_a_mean_over_cases_covers_as_often_as_its_level() -> None:
    random = np.random.default_rng(4)
    means = [mean_over_cases(random.normal(0.3, 1, 60), seed=draw, draws=2_000) for draw in range(200)]
    assert 0.83 < np.mean([mean.low <= 0.3 <= mean.high for mean in means]) < 0.95


def test_a_mean_over_cases_is_that_of_a_plain_loop() -> None:
    values = np.random.default_rng(2).normal(size=9)
    means = sorted(float(np.mean([values[row] for row in rows])) for rows in resamples(9, seed=5, draws=101))
    assert mean_over_cases(values, seed=5, draws=101, level=0.8) == pytest.approx((values.mean(), means[10], means[90]))


def test_too_few_cases_have_a_mean_and_no_ends() -> None:
    assert same(mean_over_cases(np.array([1.0, 2.0]), seed=0, draws=9, least=3), (1.5, math.nan, math.nan))
    assert same(mean_over_cases(np.array([]), seed=0, draws=9), NONE)


def test_a_difference_of_means_resamples_each_on_its_own() -> None:
    """Of two values each: the least and the greatest difference come up in one sample of sixteen, more than a tail."""
    first, second = np.array([1.0, 3.0]), np.array([0.0, 10.0])
    interval = difference_of_means(first, second, seed=3, draws=4_000, level=0.9)
    assert interval == pytest.approx((2 - 5, 1 - 10, 3 - 0))
    apart = difference_of_means(np.zeros(5), np.ones(7), seed=3, draws=50)
    assert apart == (-1, -1, -1)
    assert same(difference_of_means(first, np.array([4.0]), seed=3, draws=50), (-2, math.nan, math.nan))
    assert same(difference_of_means(first, np.array([]), seed=3, draws=50), NONE)


def test_a_difference_of_means_covers_as_often_as_its_level() -> None:
    random = np.random.default_rng(6)
    pairs = [(random.normal(0.3, 1, 40), random.normal(0, 2, 50)) for _ in range(200)]
    inside = [difference_of_means(*pair, seed=draw, draws=1_000) for draw, pair in enumerate(pairs)]
    assert 0.83 < np.mean([interval.low <= 0.3 <= interval.high for interval in inside]) < 0.95


def test_a_correlation_is_resampled_by_pairs() -> None:
    random = np.random.default_rng(1)
    first = random.normal(size=30)
    second = first + random.normal(size=30)
    interval = spearman_over_pairs(first, second, seed=3, draws=101)
    drawn = [stats.spearmanr(first[rows], second[rows]).statistic for rows in resamples(30, seed=3, draws=101)]
    assert interval == pytest.approx((stats.spearmanr(first, second).statistic, *np.quantile(drawn, [0.05, 0.95])))
    assert same(spearman_over_pairs(np.ones(5), second[:5], seed=3), NONE)


def test_a_mean_over_users_draws_whole_users() -> None:
    """Two users whose rows all agree: a sample has the mean 0, 0.5 or 1, so the interval is as wide as can be."""
    users = ["a"] * 50 + ["b"] * 50
    assert mean_over_users(np.repeat([0.0, 1.0], 50), users, seed=0) == (0.5, 0, 1)
    assert same(mean_over_users(np.array([0.25, 0.75]), ["a", "a"], seed=0), (0.5, math.nan, math.nan))
    assert same(mean_over_users(np.array([]), [], seed=0), NONE)


def test_an_interval_needs_half_of_the_draws() -> None:
    drawn = np.array([0.5, 0.6, math.nan, math.nan, math.nan])
    assert math.isnan(Resampled({"a": 0.5}, {"a": drawn}).interval("a").low)
    assert Resampled({"a": 0.5}, {"a": drawn[:4]}, level=1.0).interval("a") == (0.5, 0.5, 0.6)
