"""The target score of a prompt as a function of which demonstrations are kept, each subset scored once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from core.lm.scoring.score import Removal, Scorer

Masks = NDArray[np.bool_]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Spent:
    """What a method used: prompts scored, backward passes, full-prompt forward equivalents, seconds."""

    forwards: int
    backwards: int
    passes: float
    seconds: float


class TargetScore:
    """Score of one candidate, or its margin over another, for any subset or gating of the K demonstrations.

    Subsets are remembered, so that methods that share them pay once. `target` and `against` are candidate indices.
    """

    def __init__(self, scorer: Scorer, target: int, against: int | None = None) -> None:
        self.scorer, self.target, self.against = scorer, target, against
        self.demos = scorer.demos
        self._known: dict[tuple[Removal, bytes], float] = {}

    @property
    def candidates(self) -> list[int]:
        """Candidates that must be scored to know the target score."""
        return [self.target] if self.against is None else [self.target, self.against]

    def remember(self, mask: NDArray[np.bool_], scores: Array, removal: Removal = "text") -> None:
        """Take over the scores [candidate] of all candidates, known from elsewhere, at one mask [demo]."""
        self._known[removal, mask.tobytes()] = self._combine(scores[self.candidates])

    def at(self, masks: Masks, removal: Removal = "text") -> Array:
        """Target scores [subset] at `masks` [subset, demo]."""
        keys = [(removal, mask.tobytes()) for mask in masks]
        missing = {key: row for row, key in enumerate(keys) if key not in self._known}
        if missing:
            rows = list(missing.values())
            scores = self.scorer.subsets(masks[rows], candidates=self.candidates, removal=removal)
            for key, each in zip(missing, scores, strict=True):
                self._known[key] = self._combine(each)
        return np.array([self._known[key] for key in keys])

    def at_gates(self, gates: Tensor) -> Tensor:
        """Target score, a number that a gradient can flow from, at `gates` (see `Scorer.gated`)."""
        scores = self.scorer.gated(gates, candidates=self.candidates)
        return scores[0] if self.against is None else scores[0] - scores[1]

    @property
    def full(self) -> float:
        """Target score with every demonstration."""
        return float(self.at(np.ones((1, self.demos), dtype=bool))[0])

    @property
    def empty(self) -> float:
        """Target score with every demonstration deleted from the text."""
        return float(self.at(np.zeros((1, self.demos), dtype=bool))[0])

    def _combine(self, scores: Sequence[float] | Array) -> float:
        return float(scores[0] if self.against is None else scores[0] - scores[1])


class Meter:
    """Measures what a piece of work spends on a scorer."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._cost = (scorer.cost.forwards, scorer.cost.backwards, scorer.cost.tokens)
        self._start = time.monotonic()

    def read(self) -> Spent:
        """What has been spent since this meter was made."""
        forwards, backwards, tokens = self._cost
        cost = self._scorer.cost
        return Spent(
            cost.forwards - forwards,
            cost.backwards - backwards,
            (cost.tokens - tokens) / self._scorer.prompt.length,
            time.monotonic() - self._start,
        )


def all_masks(demos: int) -> Masks:
    """Every subset of `demos` demonstrations, [2**demos, demo], the empty one first."""
    numbers = np.arange(2**demos)
    return ((numbers[:, None] >> np.arange(demos)[None, :]) & 1).astype(bool)


def leave_one_out_masks(demos: int) -> Masks:
    """Row k keeps every demonstration but k, [demo, demo]."""
    return ~np.eye(demos, dtype=bool)
