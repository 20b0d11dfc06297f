"""What is true of a whole game, and how near an estimate comes to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.product.whole_games import WholeGame
from core.analysis.explain.ablation import banzhaf_of_table
from core.analysis.values import Array
from core.metrics.ranking import ranks
from core.metrics.similarity import spearman

GameTarget = Literal["score", "field"]
"""What is explained: the target's own score, or its margin over the mean of the other candidates."""
GAME_TARGETS: dict[GameTarget, str] = {"score": "own score", "field": "field margin"}
"""With their names in the table."""
Rows = NDArray[np.int64]
"""Numbers of subsets in the order of `all_masks`."""


@dataclass(frozen=True)
class Prediction:
    """What a method says of one target of a game after some evaluations."""

    values: Array
    """[subset]: the predicted target; LDS needs it up to a constant only."""
    evaluated: Rows
    """The subsets that it has read, beside the empty and the whole one."""
    places: Array | None = None
    """[subset]: the predicted place; None where it has only the values."""


def field_margins(scores: Array) -> Array:
    """Each candidate's score minus the mean of the others', [..., candidate]."""
    candidates = scores.shape[-1]
    others = (scores.sum(axis=-1, keepdims=True) - scores) / (candidates - 1)
    return np.asarray(scores - others)


def target_values(game: WholeGame, target: GameTarget) -> Array:
    """What is explained at every subset, [subset]."""
    table = game.scores if target == "score" else field_margins(game.scores)
    return np.asarray(table[:, game.target])


def true_places(game: WholeGame) -> Array:
    """The target's place at every subset, [subset]; equal scores share the middle."""
    return np.array([ranks(row)[game.target] for row in game.scores], dtype=np.float64)


def true_matrix(game: WholeGame) -> Array:
    """Average effect of each demonstration on each candidate's field margin, [demo, candidate]."""
    margins = field_margins(game.scores)
    return np.stack([banzhaf_of_table(column, len(game.demo_tokens)) for column in margins.T], axis=1)


def unseen(subsets: int, evaluated: Sequence[int] | Rows) -> Rows:
    """The subsets that were not evaluated; the empty and the whole one always are."""
    read = np.zeros(subsets, dtype=bool)
    read[[0, subsets - 1, *evaluated]] = True
    return np.flatnonzero(~read)


def game_lds(game: WholeGame, target: GameTarget, prediction: Prediction) -> float:
    """Spearman correlation of predicted and true values over unseen subsets; 0 where a side does not vary."""
    rows = unseen(len(game.scores), prediction.evaluated)
    return _defined(spearman(prediction.values[rows], target_values(game, target)[rows]))


def place_agreement(game: WholeGame, prediction: Prediction) -> float:
    """Spearman correlation of the predicted and the true place over unseen subsets; nan where the place is always one.

    A method without places foretells a better place where its values are higher.
    """
    rows = unseen(len(game.scores), prediction.evaluated)
    places = -prediction.values if prediction.places is None else prediction.places
    truth = true_places(game)[rows]
    return math.nan if np.ptp(truth) == 0 else _defined(spearman(places[rows], truth))


def matrix_error(truth: Array, matrix: Array) -> float:
    """Mean size of the error as a share of the mean size of the true values."""
    return float(np.abs(matrix - truth).mean() / np.abs(truth).mean())


def right_signs(truth: Array, matrix: Array) -> float:
    """Share of signs that are right, each weighted by the size of the true value."""
    return float(np.abs(truth)[np.sign(matrix) == np.sign(truth)].sum() / np.abs(truth).sum())


def covered(truth: Array, low: Array, high: Array) -> float:
    """Share of the intervals that hold the true value."""
    return float(((low <= truth) & (truth <= high)).mean())


def passes(game: WholeGame, target: GameTarget, evaluated: Sequence[int] | Rows, *, whole_list: bool = False) -> float:
    """Cost of evaluations in full-prompt forwards, with shared beginnings run once, as in the product.

    The own score reads one candidate, unless the method reads the whole list all the same.
    """
    costs = game.costs() if whole_list or target == "field" else game.costs([game.target])
    return float(costs[list(evaluated)].sum())


def _defined(correlation: float) -> float:
    return correlation if math.isfinite(correlation) else 0.0
