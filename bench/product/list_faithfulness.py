"""How well our model of the list and its rivals foretell whole games: values, places, the matrix, and intervals."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bench.case_list import Bench
from bench.constants import SURELY_ABOVE_ZERO
from bench.product import contextcite
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
    target_values,
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
from bench.product.our_list import ListAnswer, list_answers
from bench.product.package_rivals import NOT_RUN, one_pass_effects, package_predictions
from bench.product.whole_games import GameKind, WholeGame, game_subjects, whole_game
from bench.results_table import ResultRow, as_row
from bench.spread import mean_interval, quartiles, ratio_interval
from bench.timing import Clock
from core.analysis.explain.ablation import banzhaf_of_table
from core.analysis.explain.explain_task import Explain
from core.analysis.values import Array

OURS, BARS = "ours", "our bars alone"
OUR_COUNTS = (0, *COUNTS)
BUDGET = Explain().budget
LDS_TARGETS: Mapping[GameTarget, tuple[float, ...]] = {
    "score": (0.66, 0.70, 0.73, 0.77, 0.81),
    "field": (0.48, 0.57, 0.62, 0.69, 0.75),
}
"""By number of ablations, as in `OUR_COUNTS`."""
PLACE_KIND = ("yes_no", None)
"""Family and adapter of the games on which the places were promised."""
PLACE_TARGETS = {16: 0.5, 32: 0.6}
BUDGET_TARGETS = (">= 0.95", "<= 0.45")
"""For the field margin."""
MATRIX_ABLATIONS = 16
MATRIX_TARGETS = ("<= 0.5", ">= 0.94")
COVERAGE = "0.87 to 0.93"
INTERVALS_FROM = 8

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
    cite: dict[GameTarget, MethodFigures]
    """ContextCite after 64 ablations."""
    problems: dict[str, str] = field(default_factory=dict)
    """Rival -> why there are no figures of it."""


def list_faithfulness(bench: Bench, count: int) -> Iterator[list[ResultRow]]:
    """Rows so far, after every whole game."""
    clock = Clock("whole games", count)
    games: list[GameFigures] = []
    for subject in game_subjects(bench, bench.users(), count):
        games.append(figures_of_game(whole_game(subject), *one_pass_effects(subject)))
        clock.tick(subject.kind.name)
        yield game_rows(games)


def figures_of_game(
    game: WholeGame,
    one_pass: Mapping[str, Array],
    missing: Mapping[str, str],
) -> GameFigures:
    """The figures of one game; `one_pass` are scores [demo] by rivals that read the full prompt once.

    `missing` says of rivals why they have no scores.
    """
    answers = list_answers(game, OUR_COUNTS)
    from_packages, problems = package_predictions(game)
    ours = _ours(game, answers)
    within = max((count for count, answer in answers.items() if answer.passes <= BUDGET), default=0)
    return GameFigures(
        kind=game.kind,
        methods={
            **ours,
            **_rivals(game),
            **_summaries(game, from_packages),
            **_one_pass(game, one_pass),
        },
        matrices=_matrices(game, answers),
        coverage=_coverage(game, answers),
        at_budget={target: ours[OURS, target, within] for target in GAME_TARGETS},
        cite={target: _summary(game, target, _most_cited(game, target)) for target in GAME_TARGETS},
        problems={**problems, **missing},
    )


def _ours(game: WholeGame, answers: Mapping[int, ListAnswer]) -> dict[Key, MethodFigures]:
    figures: dict[Key, MethodFigures] = {}
    for count, answer in answers.items():
        for target in GAME_TARGETS:
            for name, prediction in (
                (OURS, answer.prediction(game, target)),
                (BARS, answer.additive(game, target)),
            ):
                lds, places = game_lds(game, target, prediction), place_agreement(game, prediction)
                figures[name, target, count] = MethodFigures(lds, places, answer.passes)
    return figures


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


def _matrices(game: WholeGame, answers: Mapping[int, ListAnswer]) -> dict[tuple[str, int], tuple[float, float]]:
    margins, truth = field_margins(game.scores), true_matrix(game)
    without = leave_one_out_rows(game)
    tables: dict[tuple[str, int], Array] = {(OURS, count): answer.matrix.value for count, answer in answers.items()}
    tables["leave-one-out", len(without)] = margins[-1] - margins[without]
    for count in COUNTS:
        rows = random_rows(game, count, 0)
        columns = [ridge_effects(game, column, rows) for column in margins.T]
        tables["ridge on random subsets", count] = np.stack(columns, axis=1)
    return {key: (matrix_error(truth, table), right_signs(truth, table)) for key, table in tables.items()}


def _coverage(game: WholeGame, answers: Mapping[int, ListAnswer]) -> dict[tuple[str, int], float]:
    shares: dict[tuple[str, int], float] = {}
    demos, places = len(game.demo_tokens), true_places(game)
    for count, answer in answers.items():
        for target, words in GAME_TARGETS.items():
            banzhaf, bars = banzhaf_of_table(target_values(game, target), demos), answer.bars[target]
            shares[f"effects on the {words}", count] = covered(banzhaf, bars.low, bars.high)
        matrix, rows = answer.matrix, unseen(len(game.scores), answer.evaluated)
        shares["matrix", count] = covered(true_matrix(game), matrix.low, matrix.high)
        shares["places", count] = covered(places[rows], answer.places.low[rows], answer.places.high[rows])
    return shares


# ---- rows


def game_rows(games: Sequence[GameFigures]) -> list[ResultRow]:
    """All rows about whole games."""
    label = f"{len(games)} whole games"
    return [
        *_our_lds_rows(games, label),
        *_budget_rows(games, label),
        *_place_rows(games, label),
        *_matrix_rows(games, label),
        *_coverage_rows(games, label),
        *_rival_rows(games, label),
        *_missing_rows(games),
    ]


def _our_lds_rows(games: Sequence[GameFigures], label: str) -> Iterator[ResultRow]:
    for target, words in GAME_TARGETS.items():
        means = []
        for count, least in zip(OUR_COUNTS, LDS_TARGETS[target], strict=True):
            values = _values(games, (OURS, target, count), "lds")
            means.append(float(values.mean()))
            spent = f"{_cost(games, (OURS, target, count)):.1f} F"
            name = f"{label}: LDS of the {words}, {OURS}, {count} ablations ({spent})"
            yield as_row(name, mean_interval(values), f">= {least:g}")
            yield as_row(
                f"{label}: LDS of the {words}, {BARS}, {count} ablations",
                mean_interval(_values(games, (BARS, target, count), "lds")),
            )
        steps = np.diff(means)
        yield as_row(f"{label}: LDS of the {words}, least rise between numbers of ablations", [steps.min()], "> 0")


def _budget_rows(games: Sequence[GameFigures], label: str) -> Iterator[ResultRow]:
    for target, words in GAME_TARGETS.items():
        what = f"{label}: {words}, {OURS} within the default budget of {BUDGET:g} F"
        pairs = [(game.at_budget[target], game.cite[target]) for game in games]
        ours, cite = (np.array([pair[side].lds for pair in pairs]) for side in (0, 1))
        share = np.array([first.passes / second.passes for first, second in pairs])
        least, most = BUDGET_TARGETS if target == "field" else (None, None)
        yield as_row(f"{what}, LDS / ContextCite-64's", ratio_interval(ours, cite), least)
        yield as_row(f"{what}, passes / ContextCite-64's with the same sharing", quartiles(share), most)


def _place_rows(games: Sequence[GameFigures], label: str) -> Iterator[ResultRow]:
    promised = [game for game in games if (game.kind.family, game.kind.adapter) == PLACE_KIND]
    for group, members in (("", games), (" of yes_no, base model", promised)):
        for count in OUR_COUNTS:
            ours, own = (_values(members, key, "places") for key in ((OURS, "field", count), (BARS, "score", count)))
            what = f"{label}: predicted and true place{group}, {count} ablations"
            least = f">= {PLACE_TARGETS[count]:g}" if group and count in PLACE_TARGETS else None
            yield as_row(f"{what}, {OURS}", mean_interval(ours[np.isfinite(ours)]), least)
            apart = (ours - own)[np.isfinite(ours - own)]
            yield as_row(f"{what}, bars of the own score", mean_interval(own[np.isfinite(own)]))
            yield as_row(f"{what}, {OURS} minus bars of the own score", mean_interval(apart), ">= 0")


def _matrix_rows(games: Sequence[GameFigures], label: str) -> Iterator[ResultRow]:
    for name, count in games[0].matrices:
        error, signs = np.array([game.matrices[name, count] for game in games]).T
        is_promised = (name, count) == (OURS, MATRIX_ABLATIONS)
        targets = MATRIX_TARGETS if is_promised else (None, None)
        what = f"{label}: matrix on the field margin, {name}, {count} ablations"
        yield as_row(f"{what}, error / mean size", mean_interval(error), targets[0])
        yield as_row(f"{what}, share of signs right", mean_interval(signs), targets[1])


def _coverage_rows(games: Sequence[GameFigures], label: str) -> Iterator[ResultRow]:
    by_quantity: dict[str, list[int]] = defaultdict(list)
    for name, count in games[0].coverage:
        by_quantity[name].append(count)
    for name, counts in by_quantity.items():
        late = [[game.coverage[name, count] for count in counts if count >= INTERVALS_FROM] for game in games]
        shares = np.array(late).mean(axis=1)
        what = f"{label}: 90 % intervals of {name} that cover"
        yield as_row(f"{what}, {INTERVALS_FROM} ablations or more", mean_interval(shares), COVERAGE)
        for count in counts:
            each = np.array([game.coverage[name, count] for game in games])
            yield as_row(f"{what}, {count} ablations", mean_interval(each))


def _rival_rows(games: Sequence[GameFigures], label: str) -> Iterator[ResultRow]:
    keys = dict.fromkeys(key for game in games for key in game.methods if key[0] not in (OURS, BARS))
    for name, target, count in keys:
        members = [game for game in games if (name, target, count) in game.methods]
        values = _values(members, (name, target, count), "lds")
        spent = f"{_cost(members, (name, target, count)):.1f} F"
        short = "" if len(members) == len(games) else f", {len(members)} games"
        what = f"{label}: LDS of the {GAME_TARGETS[target]}, {name}, {count} evaluations ({spent}{short})"
        yield as_row(what, mean_interval(values))
        apart = mean_interval(_values(members, (OURS, target, count), "lds") - values)
        ahead = f"{label}: LDS of the {GAME_TARGETS[target]}, {OURS} minus {name}, {count} evaluations"
        yield as_row(ahead, apart, SURELY_ABOVE_ZERO, met=apart.low > 0)


def _missing_rows(games: Sequence[GameFigures]) -> Iterator[ResultRow]:
    reasons = dict(NOT_RUN)
    for game in games:
        reasons.update(game.problems)
    for name, reason in reasons.items():
        yield as_row(f"{name}: not measured, {reason}", [math.nan])


def _values(games: Sequence[GameFigures], key: Key, figure: str) -> Array:
    return np.array([getattr(game.methods[key], figure) for game in games], dtype=np.float64)


def _cost(games: Sequence[GameFigures], key: Key) -> float:
    """Median cost in full-prompt forwards."""
    return quartiles(_values(games, key, "passes")).value
