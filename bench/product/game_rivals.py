"""Rivals of our estimator on whole games: every method at the same numbers of evaluations of the same games.

Beside its evaluations a method may read the empty and the whole prompt. Random subsets are drawn `REPEATS` times, and
figures are means over the draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, softmax
from sklearn.linear_model import RidgeCV

from bench.product import contextcite
from bench.product.game_figures import GameTarget, Prediction, Rows, target_values
from bench.product.whole_games import WholeGame
from core.analysis.explain.ablation import lasso_fit
from core.analysis.values import Array, Masks, leave_one_out_masks
from core.prompt.families import Family
from core.seeds import seed_of

COUNTS = (4, 8, 16, 32)
"""Evaluations of a game beside the empty and the whole prompt."""
REPEATS = 5
"""Draws of a method that reads random subsets."""
PENALTIES = np.logspace(-2, 2, 9)
"""Of ridge regression, chosen by leave-one-out cross-validation."""

Predict = Callable[[WholeGame, GameTarget, int, int], Prediction]
"""What a method predicts from so many evaluations, in the draw of a number."""


@dataclass(frozen=True)
class GameRival:
    """One method that is run here."""

    name: str
    predict: Predict
    counts: tuple[int, ...] = COUNTS
    repeats: int = REPEATS


def linear_prediction(game: WholeGame, effects: Array, evaluated: Rows) -> Prediction:
    """The sum of the effects [demo] of the kept demonstrations."""
    return Prediction(game.masks @ effects, evaluated)


def random_rows(game: WholeGame, count: int, draw: int) -> Rows:
    """Numbers of `count` different subsets, neither the empty nor the whole one."""
    inner = np.random.default_rng(seed_of("whole games", draw)).permutation(len(game.scores) - 2)
    return np.asarray(1 + inner[:count], dtype=np.int64)


def _with_ends(game: WholeGame, rows: Rows) -> Rows:
    return np.concatenate([[0, len(game.scores) - 1], rows]).astype(np.int64)


def context_cite(game: WholeGame, target: GameTarget, count: int, draw: int) -> Prediction:
    """ContextCite as published (see `bench.product.contextcite`); a margin has no log-odds and is taken as it is."""
    values = target_values(game, target)
    odds = contextcite.log_odds(values, _family(game)) if target == "score" else values
    return _lasso(game, odds, count, draw)


def standardised_cite(game: WholeGame, target: GameTarget, count: int, draw: int) -> Prediction:
    """ContextCite with standardised scores, so that its penalty of 0.01 means the same in every case."""
    values = target_values(game, target)
    rows = _cite_rows(game, count, draw)
    return _lasso(game, values / max(float(values[rows].std()), 1e-12), count, draw)


def _cite_rows(game: WholeGame, count: int, draw: int) -> Rows:
    demos = len(game.demo_tokens)
    return contextcite.row_of(contextcite.masks_of(count, demos, draw * contextcite.MOST))


def _lasso(game: WholeGame, values: Array, count: int, draw: int) -> Prediction:
    rows = _cite_rows(game, count, draw)
    return linear_prediction(game, lasso_fit(game.masks[rows], values[rows]), np.unique(rows))


def _family(game: WholeGame) -> Family:
    return game.kind.family


def ridge(game: WholeGame, target: GameTarget, count: int, draw: int) -> Prediction:
    """Ridge regression on random subsets and both ends."""
    rows = random_rows(game, count, draw)
    return linear_prediction(game, ridge_effects(game, target_values(game, target), rows), rows)


def ridge_effects(game: WholeGame, values: Array, rows: Rows) -> Array:
    """Ridge coefficients [demo] of `values` [subset] at `rows` and both ends."""
    read = _with_ends(game, rows)
    model = RidgeCV(alphas=PENALTIES).fit(_halves(game.masks[read]), values[read])
    return np.asarray(model.coef_, dtype=np.float64)


def paired(game: WholeGame, target: GameTarget, count: int, draw: int) -> Prediction:
    """Least squares of the smallest norm on random subsets, their complements, and both ends."""
    half = random_rows(game, len(game.scores) - 2, draw)
    distinct = [row for row in half if row < len(game.scores) - 1 - row][: count // 2]
    rows = np.array([each for row in distinct for each in (row, len(game.scores) - 1 - row)], dtype=np.int64)
    read = _with_ends(game, rows)
    design = np.column_stack([np.ones(len(read)), _halves(game.masks[read])])
    solution = np.linalg.lstsq(design, target_values(game, target)[read], rcond=None)[0]
    return linear_prediction(game, np.asarray(solution[1:], dtype=np.float64), rows)


def _halves(masks: Masks) -> Array:
    """Kept as 1/2 and left out as -1/2: a coefficient is then an effect, and the intercept the mean."""
    return masks.astype(np.float64) - 0.5


def leave_one_out_rows(game: WholeGame) -> Rows:
    """The subsets that lack one demonstration, in order."""
    return contextcite.row_of(leave_one_out_masks(len(game.demo_tokens)))


def leave_one_out(game: WholeGame, target: GameTarget, _count: int, _draw: int) -> Prediction:
    """What is lost when each demonstration alone is left out."""
    values, rows = target_values(game, target), leave_one_out_rows(game)
    return linear_prediction(game, values[-1] - values[rows], rows)


def divergence(game: WholeGame, _target: GameTarget, _count: int, _draw: int) -> Prediction:
    """ARC-JSD (arXiv 2505.16415): Jensen-Shannon divergence of the answer with and without each demonstration.

    The distribution is that over Yes and No of the target, or that over the titles of the candidates. Divergence has
    no sign, and is the same for every target.
    """
    rows = leave_one_out_rows(game)
    answers = _answers(game)
    return linear_prediction(game, np.array([jensen_shannon(answers[-1], answers[row]) for row in rows]), rows)


def _answers(game: WholeGame) -> Array:
    """Distribution of the answer at every subset, [subset, answer]."""
    if game.kind.family == "yes_no":
        yes = expit(game.scores[:, game.target])
        return np.stack([yes, 1 - yes], axis=1)
    return np.asarray(softmax(game.scores, axis=1))


def jensen_shannon(first: Array, second: Array) -> float:
    """Jensen-Shannon divergence of two distributions in nats (Lin 1991)."""
    middle = (first + second) / 2
    parts = [np.where(each > 0, each * np.log(np.maximum(each, 1e-300) / middle), 0.0) for each in (first, second)]
    return float(sum(part.sum() for part in parts) / 2)


RIVALS = (
    GameRival("ContextCite as published", context_cite),
    GameRival("ContextCite, scores standardised", standardised_cite),
    GameRival("ridge on random subsets", ridge),
    GameRival("least squares on paired subsets", paired),
    GameRival("leave-one-out", leave_one_out, counts=(8,), repeats=1),
    GameRival("ARC-JSD", divergence, counts=(8,), repeats=1),
)
