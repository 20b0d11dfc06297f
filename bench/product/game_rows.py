"""The rows about whole games: what was promised of our model of the list, beside every rival."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bench.constants import SURELY_ABOVE_ZERO
from bench.product.figures_of_game import BARS, OUR_COUNTS, OURS, PROMISED, GameFigures, Key
from bench.product.flip_figures import flip_rows
from bench.product.game_figures import GAME_TARGETS, GameTarget
from bench.product.package_rivals import NOT_RUN
from bench.results_table import ResultRow, as_row
from bench.spread import mean_interval, quartiles, ratio_interval
from core.analysis.explain.explain_task import Explain
from core.analysis.values import Array

BUDGET = Explain().budget
LDS_TARGETS: Mapping[GameTarget, tuple[float, ...]] = {
    "score": (0.66, 0.70, 0.73, 0.77, 0.81),
    "field": (0.48, 0.57, 0.62, 0.69, 0.75),
}
"""By number of ablations, as in `OUR_COUNTS`."""
PLACE_KIND = ("yes_no", None)
"""Family and adapter of the games on which the places were promised."""
PLACE_TARGETS = {16: 0.5, 32: 0.6}
CITE_TARGET = ">= 0.95"
"""For the field margin."""
MATRIX_ABLATIONS = 16
MATRIX_TARGETS = ("<= 0.5", ">= 0.94")
COVERAGE = "0.87 to 0.93"
INTERVALS_FROM = 8


def game_rows(games: Sequence[GameFigures]) -> list[ResultRow]:
    """All rows about whole games."""
    label = f"{len(games)} whole games"
    return [
        *_our_lds_rows(games, label),
        *_budget_rows(games, label),
        *_place_rows(games, label),
        *_matrix_rows(games, label),
        *coverage_rows(games, label),
        *flip_rows([game.flips for game in games], label),
        *_rival_rows(games, label),
        *_missing_rows(games),
    ]


def our_rows(games: Sequence[GameFigures], label: str) -> list[ResultRow]:
    """The rows about our own answers to games on which nothing was promised but the intervals."""
    return [
        *coverage_rows(games, label),
        *(_without_target(row) for row in (*_our_lds_rows(games, label), *_place_rows(games, label))),
    ]


def _without_target(row: ResultRow) -> ResultRow:
    return replace(row, target=None, met=None)


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
        cite = np.array([game.cite[target].lds for game in games])
        ours = np.array([game.at_budget[target].lds for game in games])
        complete = np.array([game.complete[target].lds for game in games])
        share = np.array([game.at_budget[target].passes / game.cite[target].passes for game in games])
        yield as_row(f"{what}, LDS", mean_interval(ours))
        least = CITE_TARGET if target == "field" else None
        yield as_row(f"{what}, LDS / ContextCite-64's", ratio_interval(ours, cite), least)
        yield as_row(f"{what}, passes / ContextCite-64's with the same sharing", quartiles(share))
        yield as_row(f"{label}: {words}, {OURS} with removals and flip set, LDS", mean_interval(complete))


def _place_rows(games: Sequence[GameFigures], label: str) -> Iterator[ResultRow]:
    kinds = dict.fromkeys((game.kind.family, game.kind.adapter) for game in games)
    groups = {"": list(games)}
    for family, adapter in dict.fromkeys((PLACE_KIND, *kinds)):
        members = [game for game in games if (game.kind.family, game.kind.adapter) == (family, adapter)]
        groups[f" of {family}, {adapter or 'base model'}"] = members
    for group, members in groups.items():
        for count in OUR_COUNTS:
            yield from _places_at(members, count, f"{label}: predicted and true place{group}, {count} ablations")


def _places_at(games: Sequence[GameFigures], count: int, what: str) -> Iterator[ResultRow]:
    ours, own = (_values(games, key, "places") for key in ((OURS, "field", count), (BARS, "score", count)))
    promised = [(game.kind.family, game.kind.adapter) == PLACE_KIND for game in games]
    least = f">= {PLACE_TARGETS[count]:g}" if all(promised) and count in PLACE_TARGETS else None
    yield as_row(f"{what}, {OURS}", mean_interval(ours[np.isfinite(ours)]), least)
    yield as_row(f"{what}, bars of the own score", mean_interval(own[np.isfinite(own)]))
    apart = (ours - own)[np.isfinite(ours - own)]
    yield as_row(f"{what}, {OURS} minus bars of the own score", mean_interval(apart), ">= 0")


def _matrix_rows(games: Sequence[GameFigures], label: str) -> Iterator[ResultRow]:
    for name, count in games[0].matrices:
        error, signs = np.array([game.matrices[name, count] for game in games]).T
        is_promised = (name, count) == (OURS, MATRIX_ABLATIONS)
        targets = MATRIX_TARGETS if is_promised else (None, None)
        what = f"{label}: matrix on the field margin, {name}, {count} ablations"
        yield as_row(f"{what}, error / mean size", mean_interval(error), targets[0])
        yield as_row(f"{what}, share of signs right", mean_interval(signs), targets[1])


def coverage_rows(games: Sequence[GameFigures], label: str) -> Iterator[ResultRow]:
    """How many of the 90 % intervals cover, by quantity and number of ablations."""
    by_quantity: dict[str, list[int]] = defaultdict(list)
    for name, count in games[0].coverage:
        by_quantity[name].append(count)
    for name, counts in by_quantity.items():
        late = [[game.coverage[name, count] for count in counts if count >= INTERVALS_FROM] for game in games]
        shares = np.array(late).mean(axis=1)
        what = f"{label}: 90 % intervals of {name} that cover"
        target = None if name == PROMISED else COVERAGE
        yield as_row(f"{what}, {INTERVALS_FROM} ablations or more", mean_interval(shares), target)
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
