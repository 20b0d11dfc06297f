"""What a removal of demonstrations may be wanted to reach: rows, each with the test of a list that it reaches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from core.metrics.intervals import Floats

FlipGoal = Literal["empty", "first", "rival"]
Reached = NDArray[np.bool_]


@dataclass(frozen=True)
class FlipCase:
    """The list with every demonstration and without any, and whose place is to change."""

    full: Floats
    """Scores [candidate] with every demonstration, nats."""
    empty: Floats
    """[candidate], without any."""
    target: int
    rival: int | None = None
    """The candidate that the target is to change places with."""


@dataclass(frozen=True)
class FlipGoalRow:
    """One place that the target may be wanted to take."""

    name: FlipGoal
    words: str
    """On the screen."""
    help: str
    """One sentence for a reader."""
    reached: Callable[[Floats, FlipCase], Reached]
    """Whether lists with scores [..., candidate] reach it."""
    needs_rival: bool = False


def places_of(scores: Floats, candidate: int) -> Floats:
    """Place of one candidate under scores [..., candidate]; equal scores share the middle of their places."""
    level = scores[..., [candidate]]
    above, alike = (scores > level).sum(axis=-1), (scores == level).sum(axis=-1)
    return np.asarray(1.0 + above + (alike - 1) / 2)


def _back(scores: Floats, case: FlipCase) -> Reached:
    """As far as without any demonstrations, or further the same way; never where the demonstrations move nothing."""
    full, empty = (float(places_of(each, case.target)) for each in (case.full, case.empty))
    places, way = places_of(scores, case.target), np.sign(empty - full)
    return np.asarray((way != 0) & (way * places >= way * empty))


def _first(scores: Floats, case: FlipCase) -> Reached:
    """Alone at the first place."""
    return np.asarray(places_of(scores, case.target) == 1)


def _past(scores: Floats, case: FlipCase) -> Reached:
    """Above the rival where it is not with every demonstration, else below it."""
    if case.rival is None:
        raise ValueError("the goal needs a rival")
    lead = scores[..., case.target] - scores[..., case.rival]
    ahead = case.full[case.target] > case.full[case.rival]
    return np.asarray(lead < 0 if ahead else lead > 0)


FLIP_GOALS: dict[FlipGoal, FlipGoalRow] = {
    row.name: row
    for row in (
        FlipGoalRow(
            "empty",
            "the place it has without demonstrations",
            "The item stands at least as far up or down as it does without any demonstrations.",
            _back,
        ),
        FlipGoalRow("first", "first place", "The item stands first, with no other beside it.", _first),
        FlipGoalRow(
            "rival",
            "the other side of a rival",
            "The item stands above a rival that it is not above now, or below one that it is above now.",
            _past,
            needs_rival=True,
        ),
    )
}
assert tuple(FLIP_GOALS) == get_args(FlipGoal)
