"""What the numbers beside the interactions mean: which of them are ratings, and from which on an item is liked.

The rules, in this order; the data set's notices name what they find.

1. A special value is not rated: -1 where all others are 0 or more, 99 where all others lie within -10 and 10, and 0
   where all others are whole numbers from 1 to at most 10. Each needs three other values, so that 0 and 1 (or -1
   and 1) stay a plain No and Yes; in a column `label` 0 always means No.
2. The top of the scale is the largest value that at least 1 % of the rated interactions reach, and at least two of
   them: one 55 among 1 to 5 moves nothing. With fewer than ten rated interactions, or fewer than three values up to
   there, it is the largest value.
3. Values from 0 up to above 10, whose top is more than five times their median, are counts (plays, hours). Liked is
   the upper half: the least count that at most half of the rated interactions reach.
4. On any other scale an interaction is liked from four fifths of the top on: 4 of 5, 8 of 10, 1 of 0 and 1.

Without ratings, and where all are equal, every interaction counts as liked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.words import counted

Numbers = NDArray[np.float64]

LIKED_SHARE = 0.8
"""Share of the scale's top from which an interaction counts as liked: 4 of 5."""
TOP_SHARE = 0.01
"""Share of the rated interactions that must reach the scale's top."""
FEW = 10
"""Rated interactions below which the largest value is the top."""
COUNT_RATIO = 5
"""How many times the median the top of mere counts is."""

_SPECIAL: tuple[tuple[float, Callable[[Numbers], bool]], ...] = (
    (99.0, lambda others: bool(others[0] < 0 and np.abs(others).max() <= 10)),
    (-1.0, lambda others: bool(others[0] >= 0)),
    (0.0, lambda others: bool(others[0] >= 1 and others[-1] <= 10 and (others == np.rint(others)).all())),
)
"""Values that stand for "not rated", and on which other values they do."""


@dataclass(frozen=True)
class Scale:
    """How the numbers of one column are read."""

    rated: bool
    """Whether likes and dislikes can be told apart."""
    threshold: float = 0.0
    """Least number that counts as liked; 0 without ratings."""
    low: float | None = None
    """Smallest rating, as are `top` and `median` None where there are none."""
    top: float | None = None
    median: float | None = None
    counts: bool = False
    """Whether the numbers are counts instead of ratings."""
    unrated: tuple[tuple[float, int], ...] = ()
    """Special values that mean "not rated", and how many interactions hold each."""
    above: tuple[float, int] | None = None
    """The largest value above `top`, and how many interactions lie above it."""
    interactions: int = 0
    """Interactions with a rating."""
    liked: int = 0
    """Interactions that count as liked."""


def scale_of(
    values: Numbers,
    numbers: NDArray[np.int64],
    *,
    label: bool = False,
    like_from: float | None = None,
    not_rated: Collection[float] | None = None,
) -> Scale:
    """The scale of distinct `values` in ascending order, each held by as many interactions as `numbers` says.

    `label` marks values of a column `label`, whose 0 is a No. `like_from` sets the least number that counts as liked,
    `not_rated` the values that mean "not rated", instead of the rules.
    """
    special = _special(values, numbers, label=label) if not_rated is None else np.isin(values, list(not_rated))
    unrated = tuple((float(values[place]), int(numbers[place])) for place in np.flatnonzero(special))
    values, numbers = values[~special], numbers[~special]
    if len(values) < 2:
        return Scale(rated=False, low=float(values[0]) if len(values) else None, unrated=unrated)
    top = _top(values, numbers)
    median = float(values[np.searchsorted(np.cumsum(numbers), numbers.sum() / 2)])
    counts = len(values) > 2 and values[0] >= 0 and top > 10 and top > COUNT_RATIO * median
    threshold = _upper_half(values, numbers) if counts else round(LIKED_SHARE * top, 9) if top > 0 else top
    threshold = threshold if like_from is None else like_from
    beyond = int(numbers[values > top].sum())
    return Scale(
        rated=True,
        threshold=threshold,
        low=float(values[0]),
        top=top,
        median=median,
        counts=bool(counts),
        unrated=unrated,
        above=(float(values[-1]), beyond) if beyond else None,
        interactions=int(numbers.sum()),
        liked=int(numbers[values >= threshold].sum()),
    )


def _special(values: Numbers, numbers: NDArray[np.int64], *, label: bool) -> NDArray[np.bool_]:
    """Which values mean "not rated"; values above the top of the scale have no say."""
    special = np.zeros(len(values), dtype=bool)
    within = values <= _top(values, numbers) if len(values) else special
    for value, holds in () if label else _SPECIAL:
        others = values[within & ~special & (values != value)]
        if len(others) >= 3 and holds(others):
            special |= values == value
    return special


def _top(values: Numbers, numbers: NDArray[np.int64]) -> float:
    reached = np.cumsum(numbers[::-1])[::-1]  # [value]: interactions at it or above
    top = int(np.flatnonzero(reached >= max(2, TOP_SHARE * numbers.sum()))[-1]) if numbers.sum() >= FEW else 0
    return float(values[top if top >= 2 else -1])


def _upper_half(values: Numbers, numbers: NDArray[np.int64]) -> float:
    reached = np.cumsum(numbers[::-1])[::-1]
    half = np.flatnonzero(reached <= numbers.sum() / 2)
    return float(values[half[0] if len(half) else -1])


def scale_notices(scale: Scale, column: str, missing: int) -> list[str]:
    """What a reader should know of a scale; `missing` interactions have no number in `column` at all."""
    if not scale.rated:
        why = "There are no ratings" if scale.low is None else "All ratings are equal"
        unrated = [_unrated(column, value, count) for value, count in scale.unrated]
        return [f"{why}: every interaction counts as liked.", *unrated]
    notices = [_range(scale, column), *(_unrated(column, value, count) for value, count in scale.unrated)]
    if scale.above is not None:
        largest, count = scale.above
        notices.append(f"{_some(count)} above {scale.top:g} ({column} up to {largest:g}), which sets no scale.")
    if missing:
        notices.append(f"{_some(missing, 'has', 'have')} no rating and {_neither(missing)}.")
    return notices


def _range(scale: Scale, column: str) -> str:
    top = scale.top if scale.above is None else scale.above[0]
    kind = f"{column.capitalize()} runs from {scale.low:g} to {scale.top:g}"
    if scale.counts:
        kind = (
            f"{column.capitalize()} runs from {scale.low:g} to {top:g} with {scale.median:g} in the middle,"
            " so it is read as a count"
        )
    share = 100 * scale.liked / scale.interactions
    likes = f"{share:.0f} % of {scale.interactions:,} rated interactions"
    return f"{kind}; an item counts as liked from {scale.threshold:g} on: {likes}."


def _unrated(column: str, value: float, count: int) -> str:
    return f"{_some(count, 'has', 'have')} {column} {value:g}, read as not rated, and {_neither(count)}."


def _some(count: int, singular: str = "lies", plural: str = "lie") -> str:
    return counted(count, f"interaction {singular}", f"interactions {plural}")


def _neither(count: int) -> str:
    return f"{'counts' if count == 1 else 'count'} neither as liked nor as disliked"
