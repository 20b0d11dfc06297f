"""A Bayesian model of a score as a function of which demonstrations are kept, and what it says of each one.

Write a subset of K demonstrations as x in {-1, +1}^K. Every function of subsets is a sum of Walsh terms,
f(x) = sum_S w_S prod_{k in S} x_k. The contribution of demonstration k is its average effect over all subsets, the
Banzhaf value b_k = 2 w_{k}: the best additive account of f in least squares. Given scores at a few subsets and a guess
of the b_k (the equivalent gradient), a Gaussian process with independent Walsh terms, variances falling with degree,
gives the posterior of every b_k in closed form; interactions are what keeps the intervals honest, because the score is
deterministic and there is no other noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import gammaln

from core.metrics.intervals import Floats, central

FLAT = 1e3
"""Prior variance of the mean score, in units of the overall scale: wide enough to say nothing."""


@dataclass(frozen=True)
class Prior:
    """What is assumed before any ablation; the overall scale is learned from the scores.

    The defaults were chosen on MovieLens cases that the benchmark leaves out.
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
class Posterior:
    """What the scores say: means and joint draws of the contributions."""

    mean: Floats
    """[demo]"""
    intercept: float
    draws: Floats
    """[draw, demo]: draws from the mixture over hyperparameters."""
    covariance: Floats
    """[demo, demo] of the best single setting; guides the choice of further subsets."""
    setting: tuple[float, float]
    """Additive share and size share with the highest marginal likelihood."""

    def interval(self, level: float = 0.9) -> tuple[Floats, Floats]:
        """Central interval of each contribution, [demo] twice."""
        return central(self.draws, (1 - level) / 2)


@dataclass(frozen=True)
class _Fit:
    log_evidence: float
    mean: Floats
    covariance: Floats
    intercept: float
    freedom: float


def signs(masks: NDArray[np.bool_]) -> Floats:
    """Masks [subset, demo] as +1 (kept) and -1 (left out)."""
    return np.where(masks, 1.0, -1.0)


def interaction_kernel(agreement: NDArray[np.int64], demos: int, decay: float) -> Floats:
    """Covariance of the interaction terms of two subsets that agree on `agreement` of `demos` places.

    Degrees 2..K together have variance 1; all terms of one degree share theirs equally, `decay` times the total of the
    degree before. The sum over terms of one degree is an elementary symmetric (Krawtchouk) polynomial.
    """
    degrees = range(2, demos + 1)
    weight = {d: decay ** (d - 2) / comb(demos, d) for d in degrees}
    total = sum(decay ** (d - 2) for d in degrees)
    table = np.zeros(demos + 1)
    for same in range(demos + 1):
        for degree in degrees:
            table[same] += weight[degree] * _symmetric(same, demos - same, degree)
    return np.asarray(table[agreement] / max(total, 1e-12))


def _symmetric(same: int, different: int, degree: int) -> int:
    """Elementary symmetric polynomial of `same` ones and `different` minus ones."""
    return sum(
        (-1) ** odd * comb(different, odd) * comb(same, degree - odd)
        for odd in range(max(0, degree - same), min(different, degree) + 1)
    )


def posterior(
    masks: NDArray[np.bool_],
    scores: Floats,
    guess: Floats,
    *,
    prior: Prior | None = None,
    seed: int = 0,
    draws: int = 2_000,
) -> Posterior:
    """Posterior of the contributions [demo] from scores [subset] at masks [subset, demo] and a prior guess [demo].

    Averages over a small grid of hyperparameters by their marginal likelihood; the scale has a conjugate prior, so each
    setting's posterior is a Student distribution.
    """
    prior = prior or Prior()
    settings = list(product(prior.additive_shares, prior.size_shares))
    fits = [_fit(masks, scores, guess, prior, setting) for setting in settings]
    evidence = np.array([fit.log_evidence for fit in fits])
    weights = np.exp(evidence - evidence.max())
    weights /= weights.sum()
    best = fits[int(evidence.argmax())]
    return Posterior(
        mean=np.sum([w * fit.mean for w, fit in zip(weights, fits, strict=True)], axis=0),
        intercept=float(sum(w * fit.intercept for w, fit in zip(weights, fits, strict=True))),
        draws=_draw(fits, weights, np.random.default_rng(seed), draws),
        covariance=best.covariance,
        setting=settings[int(evidence.argmax())],
    )


@dataclass(frozen=True)
class _Covariance:
    """Prior covariances in units of the overall scale, at one setting."""

    kernel: Floats
    """[subset, subset] of the scores around the guess."""
    cross: Floats
    """[demo, subset] between contributions and scores."""
    contributions: Floats
    """[demo, demo] of the contributions."""


