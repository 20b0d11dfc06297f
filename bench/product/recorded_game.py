"""A whole game as the product's target score: its own code runs on recorded scores instead of a model."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from bench.product.whole_games import WholeGame
from core.analysis.values import Array, Masks, TargetScore
from core.lm.scoring.score import Scorer
from core.lm.scoring.sweep import Cost
from core.question.targets import Explained


class GameScorer:
    """What `TargetScore` and the default method read of a `Scorer`; costs are counted in tokens as there.

    The gated scores are the straight lines that have the recorded gradients: the mean score's, and the target's own.
    """

    def __init__(self, game: WholeGame) -> None:
        self.demos, self.candidates = len(game.demo_tokens), game.scores.shape[1]
        self.cost = Cost()
        self.model = SimpleNamespace(layers=1, heads=1, device="cpu")
        self.demo_of_token = np.array([-1, *range(self.demos), -1])
        """One token a demonstration, between the instruction and the query."""
        self.prompt = SimpleNamespace(
            demos=[_span(tokens) for tokens in game.demo_tokens],
            query=_span(game.query_tokens),
            candidates=[_span(tokens) for tokens in game.candidate_tokens],
            length=game.length,
        )
        self._game = game

    def subsets(self, masks: Masks, *, candidates: Sequence[int], removal: str = "text") -> Array:
        """Recorded scores [subset, candidate]; raises `ValueError` for another removal than that from the text."""
        if removal != "text":
            raise ValueError(f"a game has no scores for removal {removal!r}")
        rows = masks.astype(np.int64) @ (1 << np.arange(self.demos))
        self.cost.forwards += len(rows)
        self.cost.tokens += round(float(self._game.costs(candidates)[rows].sum()) * self._game.length)
        return np.asarray(self._game.scores[rows][:, list(candidates)])

    def between(self) -> None:
        """What a run waits for between two passes: nothing here."""

    def gated(self, gates: Tensor, *, candidates: Sequence[int]) -> Tensor:
        """Scores [candidate], up to a constant, at gates [1, 1, token]."""
        self.cost.forwards += 1
        self.cost.tokens += self._packed(candidates)
        slopes = torch.as_tensor(_slopes(self._game)[list(candidates)])
        return slopes @ gates[0, 0, 1:-1].double()

    def counted_backward(self, candidates: Sequence[int]) -> None:
        """Add the cost of one backward pass through the packed `candidates`."""
        self.cost.backwards += 1
        self.cost.tokens += 2 * self._packed(candidates)

    def _packed(self, candidates: Sequence[int]) -> int:
        """Tokens of the whole prompt with some candidates behind it."""
        longest = self._game.candidate_tokens.max()
        return int(self._game.length - longest + self._game.candidate_tokens[list(candidates)].sum())


def game_score(game: WholeGame, explain: Explained = "field", against: int | None = None) -> TargetScore:
    """The target score of a game; the whole and the empty prompt are scored already, as in the product."""
    score = TargetScore(cast("Scorer", GameScorer(game)), game.target, against, explain=explain)
    for row in (0, len(game.scores) - 1):
        score.remember(game.masks[row], game.scores[row])
    return score


def _span(tokens: float) -> SimpleNamespace:
    return SimpleNamespace(token_ids=range(int(tokens)))


def _slopes(game: WholeGame) -> Array:
    """Derivatives [candidate, demo] with the recorded mean and that of the target; the others share what is left."""
    candidates = game.scores.shape[1]
    others = (candidates * game.gradient_mean - game.gradient_score) / (candidates - 1)
    slopes = np.tile(others, (candidates, 1))
    slopes[game.target] = game.gradient_score
    return slopes
