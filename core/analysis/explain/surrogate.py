"""A Bayesian model of scores as functions of which demonstrations are kept, and what it says of each one.

Write a subset of K demonstrations as x in {-1, +1}^K. Every function of subsets is a sum of Walsh terms,
f(x) = sum_S w_S prod_{k in S} x_k. The contribution of demonstration k is its average effect over all subsets, the
Banzhaf value b_k = 2 w_{k}: the best additive account of f in least squares. Given scores at a few subsets and a guess
of the b_k (the equivalent gradient), a Gaussian process with independent Walsh terms, variances falling with degree,
gives the posterior of every b_k, of every pair's interaction and of the score at every subset in closed form;
interactions are what keeps the intervals honest, because the score is deterministic and there is no other noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations, product
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky
from scipy.special import gammaln

from core.metrics.intervals import Floats

FLAT = 1e2
"""Prior variance of the mean score, in units of the overall scale: wide enough to say nothing."""
NUGGET = 1e-6
"""Variance of rounding, in the same units."""


@dataclass(frozen=True)
class Prior:
    """What is assumed before any ablation; the overall scale is learned from the scores.

    The defaults were chosen on MovieLens cases that the benchmark leaves out; `python -m bench.fit_prior` judges them
    anew.
    """

    additive_shares: tuple[float, ...] = (0.3, 0.6, 0.9)
    """Shares of the variance around the guess that additive errors of the guess take; the rest is interactions."""
    size_shares: tuple[float, ...] = (0.5, 2.0, 8.0)
    """Variance of a smooth effect of the mere number of demonstrations, relative to all the rest."""
    decay: float = 0.6
    """Variance of all interactions of one degree relative to the degree before, from pairs upwards."""
    guess_factor: float = 0.6
    """Expected ratio of the contributions to the guess."""
    guess_spread: float = 0.4
    """Standard deviation of that ratio."""
    degrees_of_freedom: float = 3.0
    """Strength of the prior on the overall scale, in observations."""
    scale_guess: float = 0.15
    """Prior variance around the guess, relative to the variance that the guess itself explains."""


@dataclass(frozen=True)
class Belief:
    """Means and variances of what was asked of a surrogate, of every function; same shapes."""

    mean: Floats
    variance: Floats


class Surrogate:
    """The posterior of functions of subsets that share a guess, a kernel and its settings.

    `values` [subset, function] are the scores at `masks` [subset, demo], `guess` [demo] what contributions are expected
    of every one of the functions. It averages over a small grid of settings by the marginal likelihood of all functions
    together; the scale of each function has a conjugate prior, so each setting's posterior is a Student distribution
    with `freedom` degrees of freedom.
    """

    def __init__(self, masks: NDArray[np.bool_], values: Floats, guess: Floats, prior: Prior | None = None) -> None:
        self.prior = prior or Prior()
        self.x, self.guess = signs(masks), guess
        self.demos = masks.shape[1]
        self.settings = list(product(self.prior.additive_shares, self.prior.size_shares))
        self.fits = [_Fit(self, values, setting) for setting in self.settings]
        evidence = np.array([fit.log_evidence for fit in self.fits])
        weights = np.exp(evidence - evidence.max())
        self.weights = weights / weights.sum()
        self.freedom = self.prior.degrees_of_freedom + len(masks) - 1

    def effects(self) -> Belief:
        """Contributions [demo, function]: the average effect of each demonstration over all subsets."""
        return self._mixed([fit.effects() for fit in self.fits])

    def pairs(self) -> Belief:
        """Interactions [pair, function] of the pairs in the order of `pairs_of`: how much more two demonstrations add
        together than apart, on average over what else is kept (the Banzhaf interaction index; Grabisch and Roubens
        1999)."""
        return self._mixed([fit.pairs() for fit in self.fits])

    def predicted(self, masks: NDArray[np.bool_]) -> Belief:
        """Scores [subset, function] at other subsets, interactions included."""
        x = signs(masks)
        return self._mixed([fit.predicted(x) for fit in self.fits])

    def left_out(self) -> tuple[Floats, Floats]:
        """Scores [subset, function] of every subset as the others foretell it, and the contributions' part of that
        alone, up to a constant; in closed form (Sundararajan and Keerthi 2001), under the settings of all."""
        parts = [fit.left_out() for fit in self.fits]
        whole, additive = (np.tensordot(self.weights, np.array(each), 1) for each in zip(*parts, strict=True))
        return whole, additive

    def _mixed(self, parts: list[Belief]) -> Belief:
        """Mean and variance of the mixture over settings."""
        means = np.array([part.mean for part in parts])
        mean = np.tensordot(self.weights, means, 1)
        within = np.tensordot(self.weights, np.array([part.variance for part in parts]), 1)
        between = np.tensordot(self.weights, (means - mean) ** 2, 1)
        return Belief(mean, np.maximum(within, 0.0) + between)

    def next_subsets(self, pool: NDArray[np.bool_], costs: Floats, count: int) -> NDArray[np.int64]:
        """Indices into `pool` [subset, demo] of `count` subsets that most reduce the contributions' variance per cost.

        Greedy A-optimal design for the kernel averaged over settings; scores are not needed, only where they will be
        taken.
        """
        x = np.concatenate([self.x, signs(pool)])
        kernel = np.zeros((len(x), len(x)))
        cross = np.zeros((self.demos, len(x)))
        for weight, fit in zip(self.weights, self.fits, strict=True):
            kernel += weight * (fit.kernel.between(x, x) + FLAT + NUGGET * np.eye(len(x)))
            cross += weight * fit.kernel.effects_with(x)
        offset = len(self.x)
        kernel, cross = _condition(kernel, cross, list(range(offset)))
        chosen: list[int] = []
        for _ in range(min(count, len(pool))):
            variance = np.maximum(np.diag(kernel)[offset:], 1e-12)
            gain = (cross[:, offset:] ** 2).sum(0) / variance / costs
            gain[chosen] = -np.inf
            best = int(gain.argmax())
            chosen.append(best)
            kernel, cross = _condition(kernel, cross, [offset + best])
        return np.array(chosen, dtype=np.int64)


def pairs_of(demos: int) -> list[tuple[int, int]]:
    """Every pair of demonstrations, in order."""
    return list(combinations(range(demos), 2))


@dataclass(frozen=True)
class _Kernel:
    """Prior covariances at one setting, in units of the overall scale; the flat mean is left out."""

    demos: int
    guess: Floats
    prior: Prior
    share: float
    size_share: float

    @cached_property
    def linear(self) -> Floats:
        """[demo, demo] of the additive parts around the guess."""
        spread = np.outer(self.guess, self.guess) * (self.prior.guess_spread**2 / _scale(self.guess, self.prior))
        return np.asarray(4 * self.share / max(self.demos, 1) * np.eye(self.demos) + spread)

    def between(self, x: Floats, y: Floats) -> Floats:
        """[subset, other subset] of the scores around the guess."""
        by_size = self.size_share * _size_kernel(self.demos)
        additive = x @ self.linear @ y.T / 4 + by_size[np.ix_(_sizes(x), _sizes(y))]
        return additive + (1 - self.share) * _interactions(x, y, self.prior.decay)

    def diagonal(self, x: Floats) -> Floats:
        """[subset]: variances of the scores around the guess."""
        by_size = self.size_share * np.diag(_size_kernel(self.demos))
        additive = ((x @ self.linear) * x).sum(axis=1) / 4 + by_size[_sizes(x)]
        return np.asarray(additive + (1 - self.share) * (self.demos > 1))

    def effects_with(self, x: Floats) -> Floats:
        """[demo, subset] between contributions and scores."""
        by_size = self.size_share * _size_kernel(self.demos)
        return np.asarray(self.linear @ x.T / 2 + (_average_step(self.demos) @ by_size)[_sizes(x)][None, :])

    @property
    def effects(self) -> Floats:
        """[demo]: variances of the contributions."""
        step = _average_step(self.demos)
        return np.asarray(np.diag(self.linear) + self.size_share * step @ _size_kernel(self.demos) @ step)

    def pairs_with(self, x: Floats) -> Floats:
        """[pair, subset] between interactions of pairs and scores."""
        first, second = np.triu_indices(self.demos, k=1)
        products = x.T[first] * x.T[second]
        by_size = self.size_share * _size_kernel(self.demos)
        together = (_average_bend(self.demos) @ by_size)[_sizes(x)]
        return np.asarray(4 * self._pair_variance * products + together[None, :])

    @property
    def pairs(self) -> float:
        """The variance of every pair's interaction."""
        bend = _average_bend(self.demos)
        return 16 * self._pair_variance + float(self.size_share * bend @ _size_kernel(self.demos) @ bend)

    @property
    def _pair_variance(self) -> float:
        """Of one Walsh term of degree 2."""
        total = sum(self.prior.decay ** (degree - 2) for degree in range(2, self.demos + 1))
        return (1 - self.share) / max(comb(self.demos, 2) * total, 1e-12)


