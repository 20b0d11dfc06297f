"""How far a measured figure scatters over the cases."""

from __future__ import annotations

import math

import numpy as np

from bench.constants import DRAWS
from core.metrics.intervals import Floats, Interval, ends, mean_over_cases, resamples
from core.tuning.evaluation.record import MetricEstimate

UNDEFINED = Interval(math.nan, math.nan, math.nan)


def interval_of(value: float | None, low: float | None, high: float | None) -> Interval:
    """An interval from figures that may be missing; nan for those that are."""
    return Interval(*(math.nan if figure is None else figure for figure in (value, low, high)))


def figures_of(measured: MetricEstimate) -> Interval:
    """Value and ends of the interval of an estimate; nan for what is missing."""
    return interval_of(measured.value, measured.low, measured.high)


def quartiles(values: Floats) -> Interval:
    """Median, first and third quartile; nan thrice for no values."""
    if len(values) == 0:
        return UNDEFINED
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return Interval(float(middle), float(low), float(high))


def extremes(value: float, values: Floats) -> Interval:
    """A figure with the least and the largest of the values it is taken from."""
    return Interval(float(value), float(values.min()), float(values.max()))


def mean_interval(values: Floats) -> Interval:
    """Mean over cases with its bootstrap interval; the ends are nan below 2 cases."""
    return mean_over_cases(values, seed=0, draws=DRAWS)


def ratio_interval(above: Floats, below: Floats) -> Interval:
    """Ratio of the means of two paired measurements with its bootstrap interval over cases."""
    if len(above) < 2:
        return Interval(float(above.mean() / below.mean()), math.nan, math.nan) if len(above) else UNDEFINED
    picks = resamples(len(above), seed=0, draws=DRAWS)
    draws = above[picks].mean(axis=1) / below[picks].mean(axis=1)
    return Interval(float(above.mean() / below.mean()), *ends(draws))
