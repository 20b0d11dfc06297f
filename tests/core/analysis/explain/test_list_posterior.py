"""The intervals of places: the shortest ones that hold their level, against every other interval of places."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.analysis.explain.list_estimates import LEVEL
from core.analysis.explain.list_posterior import _ranked, _shortest

PLACES = st.lists(st.integers(1, 6), min_size=2, max_size=40)


def share(places: NDArray[np.float64], low: float, high: float) -> float:
    return float(((places >= low) & (places <= high)).mean())


@given(PLACES)
def test_no_shorter_interval_holds_the_level(drawn: list[int]) -> None:
    places = np.sort(np.array(drawn, dtype=float))
    low, high = (float(end) for end in _shortest(places))
    assert share(places, low, high) >= LEVEL - 1e-9
    ends = np.arange(1, 7)
    widths = [last - first for first in ends for last in ends if share(places, first, last) >= LEVEL - 1e-9]
    assert high - low == min(widths)


def test_of_equally_short_intervals_the_middle_one_is_taken() -> None:
    low, high = _shortest(np.arange(1.0, 21.0))
    assert (low, high) in {(2.0, 19.0), (1.0, 18.0), (3.0, 20.0)}
    assert (low, high) == (2.0, 19.0)


def test_a_nearly_certain_place_stands_alone() -> None:
    """19 draws of 20 put the first candidate first; a central interval would hold every place that it ever takes."""
    scores = np.zeros((20, 1, 5)) - np.arange(5)
    scores[0, 0, 0] = -9
    value, low, high = _ranked(scores)[:, 0, 0]
    assert (value, low, high) == (1.2, 1, 1)


@given(st.integers(0, 10_000))
def test_the_mean_place_rounded_lies_within(seed: int) -> None:
    random = np.random.default_rng(seed)
    drawn = random.standard_t(2, size=(30, 3, 4)) * random.exponential(2, size=4)
    value, low, high = _ranked(drawn)
    assert (low <= np.round(value)).all()
    assert (np.round(value) <= high).all()
