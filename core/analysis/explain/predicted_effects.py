"""What effect would a demonstration have that is not in the prompt, as far as those in it tell?

A demonstration that was never run is predicted by kriging from those that were: effects vary around their mean, those
of the same answer and of words in common vary together (Rasmussen and Williams 2006, chapter 2). It rests on the few
demonstrations of one prompt, so it is wide, and `EffectPrediction.error` says how far it misses those themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from core.analysis.explain.list_estimates import LEVEL, Estimates
from core.metrics.intervals import Floats

LEAST = 3
"""Demonstrations with measured effects below which nothing is predicted."""
MEAN, ANSWER, WORDS, OWN = 0.15, 0.25, 0.2, 0.8
"""Shares of the variance of effects: of the mean, of the same answer, of the same words, and of each one alone.

Set by judgement, not fitted: together they are more than 1, so that an interval is no narrower than the effects at hand
vary. It widens where they say that it is too sure."""


@dataclass(frozen=True)
class Likeness:
    """How alike two groups of demonstrations are, both [row, column]."""

    words: Floats
    """Share of the words of either that both have, 0 to 1."""
    answers: NDArray[np.bool_]
    """Whether both have the same answer; True everywhere where there are no answers."""

    @property
    def kernel(self) -> Floats:
        """Covariance of two different demonstrations, in units of the variance of effects."""
        return np.asarray(MEAN + ANSWER * self.answers + WORDS * self.words, dtype=np.float64)


@dataclass(frozen=True)
class EffectPrediction:
    """Effects of demonstrations that were not run, and how well the same rule predicts those that were."""

    effects: Estimates
    """[new], nats."""
    error: float
    """Mean distance between the effect of a measured demonstration and its prediction from the others, nats."""


def predicted_effects(measured: Estimates, among: Likeness, to: Likeness) -> EffectPrediction | None:
    """Effects of new demonstrations from `measured` ones [demo], with 90 % intervals; None below `LEAST` of these.

    `among` is [demo, demo] with each like itself, `to` [new, demo]. The prediction moves with the effects: adding a
    number to all of them, or multiplying them, does the same to it.
    """
    demos = len(measured.value)
    if demos < LEAST:
        return None
    mean, centred = measured.value.mean(), measured.value - measured.value.mean()
    noise = ((measured.high - measured.low) / 2 / stats.norm.ppf((1 + LEVEL) / 2)) ** 2
    variance = _variance(centred, noise)
    inverse = np.linalg.inv(variance * (among.kernel + OWN * np.eye(demos)) + np.diag(noise) + _jitter(variance, demos))
    cross = variance * to.kernel
    value = mean + cross @ inverse @ centred
    left = variance * (MEAN + ANSWER + WORDS + OWN) - np.einsum("nd,de,ne->n", cross, inverse, cross)
    misses = (inverse @ centred) / np.diag(inverse)  # Each one left out in turn (Rasmussen and Williams, 5.12).
    wider = max(1.0, float(np.sqrt(np.mean(misses**2 * np.diag(inverse)))))
    half = float(stats.t.ppf((1 + LEVEL) / 2, demos - 1)) * wider * np.sqrt(np.maximum(left, 0.0))
    return EffectPrediction(Estimates(value, value - half, value + half), float(np.abs(misses).mean()))


def _variance(centred: Floats, noise: Floats) -> float:
    """Variance of the effects behind their noise, at least a tenth of what is seen."""
    seen = float(centred @ centred) / (len(centred) - 1)
    return max(seen - float(noise.mean()), 0.1 * seen)


def _jitter(variance: float, demos: int) -> Floats:
    """Keeps the matrix invertible where all effects are the same and without noise."""
    return np.eye(demos) * (1e-9 * variance + 1e-18)
