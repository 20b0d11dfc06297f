"""Values about every candidate of a list, how sure they are, and what they say of any weighted sum of the scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.metrics.intervals import Floats

LEVEL = 0.9
"""Of every interval."""


@dataclass(frozen=True)
class Estimates:
    """Values with the ends of their 90 % intervals; same shapes."""

    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class ListBelief:
    """What was asked (contributions, or interactions of pairs) about the score of every candidate, in nats.

    The mean score of all candidates and each one's deviation from it are independent of each other.
    """

    values: Floats
    """[asked, candidate]"""
    mean_variance: Floats
    """Of the mean score, [asked]."""
    deviation_variance: Floats
    """[asked, candidate]"""
    quantile: float
    """Half the width of an interval in standard deviations."""
    noise: float = 0.0
    """What every interval is longer by at each end, in nats: the noise of measured scores."""

    def on(self, weights: Floats) -> Estimates:
        """The same [asked] of a weighted sum of the scores, `weights` [candidate]."""
        value = self.values @ weights
        centred = weights - weights.mean()
        variance = self.mean_variance * weights.sum() ** 2 + self.deviation_variance @ centred**2
        half = self.quantile * np.sqrt(variance) + self.noise
        return Estimates(value, value - half, value + half)
