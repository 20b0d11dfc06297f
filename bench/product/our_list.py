"""Our own answers on whole games: the product's model of the list, fed with the scores that the game holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.product.game_figures import GAME_TARGETS, GameTarget, Prediction, Rows
from bench.product.whole_games import WholeGame
from core.analysis.explain.list_estimates import Estimates
from core.analysis.explain.list_posterior import Guesses, ListPosterior
from core.analysis.explain.refine import PACK
from core.analysis.values import Array
from core.question.targets import EXPLAINED

BACKWARDS = 2
"""Backward passes before the first answer: of the mean score, and of the target's deviation from it."""


@dataclass(frozen=True)
class ListAnswer:
    """What the product says of a game after some ablations."""

    evaluated: Rows
    scores: Array
    """[subset, candidate]: predicted, interactions included."""
    places: Estimates
    """[subset]: of the target."""
    bars: dict[GameTarget, Estimates]
    """[demo]"""
    matrix: Estimates
    """[demo, candidate]: effects on each candidate's field margin."""
    passes: float
    """Full-prompt forwards of the gradients and the ablations, which read every candidate."""

    def prediction(self, game: WholeGame, target: GameTarget) -> Prediction:
        """The predicted target by the whole model."""
        weights = EXPLAINED[target].weights(self.scores.shape[1], game.target)
        return Prediction(self.scores @ weights, self.evaluated, self.places.value)

    def additive(self, game: WholeGame, target: GameTarget) -> Prediction:
        """The predicted target by the bars alone."""
        return Prediction(game.masks @ self.bars[target].value, self.evaluated)


def guesses_of(game: WholeGame) -> Guesses:
    """The gradients as the product hands them to its model of the list."""
    return Guesses(game.gradient_mean, {game.target: game.gradient_score - game.gradient_mean})


def gradient_passes(game: WholeGame, backwards: int = BACKWARDS) -> float:
    """Full-prompt forwards of one forward pass through all candidates and its backward passes, each counted twice."""
    packed = game.length - game.candidate_tokens.max() + game.candidate_tokens.sum()
    return float((1 + 2 * backwards) * packed / game.length)


def list_answers(game: WholeGame, counts: Sequence[int]) -> dict[int, ListAnswer]:
    """The product's answers after each of `counts` ablations, chosen as `core.analysis.explain.refine` chooses them."""
    last = len(game.scores) - 1
    rows, answers = [0, last], {}
    costs, guesses = game.costs(), guesses_of(game)
    for count in range(0, max(counts) + 1, PACK):
        belief = ListPosterior(game.masks[rows], game.scores[rows], guesses)
        if count in counts:
            answers[count] = _answer(game, belief, np.array(rows[2:], dtype=np.int64))
        pool = np.setdiff1d(np.arange(last + 1), rows)
        rows += pool[belief.next_subsets(game.target, game.masks[pool], costs[pool], PACK)].tolist()
    return answers


def _answer(game: WholeGame, belief: ListPosterior, evaluated: Rows) -> ListAnswer:
    candidates = game.scores.shape[1]
    places = belief.places(game.masks)
    return ListAnswer(
        evaluated=evaluated,
        scores=belief.predicted(game.masks),
        places=Estimates(*(each[:, game.target] for each in (places.value, places.low, places.high))),
        bars={name: belief.effects_on(EXPLAINED[name].weights(candidates, game.target)) for name in GAME_TARGETS},
        matrix=_matrix(belief, candidates),
        passes=gradient_passes(game) + float(game.costs()[evaluated].sum()),
    )


def _matrix(belief: ListPosterior, candidates: int) -> Estimates:
    columns = [belief.effects_on(EXPLAINED["field"].weights(candidates, each)) for each in range(candidates)]
    ends = (np.stack([getattr(column, end) for column in columns], axis=1) for end in ("value", "low", "high"))
    return Estimates(*ends)