class _Fit:
    """The posterior at one setting."""

    def __init__(self, of: Surrogate, values: Floats, setting: tuple[float, float]) -> None:
        prior, self.x, count = of.prior, of.x, len(of.x)
        self.kernel = _Kernel(of.demos, of.guess, prior, *setting)
        self.expected = prior.guess_factor * of.guess
        self.values, self.level = values, values.mean(axis=0)
        residual = values - self.level - (self.x @ self.expected / 2)[:, None]
        self.root = cholesky(self.kernel.between(self.x, self.x) + FLAT + NUGGET * np.eye(count), lower=True)
        self.solved = cho_solve((self.root, True), residual)
        squares = np.einsum("nf,nf->f", residual, self.solved)
        freedom = prior.degrees_of_freedom + count - 1
        self.spread = (prior.degrees_of_freedom * _scales(of.guess, squares, count, prior) + squares) / freedom
        self.log_evidence = float(
            len(self.spread) * (gammaln(freedom / 2) - np.log(np.diag(self.root)).sum())
            - freedom / 2 * np.log(freedom * self.spread).sum()
        )

    def _asked(self, expected: Floats, cross: Floats, prior_variance: Floats | float) -> Belief:
        """Of linear functionals with prior mean `expected` [asked], `cross` [asked, subset] with the scores."""
        mean = expected[:, None] + cross @ self.solved
        explained = np.einsum("an,na->a", cross, cho_solve((self.root, True), cross.T))
        left = np.maximum(prior_variance - explained, 0.0)
        return Belief(mean, left[:, None] * self.spread[None, :])

    def effects(self) -> Belief:
        return self._asked(self.expected, self.kernel.effects_with(self.x), self.kernel.effects)

    def pairs(self) -> Belief:
        cross = self.kernel.pairs_with(self.x)
        return self._asked(np.zeros(len(cross)), cross, self.kernel.pairs)

    def predicted(self, x: Floats) -> Belief:
        asked = self._asked(
            x @ self.expected / 2, self.kernel.between(x, self.x) + FLAT, self.kernel.diagonal(x) + FLAT
        )
        return Belief(asked.mean + self.level, asked.variance)

    def left_out(self) -> tuple[Floats, Floats]:
        inverse = cho_solve((self.root, True), np.eye(len(self.x)))
        error = self.solved / np.diag(inverse)[:, None]
        cross = self.kernel.effects_with(self.x)
        effects = cross @ self.solved + self.expected[:, None]
        moved = np.einsum(
            "kn,nm->km", cross, inverse
        )  # what taking subset m out takes from the contributions, per error
        additive = self.x @ effects / 2 - np.einsum("mk,km->m", self.x, moved)[:, None] * error / 2
        return self.values - error, additive


