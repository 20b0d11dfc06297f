"""Our own answers on whole games: the product's default method, run on the scores that the game holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.product.contextcite import row_of
from bench.product.game_figures import GameTarget, Prediction, Rows
from bench.product.recorded_game import game_score
from bench.product.whole_games import WholeGame
from core.analysis.explain.explain_task import Explain
from core.analysis.explain.list_estimates import Estimates
from core.analysis.explain.list_posterior import ListPosterior
from core.analysis.explain.refine import ABLATING, ENDS, RefinedAnswer, refine
from core.analysis.explain.surrogate import Prior
from core.analysis.values import Array
from core.question.flip_goals import places_of
from core.question.targets import EXPLAINED, Explained

UNLIMITED = 1e6
"""Full-prompt forwards that no game needs."""


@dataclass(frozen=True)
class ListAnswer:
    """What the product says of a game after some ablations."""

    evaluated: Rows
    scores: Array
    """[subset, candidate]: predicted, interactions included."""
    places: Estimates
    """[subset]: of the target."""
    promised: Array
    """[subset]: probability of the intervals of places by the model itself."""
    bars: dict[Explained, Estimates]
    """[demo]"""
    matrix: Estimates
    """[demo, candidate]: effects on each candidate's field margin."""
    passes: float
    """Full-prompt forwards of the gradients and the ablations, which read every candidate."""

    def prediction(self, game: WholeGame, target: GameTarget) -> Prediction:
        """The predicted target by the whole model."""
        return Prediction(self.scores @ weights_of(game, target), self.evaluated, self.places.value)

    def additive(self, game: WholeGame, target: GameTarget) -> Prediction:
        """The predicted target by the bars alone."""
        return Prediction(game.masks @ self.bars[target].value, self.evaluated)


def list_answers(game: WholeGame, counts: Sequence[int]) -> dict[int, ListAnswer]:
    """The answers of the product's default method after each of `counts` ablations, multiples of `refine.PACK`."""
    return {count: list_answer(game, answer) for count, answer in refined_answers(game, counts)}


def refined_answers(
    game: WholeGame, counts: Sequence[int], prior: Prior | None = None
) -> Iterator[tuple[int, RefinedAnswer]]:
    """Each of `counts` and the answer of the default method after so many ablations."""
    for answer in refine(game_score(game), budget=UNLIMITED, prior=prior):
        count = len(answer.belief.masks) - ENDS
        if count in counts:
            yield count, answer
        if count >= max(counts):
            return


def default_answers(game: WholeGame) -> tuple[ListAnswer, ListAnswer]:
    """The product's answer when its budget is spent, and the complete one, with single removals and a flip set."""
    task = Explain()
    steps = refine(game_score(game), budget=task.budget, removals=task.removals, flips=task.flips, flip=task.flip)
    answers = list(steps)
    refined = next(answer for answer in answers if answer.ahead != ABLATING)
    return list_answer(game, refined), list_answer(game, answers[-1])


def list_answer(game: WholeGame, answer: RefinedAnswer) -> ListAnswer:
    """What an answer of the product says of the whole game."""
    belief, candidates = answer.belief, game.scores.shape[1]
    places = Estimates(*(end[:, game.target] for end in _ends(belief.places(game.masks))))
    return ListAnswer(
        evaluated=row_of(belief.masks[ENDS:]),
        scores=belief.predicted(game.masks),
        places=places,
        promised=_promised(game, belief, places),
        bars={name: belief.effects_on(weights_of(game, name)) for name in EXPLAINED},
        matrix=_matrix(belief, candidates),
        passes=answer.spent.passes,
    )


def weights_of(game: WholeGame, target: Explained) -> Array:
    """The weight [candidate] of every score in a target; a pair is with the candidate after the game's target."""
    candidates = game.scores.shape[1]
    return EXPLAINED[target].weights(candidates, game.target, (game.target + 1) % candidates)


def _promised(game: WholeGame, belief: ListPosterior, places: Estimates) -> Array:
    """Probability of the intervals of places, [subset]: of whole places they hold more than they must."""

    def inside(drawn: Array) -> NDArray[np.bool_]:
        drawn_places = places_of(drawn, game.target)
        return np.asarray((places.low <= drawn_places) & (drawn_places <= places.high))

    return belief.probability(game.masks, inside)


def _matrix(belief: ListPosterior, candidates: int) -> Estimates:
    columns = [belief.effects_on(EXPLAINED["field"].weights(candidates, each)) for each in range(candidates)]
    return Estimates(*(np.stack(ends, axis=1) for ends in zip(*map(_ends, columns), strict=True)))


def _ends(estimates: Estimates) -> tuple[Array, Array, Array]:
    return estimates.value, estimates.low, estimates.high
