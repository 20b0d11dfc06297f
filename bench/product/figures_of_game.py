"""What one whole game shows about our model of the list and its rivals: values, places, the matrix, and intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bench.product import contextcite
from bench.product.flip_figures import FlipFigures, flip_figures
from bench.product.game_figures import (
    GAME_TARGETS,
    GameTarget,
    Prediction,
    covered,
    field_margins,
    game_lds,
    matrix_error,
    passes,
    place_agreement,
    right_signs,
    true_matrix,
    true_places,
    unseen,
)
from bench.product.game_rivals import (
    COUNTS,
    REPEATS,
    RIVALS,
    context_cite,
    leave_one_out_rows,
    linear_prediction,
    random_rows,
    ridge_effects,
)
from bench.product.our_list import ListAnswer, default_answers, list_answers, weights_of
from bench.product.package_rivals import package_predictions
from bench.product.whole_games import GameKind, WholeGame
from core.analysis.explain.ablation import banzhaf_of_table
from core.analysis.values import Array
from core.question.targets import EXPLAINED

OURS, BARS = "ours", "our bars alone"
OUR_COUNTS = (0, *COUNTS)
"""Numbers of ablations after which our answer is looked at."""
PLACES = "places"
PROMISED = "places, as the intervals themselves promise"
"""They are of whole places, and so hold more than they must."""

Key = tuple[str, GameTarget, int]
"""Method, target, evaluations."""


@dataclass(frozen=True)
class MethodFigures:
    """What a method reaches on one game; means over its draws."""

    lds: float
    places: float
    """Rank correlation of predicted and true place."""
    passes: float


@dataclass(frozen=True)
class GameFigures:
    """What one game shows about every method."""

    kind: GameKind
    methods: dict[Key, MethodFigures]
    matrices: dict[tuple[str, int], tuple[float, float]]
    """Method, evaluations -> error of the matrix as a share of its size, and share of signs right."""
    coverage: dict[tuple[str, int], float]
    """Quantity, ablations -> share of 90 % intervals that cover."""
    at_budget: dict[GameTarget, MethodFigures]
    """Ours at the default budget of the product."""
    complete: dict[GameTarget, MethodFigures]
    """Ours when single removals and a flip set are measured too."""
    flips: list[FlipFigures]
    cite: dict[GameTarget, MethodFigures] = field(default_factory=dict)
    """ContextCite after 64 ablations."""
    problems: dict[str, str] = field(default_factory=dict)
    """Rival -> why there are no figures of it."""


def figures_of_game(
    game: WholeGame,
    one_pass: Mapping[str, Array],
    missing: Mapping[str, str],
) -> GameFigures:
    """The figures of one game; `one_pass` are scores [demo] by rivals that read the full prompt once.

    `missing` says of rivals why they have no scores.
    """
    ours = our_figures(game)
    from_packages, problems = package_predictions(game)
    rivals = {**_rivals(game), **_summaries(game, from_packages), **_one_pass(game, one_pass)}
    return replace(
        ours,
        methods={**ours.methods, **rivals},
        matrices={**ours.matrices, **_rival_matrices(game)},
        cite={target: _summary(game, target, _most_cited(game, target)) for target in GAME_TARGETS},
        problems={**problems, **missing},
    )


def our_figures(game: WholeGame) -> GameFigures:
    """The same of our own answers alone."""
    answers = list_answers(game, OUR_COUNTS)
    refined, complete = default_answers(game)
    return GameFigures(
        kind=game.kind,
        methods=_ours(game, answers),
        matrices=_errors(game, {(OURS, count): answer.matrix.value for count, answer in answers.items()}),
        coverage=_coverage(game, answers),
        at_budget=_of_answer(game, refined),
        complete=_of_answer(game, complete),
        flips=flip_figures(game),
    )


def _ours(game: WholeGame, answers: Mapping[int, ListAnswer]) -> dict[Key, MethodFigures]:
    figures: dict[Key, MethodFigures] = {}
    for count, answer in answers.items():
        for target in GAME_TARGETS:
            for name, prediction in ((OURS, answer.prediction(game, target)), (BARS, answer.additive(game, target))):
                figures[name, target, count] = _figures(game, target, prediction, answer.passes)
    return figures


def _of_answer(game: WholeGame, answer: ListAnswer) -> dict[GameTarget, MethodFigures]:
    return {target: _figures(game, target, answer.prediction(game, target), answer.passes) for target in GAME_TARGETS}


def _figures(game: WholeGame, target: GameTarget, prediction: Prediction, spent: float) -> MethodFigures:
    return MethodFigures(game_lds(game, target, prediction), place_agreement(game, prediction), spent)


def _rivals(game: WholeGame) -> dict[Key, MethodFigures]:
    predictions: dict[Key, list[Prediction]] = {
        (rival.name, target, count): [rival.predict(game, target, count, draw) for draw in range(rival.repeats)]
        for rival in RIVALS
        for target in GAME_TARGETS
        for count in rival.counts
    }
    return _summaries(game, predictions)


def _most_cited(game: WholeGame, target: GameTarget) -> list[Prediction]:
    return [context_cite(game, target, contextcite.MOST, draw) for draw in range(REPEATS)]


def _one_pass(game: WholeGame, effects: Mapping[str, Array]) -> dict[Key, MethodFigures]:
    """Rivals without evaluations, which cost one forward pass over the full prompt."""
    nothing = np.zeros(0, dtype=np.int64)
    predictions: dict[Key, list[Prediction]] = {
        (name, target, 0): [linear_prediction(game, values, nothing)]
        for name, values in effects.items()
        for target in GAME_TARGETS
    }
    return {key: replace(figures, passes=1.0) for key, figures in _summaries(game, predictions).items()}


def _summaries(game: WholeGame, predictions: Mapping[Key, Sequence[Prediction]]) -> dict[Key, MethodFigures]:
    return {key: _summary(game, key[1], draws) for key, draws in predictions.items()}


def _summary(game: WholeGame, target: GameTarget, draws: Sequence[Prediction]) -> MethodFigures:
    figures = [
        (game_lds(game, target, each), place_agreement(game, each), passes(game, target, each.evaluated))
        for each in draws
    ]
    return MethodFigures(*np.mean(figures, axis=0).tolist())


def _rival_matrices(game: WholeGame) -> dict[tuple[str, int], tuple[float, float]]:
    margins, without = field_margins(game.scores), leave_one_out_rows(game)
    tables: dict[tuple[str, int], Array] = {("leave-one-out", len(without)): margins[-1] - margins[without]}
    for count in COUNTS:
        rows = random_rows(game, count, 0)
        columns = [ridge_effects(game, column, rows) for column in margins.T]
        tables["ridge on random subsets", count] = np.stack(columns, axis=1)
    return _errors(game, tables)


def _errors(game: WholeGame, tables: Mapping[tuple[str, int], Array]) -> dict[tuple[str, int], tuple[float, float]]:
    truth = true_matrix(game)
    return {key: (matrix_error(truth, table), right_signs(truth, table)) for key, table in tables.items()}


def _coverage(game: WholeGame, answers: Mapping[int, ListAnswer]) -> dict[tuple[str, int], float]:
    shares: dict[tuple[str, int], float] = {}
    demos, places = len(game.demo_tokens), true_places(game)
    for count, answer in answers.items():
        for target, bars in answer.bars.items():
            banzhaf = banzhaf_of_table(game.scores @ weights_of(game, target), demos)
            shares[f"effects on the {EXPLAINED[target].words}", count] = covered(banzhaf, bars.low, bars.high)
        matrix, rows = answer.matrix, unseen(len(game.scores), answer.evaluated)
        shares["matrix", count] = covered(true_matrix(game), matrix.low, matrix.high)
        shares[PLACES, count] = covered(places[rows], answer.places.low[rows], answer.places.high[rows])
        shares[PROMISED, count] = float(answer.promised[rows].mean())
    return shares