def _scale(guess: Floats, prior: Prior) -> float:
    return prior.scale_guess * float(np.sum(guess**2)) / 4 + 1e-8


def _covariance(x: Floats, guess: Floats, prior: Prior, setting: tuple[float, float]) -> _Covariance:
    share, size_share = setting
    count, demos = x.shape
    linear = _linear_prior(guess, share, prior.guess_spread, _scale(guess, prior))
    sizes = np.rint((demos + x.sum(axis=1)) / 2).astype(np.int64)
    by_size = size_share * _size_kernel(demos)
    step = _average_step(demos)
    kernel = x @ linear @ x.T / 4 + by_size[np.ix_(sizes, sizes)] + FLAT
    kernel = kernel + (1 - share) * _interactions(x, demos, prior.decay) + 1e-6 * np.eye(count)
    cross = linear @ x.T / 2 + (step @ by_size)[sizes][None, :]
    return _Covariance(kernel, cross, linear + step @ by_size @ step)


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


def _fit(masks: NDArray[np.bool_], scores: Floats, guess: Floats, prior: Prior, setting: tuple[float, float]) -> _Fit:
    x = signs(masks)
    covariances = _covariance(x, guess, prior, setting)
    expected = prior.guess_factor * guess
    residual = scores - scores.mean() - x @ expected / 2
    factor = cho_factor(covariances.kernel, lower=True)
    solved = cho_solve(factor, residual)
    freedom = prior.degrees_of_freedom + len(scores) - 1
    spread = (prior.degrees_of_freedom * _scale(guess, prior) + float(residual @ solved)) / freedom
    covariance = (covariances.contributions - covariances.cross @ cho_solve(factor, covariances.cross.T)) * spread
    log_evidence = (
        -float(np.log(np.diag(factor[0])).sum())
        - freedom / 2 * float(np.log(freedom * spread))
        + float(gammaln(freedom / 2))
    )
    intercept = float(scores.mean()) + FLAT * float(solved.sum())
    return _Fit(log_evidence, expected + covariances.cross @ solved, covariance, intercept, freedom)


def _linear_prior(guess: Floats, share: float, spread: float, scale: float) -> Floats:
    """Prior covariance [demo, demo] of the additive part around the guess, in units of the overall scale."""
    demos = len(guess)
    return np.asarray(4 * share / max(demos, 1) * np.eye(demos) + np.outer(guess, guess) * (spread**2 / scale))


def _interactions(x: Floats, demos: int, decay: float) -> Floats:
    if demos < 2:
        return np.zeros((len(x), len(x)))
    agreement = np.rint((demos + x @ x.T) / 2).astype(np.int64)
    return interaction_kernel(agreement, demos, decay)


def _draw(fits: list[_Fit], weights: Floats, rng: np.random.Generator, draws: int) -> Floats:
    parts = []
    for fit, number in zip(fits, rng.multinomial(draws, weights), strict=True):
        root = np.linalg.cholesky(_positive(fit.covariance))
        normal = rng.standard_normal((number, len(fit.mean))) @ root.T
        stretch = np.sqrt(fit.freedom / rng.chisquare(fit.freedom, size=(number, 1)))
        parts.append(fit.mean + normal * stretch)
    return np.concatenate(parts)


def _positive(covariance: Floats) -> Floats:
    """The nearest covariance with positive eigenvalues: rounding leaves tiny negative ones once all is known."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    floor = 1e-12 * max(float(values.max(initial=0.0)), 1e-12)
    return np.asarray((vectors * np.maximum(values, floor)) @ vectors.T) + 1e-15 * np.eye(len(values))


def next_subsets(
    masks: NDArray[np.bool_],
    pool: NDArray[np.bool_],
    costs: Floats,
    *,
    guess: Floats,
    setting: tuple[float, float],
    count: int,
    prior: Prior | None = None,
) -> NDArray[np.int64]:
    """Indices into `pool` [subset, demo] of `count` subsets that most reduce the contributions' variance per cost.

    Greedy A-optimal design under the surrogate's covariance; scores are not needed, only where they will be taken.
    """
    prior = prior or Prior()
    covariances = _covariance(signs(np.concatenate([masks, pool])), guess, prior, setting)
    kernel, cross = covariances.kernel, covariances.cross
    offset = len(masks)
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


def _condition(kernel: Floats, cross: Floats, at: list[int]) -> tuple[Floats, Floats]:
    """Covariances after seeing the places `at`."""
    if not at:
        return kernel, cross
    inner = kernel[np.ix_(at, at)] + 1e-9 * np.eye(len(at))
    gain = np.linalg.solve(inner, kernel[at])
    return kernel - kernel[:, at] @ gain, cross - cross[:, at] @ gain
