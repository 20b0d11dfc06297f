"""Which smallest set of demonstrations, taken out, brings the target to another place.

Sets are foretold by the posterior of the whole list and verified by real passes. A pass goes to the set that is
expected to make the answer smaller by most: its probability of reaching the goal, times by how many demonstrations it
is smaller than the smallest verified set (removing all, as long as there is no other). So a likely set is verified
first and smaller ones after it, each pass teaches the model, and prompts that the model has seen already count as
verified. The search ends when no smaller set is probable enough to be worth a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from core.analysis.explain.list_posterior import ListPosterior
from core.analysis.values import Array, Masks, all_masks
from core.metrics.intervals import Interval
from core.question.flip_goals import FLIP_GOALS, FlipCase, FlipGoal, Reached, places_of

LISTED_DEMOS = 10
"""Up to this many demonstrations every set is considered, above it those of a beam search by size."""
BEAM = 16
"""Sets of each size that the beam search extends."""
WIDE = 32
"""Above so many demonstrations a set is extended by the `BRANCHES` that move the target's margin most, and sizes are
passed over so that there are at most `LEVELS`: else the search would take longer than its passes."""
BRANCHES, LEVELS = 16, 16
WORTH = 0.005
"""Probability of reaching the goal below which a set is not worth a pass: two draws of the posterior. Chosen on four
whole games that no benchmark uses; 0.02 finds 2 of 100 sets less and saves two thirds of a pass."""


class MeasuredList(Protocol):
    """The prompts of one list that were scored, and what they say; the whole and the empty one are among them."""

    masks: Masks
    """[subset, demo]"""

    def scores(self) -> Array:
        """Scores [subset, candidate] at `masks`, as they are ranked."""
        ...

    def posterior(self) -> ListPosterior:
        """What they say of other subsets."""
        ...

    def measure(self, masks: Masks) -> None:
        """Score the prompts at `masks` [subset, demo] too."""
        ...


@dataclass(frozen=True)
class Foresight:
    """What the posterior said of a set before its pass."""

    probability: float
    """Of reaching the goal."""
    place: Interval
    """Of the target."""


@dataclass
class FlipSearch:
    """The search for one goal of one target, over all prompts that `work` holds; further passes go on from there."""

    work: MeasuredList
    goal: FlipGoal
    target: int
    rival: int | None = None
    shift: Array | float = 0.0
    """[candidate] added to the scores of the posterior before they are ranked."""
    seed: int = 0
    between: Callable[[], None] = lambda: None
    """Called before each size that is looked at; may raise `Cancelled`."""
    foretold: dict[bytes, Foresight] = field(default_factory=dict)
    """Of every set that this search has verified, by its mask."""
    _smallest: tuple[Masks, Masks] | None = field(default=None, repr=False)
    """The measured masks that `smallest` was found among, and what it was."""

    def __post_init__(self) -> None:
        sizes = self.work.masks.sum(axis=1)
        full, empty = (self.work.scores()[int(row)] for row in (sizes.argmax(), sizes.argmin()))
        self.case = FlipCase(full, empty, self.target, self.rival)

    # ---- what is measured

    def reached(self, scores: Array) -> Reached:
        """Whether lists with scores [..., candidate] reach the goal."""
        return FLIP_GOALS[self.goal].reached(scores, self.case)

    @property
    def pointless(self) -> bool:
        """Whether there is nothing to flip: the goal is reached already, or removing all changes no place."""
        moves = places_of(self.case.full, self.target) != places_of(self.case.empty, self.target)
        return bool(self.reached(self.case.full)) or (self.goal == "empty" and not moves)

    @property
    def removing_all_does_it(self) -> bool:
        """Whether the goal is reached without any demonstrations."""
        return bool(self.reached(self.case.empty))

    @property
    def smallest(self) -> Masks:
        """The verified sets of the least size, [set, demo], as masks of what is kept; none where none is verified.

        All lists are ranked once for the same measured prompts.
        """
        if self._smallest is None or self._smallest[0] is not self.work.masks:
            masks = self.work.masks[self.reached(self.work.scores())]
            self._smallest = self.work.masks, _fewest(masks)
        return self._smallest[1]

    @property
    def limit(self) -> int:
        """Size that a set must stay below to make the answer smaller."""
        smallest = self.smallest
        return int(_removed(smallest)[0]) if len(smallest) else self.work.masks.shape[1] + 1

    # ---- the search

    def verify(self, passes: int) -> None:
        """Verify up to `passes` sets, each one where it makes the answer smallest by expectation."""
        for _ in range(0 if self.pointless else passes):
            choice = self._next()
            if choice is None:
                return
            mask, foresight = choice
            self.work.measure(mask[None])
            self.foretold[mask.tobytes()] = foresight

    def _next(self) -> tuple[Masks, Foresight] | None:
        """The set to verify next and what is foretold of it; None where none is worth it."""
        posterior, limit = self.work.posterior(), self.limit
        pool = self._unmeasured(self._pool(posterior, limit))
        if not len(pool):
            return None
        probability = self._probability(posterior, pool)
        best = int((np.where(probability >= WORTH, probability, 0.0) * (limit - _removed(pool))).argmax())
        if probability[best] < WORTH:
            return None
        return pool[best], Foresight(float(probability[best]), self._place(posterior, pool[best]))

    def _place(self, posterior: ListPosterior, mask: Masks) -> Interval:
        """Of the target under one mask [demo]."""
        places = posterior.places(mask[None], shift=self.shift, seed=self.seed)
        return Interval(*(float(part[0, self.target]) for part in (places.value, places.low, places.high)))

    def _probability(self, posterior: ListPosterior, masks: Masks) -> Array:
        return posterior.probability(masks, self.reached, shift=self.shift, seed=self.seed)

    def _pool(self, posterior: ListPosterior, limit: int) -> Masks:
        """Masks [set, demo] of sets with fewer than `limit` demonstrations."""
        demos = self.work.masks.shape[1]
        if demos > LISTED_DEMOS:
            return self._beam(posterior, limit)
        masks = all_masks(demos)[:-1]
        return masks[_removed(masks) < limit]

    def _beam(self, posterior: ListPosterior, limit: int) -> Masks:
        """The most probable sets of each size, each grown from those of the size before; not every size above `WIDE`
        demonstrations."""
        rows = np.ones((1, self.work.masks.shape[1]), dtype=bool)
        demos = self.work.masks.shape[1]
        step = 1 if demos <= WIDE else -(-(limit - 1) // LEVELS)
        branches, order = demos if demos <= WIDE else BRANCHES, self._likely(posterior)
        levels: list[Masks] = []
        for _ in range(step, limit, step or 1):
            self.between()
            rows = _grown(rows, order, step, branches)
            rows = rows[np.argsort(-self._probability(posterior, rows), kind="stable")[:BEAM]]
            levels.append(rows)
        return np.concatenate([rows[:0], *levels])

    def _likely(self, posterior: ListPosterior) -> list[int]:
        """The demonstrations in the order in which a set is extended by them: of many, those that move the target's
        margin over the rival, or over the field, most up and down in turns."""
        demos = self.work.masks.shape[1]
        if demos <= WIDE:
            return list(range(demos))
        ranked = posterior.by_margin(self.target, self.rival)
        return list(dict.fromkeys(demo for pair in zip(ranked, ranked[::-1], strict=True) for demo in pair))

    def _unmeasured(self, masks: Masks) -> Masks:
        measured = {mask.tobytes() for mask in self.work.masks}
        return masks[[mask.tobytes() not in measured for mask in masks]]


def _removed(masks: Masks) -> Array:
    """How many demonstrations each set takes out, [set]."""
    return np.asarray((~masks).sum(axis=1))


def _fewest(masks: Masks) -> Masks:
    """Those of `masks` [set, demo] that take out fewest demonstrations."""
    sizes = _removed(masks)
    return masks[sizes == sizes.min()] if len(masks) else masks


def _grown(rows: Masks, order: Sequence[int], step: int, branches: int) -> Masks:
    """Every set that takes out `step` demonstrations more than one of `rows`, once: each of the first `branches` left
    in `order`, with those behind it of the same turn."""
    left = [[demo for demo in order if row[demo]] for row in rows]
    grown = [
        _without(row, more) for row, rest in zip(rows, left, strict=True) for more in _blocks(rest, step, branches)
    ]
    return np.unique(np.array(grown, dtype=bool).reshape(-1, rows.shape[1]), axis=0)


def _blocks(left: Sequence[int], step: int, branches: int) -> list[Sequence[int]]:
    """`step` demonstrations from each of the first `branches` on, every other one where enough are left."""
    turn = 1 if len(left) < 2 * step else 2
    blocks = [left[place::turn][:step] for place in range(min(branches, len(left)))]
    return [block for block in blocks if len(block) == step]


def _without(row: Masks, demos: Sequence[int]) -> Masks:
    row = row.copy()
    row[list(demos)] = False
    return row
