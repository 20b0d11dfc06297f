"""What is explained of a prompt as a function of which demonstrations are kept, each subset scored once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.lm.scoring.score import Removal, Scorer
from core.question.targets import EXPLAINED, Explained

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
    """A weighted sum of the candidates' scores for any subset or gating of the K demonstrations.

    What is summed is one of the rows of `core.question.targets`: a candidate's own score, its margin over the field or
    over another candidate, or the lift of the field. Subsets are remembered with the scores of every candidate that was
    scored, so that methods and targets that share them pay once. `target` and `against` are candidate indices.
    """

    def __init__(
        self, scorer: Scorer, target: int, against: int | None = None, *, explain: Explained | None = None
    ) -> None:
        self.scorer, self.target, self.against = scorer, target, against
        self.demos = scorer.demos
        self.explain: Explained = explain or ("score" if against is None else "pair")
        self.weights = EXPLAINED[self.explain].weights(scorer.candidates, target, against)
        self.noise = 0.0
        """How far an effect may be off, in nats, because equal prompts do not get equal scores."""
        self._scores: dict[tuple[Removal, bytes], Array] = {}

    @property
    def candidates(self) -> list[int]:
        """Candidates that must be scored to know the sum."""
        return np.flatnonzero(self.weights).tolist()

    def remember(self, mask: NDArray[np.bool_], scores: Array, removal: Removal = "text") -> None:
        """Take over the scores [candidate] of all candidates, known from elsewhere, at one mask [demo]."""
        self._scores[removal, mask.tobytes()] = np.asarray(scores, dtype=np.float64)

    def at(self, masks: Masks, removal: Removal = "text") -> Array:
        """The sum [subset] at `masks` [subset, demo]; only the candidates that it needs are scored."""
        needed = self.candidates
        return self._table(masks, needed, removal)[:, needed] @ self.weights[needed]

    def scores_at(self, masks: Masks, removal: Removal = "text") -> Array:
        """Scores of all candidates [subset, candidate] at `masks` [subset, demo]."""
        return self._table(masks, range(self.scorer.candidates), removal)

    def _table(self, masks: Masks, candidates: Sequence[int], removal: Removal) -> Array:
        """Scores [subset, candidate], nan for candidates outside `candidates` that were never scored."""
        keys = [(removal, mask.tobytes()) for mask in masks]
        missing = {key: row for row, key in enumerate(keys) if not self._has(key, candidates)}
        if missing:
            rows = list(missing.values())
            scores = self.scorer.subsets(masks[rows], candidates=list(candidates), removal=removal)
            for key, each in zip(missing, scores, strict=True):
                table = self._scores.setdefault(key, np.full(self.scorer.candidates, np.nan))
                table[list(candidates)] = each
        return np.array([self._scores[key] for key in keys]).reshape(len(masks), self.scorer.candidates)

    def _has(self, key: tuple[Removal, bytes], candidates: Sequence[int]) -> bool:
        scores = self._scores.get(key)
        return scores is not None and not np.isnan(scores[list(candidates)]).any()

    def at_gates(self, gates: Tensor) -> Tensor:
        """The sum, a number that a gradient can flow from, at `gates` (see `Scorer.gated`)."""
        return self.sums_at_gates(gates, self.weights[None])[0]

    def sums_at_gates(self, gates: Tensor, weightings: Array) -> Tensor:
        """Weighted sums [weighting] of the candidates' scores at `gates`, for `weightings` [weighting, candidate]."""
        needed = np.flatnonzero(weightings.any(axis=0)).tolist()
        scores = self.scorer.gated(gates, candidates=needed)
        return torch.as_tensor(weightings[:, needed], dtype=scores.dtype, device=scores.device) @ scores

    @property
    def full(self) -> float:
        """The sum with every demonstration."""
        return float(self.at(np.ones((1, self.demos), dtype=bool))[0])

    @property
    def empty(self) -> float:
        """The sum with every demonstration deleted from the text."""
        return float(self.at(np.zeros((1, self.demos), dtype=bool))[0])


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