def signs(masks: NDArray[np.bool_]) -> Floats:
    """Masks [subset, demo] as +1 (kept) and -1 (left out)."""
    return np.where(masks, 1.0, -1.0)


def interaction_kernel(agreement: NDArray[np.int64], demos: int, decay: float) -> Floats:
    """Covariance of the interaction terms of two subsets that agree on `agreement` of `demos` places.

    Degrees 2..K together have variance 1; all terms of one degree share theirs equally, `decay` times the total of the
    degree before. The sum over terms of one degree is an elementary symmetric (Krawtchouk) polynomial.
    """
    return np.asarray(_interaction_table(demos, decay)[agreement])


@lru_cache(maxsize=64)
def _interaction_table(demos: int, decay: float) -> Floats:
    """The covariance by the number of places on which two subsets agree, [demos + 1]."""
    degrees = range(2, demos + 1)
    weight = {d: decay ** (d - 2) / comb(demos, d) for d in degrees}
    total = sum(decay ** (d - 2) for d in degrees)
    table = np.zeros(demos + 1)
    row = [comb(demos, degree) for degree in range(demos + 1)]
    for same in range(demos, -1, -1):
        table[same] = sum(weight[degree] * row[degree] for degree in degrees)
        row = _one_differs(row)
    return table / max(total, 1e-12)


