"""Bootstrap intervals of a figure: over cases, over pairs, over users, and paired between systems.

Every interval lies between two percentiles of the figure over the samples (Efron and Tibshirani 1993, chapter 13).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from core.metrics.similarity import spearman, spearman_rows

Floats = NDArray[np.float64]

LEVEL = 0.9
"""Share of the bootstrap samples inside an interval, unless a caller names another."""
CELLS = 4_000_000
"""Most numbers [draw, row] held at once while users are resampled."""


class Interval(NamedTuple):
    """A figure and the ends of its interval; nan where they are not defined."""

    value: float
    low: float
    high: float


def resamples(rows: int, *, seed: int, draws: int) -> NDArray[np.int64]:
    """Bootstrap samples of row numbers, [draw, row]; equal for equal arguments, so that figures can be paired."""
    return np.random.default_rng(seed).integers(0, rows, size=(draws, rows))


def user_weights(random: np.random.Generator, users: int, draws: int) -> Floats:
    """How often each user is in each bootstrap sample of all users, [draw, user]."""
    return random.multinomial(users, np.full(users, 1 / users), size=draws).astype(np.float64)


def central(draws: Floats, tail: float) -> tuple[Floats, Floats]:
    """What cuts off the share `tail` of `draws` [draw, …] at the lower and at the upper end, […] each."""
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return low, high


def ends(draws: Floats, level: float = LEVEL) -> tuple[float, float]:
    """Ends of the interval over `draws` [draw]; nan when less than half of them are numbers."""
    finite = draws[np.isfinite(draws)]
    if len(finite) == 0 or len(finite) < len(draws) / 2:
        return math.nan, math.nan
    low, high = central(finite, (1 - level) / 2)
    return float(low), float(high)


def mean_over_cases(values: Floats, *, seed: int, draws: int, level: float = LEVEL, least: int = 2) -> Interval:
    """Mean of `values` [case] with its interval over resampled cases; nan ends for fewer than `least` cases."""
    mean = float(values.mean()) if len(values) else math.nan
    if len(values) < least:
        return Interval(mean, math.nan, math.nan)
    return Interval(mean, *ends(values[resamples(len(values), seed=seed, draws=draws)].mean(axis=1), level))


def difference_of_means(first: Floats, second: Floats, *, seed: int, draws: int, level: float = LEVEL) -> Interval:
    """Mean of `first` [case] less that of `second` [other case], each resampled on its own.

    The ends are nan where either has fewer than two values, the figure where it has none.
    """
    apart = float(first.mean() - second.mean()) if len(first) and len(second) else math.nan
    if min(len(first), len(second)) < 2:
        return Interval(apart, math.nan, math.nan)
    picks = np.random.default_rng(seed)
    means = [values[picks.integers(0, len(values), (draws, len(values)))].mean(axis=1) for values in (first, second)]
    return Interval(apart, *ends(means[0] - means[1], level))


def spearman_over_pairs(first: Floats, second: Floats, *, seed: int, draws: int = 1_000) -> Interval:
    """`spearman` of two vectors with its interval over resampled pairs."""
    picks = resamples(len(first), seed=seed, draws=draws)
    return Interval(spearman(first, second), *ends(spearman_rows(first[picks], second[picks])))


def mean_over_users(
    values: Floats, users: Sequence[str], *, seed: int, draws: int = 1_000, level: float = LEVEL
) -> Interval:
    """Mean of `values` [row] with its interval over samples of users with all their rows; nan ends for one user."""
    if len(values) == 0:
        return Interval(math.nan, math.nan, math.nan)
    mean = float(values.mean())
    _, number = np.unique(np.array(users, dtype=object), return_inverse=True)
    people = int(number.max()) + 1
    if people < 2:
        return Interval(mean, math.nan, math.nan)
    weights = user_weights(np.random.default_rng(seed), people, draws)
    sums, counts = np.bincount(number, weights=values), np.bincount(number)
    return Interval(mean, *ends((weights @ sums) / (weights @ counts), level))


class UserFigure(Protocol):
    """A figure of one system over rows of users, such as its AUC."""

    def value(self) -> float:
        """On all rows."""
        ...

    def drawn(self, weights: Floats) -> Floats:
        """When user u counts `weights[draw, u]` times; shape [draw], nan where it is not defined."""
        ...


@dataclass(frozen=True)
class Resampled:
    """One figure of several systems on the same rows and on the same bootstrap samples of the users."""

    values: Mapping[str, float]
    """On all rows, by system."""
    draws: Mapping[str, Floats]
    """[draw] by system; nan where the figure of a sample is not defined."""
    level: float = LEVEL

    def interval(self, name: str) -> Interval:
        """The system's figure with its interval."""
        return self.combination({name: 1.0})

    def difference(self, first: str, second: str) -> Interval:
        """First minus second, paired: both are taken from the same samples of users."""
        return self.combination({first: 1.0, second: -1.0})

    def combination(self, weights: Mapping[str, float]) -> Interval:
        """The weighted sum of systems, paired, such as a difference of two differences."""
        value = sum(weight * self.values[name] for name, weight in weights.items())
        drawn = np.sum([weight * self.draws[name] for name, weight in weights.items()], axis=0)
        return Interval(float(value), *ends(drawn, self.level))


def paired_over_users(
    systems: Mapping[str, UserFigure], *, users: int, rows: int, draws: int, seed: int, level: float = LEVEL
) -> Resampled:
    """The figure of every system, on all rows and on the same `draws` bootstrap samples of the users.

    Equal `users`, `draws` and `seed` give equal samples. A single user cannot be resampled: there are no draws.
    """
    parts: dict[str, list[Floats]] = {name: [np.empty(0)] for name in systems}
    random = np.random.default_rng(seed)
    for size in _portions(draws if users > 1 else 0, rows):
        weights = user_weights(random, users, size)
        for name, figure in systems.items():
            parts[name].append(figure.drawn(weights))
    values = {name: figure.value() for name, figure in systems.items()}
    return Resampled(values, {name: np.concatenate(part) for name, part in parts.items()}, level)


def _portions(draws: int, rows: int) -> Iterator[int]:
    """Sizes of the portions in which `draws` samples are taken, so that [draw, row] stays below `CELLS`."""
    most = max(1, CELLS // max(1, rows))
    return (min(most, draws - start) for start in range(0, draws, most))