def _one_differs(row: list[int]) -> list[int]:
    """Elementary symmetric polynomials by degree, with one of the ones turned into a minus one.

    `row` holds the coefficients of (1 + t)^same (1 - t)^different; this multiplies by (1 - t) / (1 + t), exactly.
    """
    turned: list[int] = []
    for degree, value in enumerate(row):
        before = row[degree - 1] + turned[degree - 1] if degree else 0
        turned.append(value - before)
    return turned


def _scale(guess: Floats, prior: Prior) -> float:
    return prior.scale_guess * float(np.sum(guess**2)) / 4 + 1e-8


def _scales(guess: Floats, squares: Floats, count: int, prior: Prior) -> Floats | float:
    """Prior scale of each function: from the guess, or where nothing is expected of any, what all show together."""
    if guess.any() or not squares.size:
        return _scale(guess, prior)
    return float(squares.mean()) / max(count - 1, 1) + 1e-12


def _sizes(x: Floats) -> NDArray[np.int64]:
    """How many demonstrations each subset keeps, [subset]."""
    return np.asarray(np.rint((x.shape[1] + x.sum(axis=1)) / 2), dtype=np.int64)


@lru_cache(maxsize=64)
def _size_kernel(demos: int) -> Floats:
    """Covariance [size, size] of a smooth function of log2(1 + size): the first demonstrations may matter most."""
    at = np.log2(1 + np.arange(demos + 1))
    return np.asarray(np.exp(-((at[:, None] - at[None, :]) ** 2) / 2))


def _average_step(demos: int) -> Floats:
    """Weights [size] that read a demonstration's average effect off a function of the size alone."""
    weights = np.zeros(demos + 1)
    for others in range(demos):
        share = comb(demos - 1, others) / 2 ** (demos - 1)
        weights[others + 1] += share
        weights[others] -= share
    return weights


def _average_bend(demos: int) -> Floats:
    """Weights [size] that read a pair's average interaction off a function of the size alone."""
    weights = np.zeros(demos + 1)
    for others in range(demos - 1):
        share = comb(demos - 2, others) / 2 ** (demos - 2)
        weights[others : others + 3] += share * np.array([1.0, -2.0, 1.0])
    return weights


def _interactions(x: Floats, y: Floats, decay: float) -> Floats:
    demos = x.shape[1]
    if demos < 2:
        return np.zeros((len(x), len(y)))
    agreement = np.rint((demos + x @ y.T) / 2).astype(np.int64)
    return interaction_kernel(agreement, demos, decay)


def _condition(kernel: Floats, cross: Floats, at: list[int]) -> tuple[Floats, Floats]:
    """Covariances after seeing the places `at`."""
    if not at:
        return kernel, cross
    inner = kernel[np.ix_(at, at)] + 1e-9 * np.eye(len(at))
    gain = np.linalg.solve(inner, kernel[at])
    return kernel - kernel[:, at] @ gain, cross - cross[:, at] @ gain
