"""Fit the constants of the model of the list on games that nothing else uses: `python -m bench.fit_prior --games 8`.

The games are those of users kept apart from every measurement and test. One constant at a time takes other values; each
is judged by how well unseen subsets are foretold (LDS of the own score and of the field margin) from the ablations that
the product chooses with it, and from the same random subsets for all; and by the interval score of the effects from the
latter. What would be chosen without a game is tried on that game. The search for flip sets is judged by what it finds.
Nothing is written: a constant is changed by hand where its difference is clearly above zero, by either choice of
subsets (a narrower spread of the guess is better on random ones and worse on those that are chosen with it).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import numpy as np

from bench.case_list import open_bench
from bench.product.contextcite import row_of
from bench.product.flip_figures import FlipFigures, flip_figures
from bench.product.game_figures import GAME_TARGETS, Prediction, game_lds, target_values
from bench.product.game_rivals import COUNTS, random_rows
from bench.product.our_list import refined_answers, weights_of
from bench.product.whole_games import WholeGame, game_subjects, whole_game
from bench.results_table import interval_text
from bench.spread import mean_interval
from bench.timing import Clock
from core.analysis.explain import flip_set
from core.analysis.explain.ablation import banzhaf_of_table
from core.analysis.explain.list_estimates import LEVEL
from core.analysis.explain.list_posterior import Guesses, ListPosterior
from core.analysis.explain.surrogate import Prior
from core.analysis.quality.utility_run import tuned_users
from core.analysis.values import Array
from core.cli.output import aligned
from core.errors import DemoLensError

GAMES = 8
DRAWS = 4
"""Sets of random subsets of each size, the same for every value."""
PRIORS: Mapping[str, Sequence[Any]] = {
    "additive_shares": ((0.3,), (0.6,), (0.9,), (0.3, 0.6), (0.6, 0.9)),
    "size_shares": ((0.05,), (0.5,), (2.0,), (0.05, 0.5, 2.0), (0.5, 2.0)),
    "decay": (0.3, 0.9),
    "guess_factor": (0.4, 0.8, 1.0),
    "guess_spread": (0.2, 0.8),
    "degrees_of_freedom": (1.0, 10.0),
    "scale_guess": (0.05, 0.5),
}
"""By constant of `Prior`: the values that are tried beside the present one."""
WORTHS = (0.0025, 0.01, 0.02, 0.05)
"""The same of `flip_set.WORTH`."""


@dataclass(frozen=True)
class Judgement:
    """How well a prior does on one game, means over targets, numbers of subsets and draws."""

    designed: float
    """LDS from the ablations that the product chooses."""
    random: float
    """The same from random subsets."""
    interval_score: float
    """Width of the 90 % intervals of effects and what misses cost (Gneiting and Raftery 2007), over the mean size."""


def judged(game: WholeGame, prior: Prior) -> Judgement:
    """The figures of a prior on a game."""
    designed = [_lds(game, answer.belief) for _, answer in refined_answers(game, COUNTS, prior)]
    drawn = [_drawn(game, prior, count, draw) for count in COUNTS for draw in range(DRAWS)]
    return Judgement(float(np.mean(designed)), *np.mean(drawn, axis=0).tolist())


def _lds(game: WholeGame, belief: ListPosterior) -> float:
    """Mean over targets."""
    predicted, rows = belief.predicted(game.masks), row_of(belief.masks)
    predictions = {target: Prediction(predicted @ weights_of(game, target), rows) for target in GAME_TARGETS}
    return float(np.mean([game_lds(game, target, prediction) for target, prediction in predictions.items()]))


def _drawn(game: WholeGame, prior: Prior, count: int, draw: int) -> tuple[float, float]:
    rows = random_rows(game, count, draw)
    read = np.concatenate([[0, len(game.scores) - 1], rows])
    guesses = Guesses(game.gradient_mean, {game.target: game.gradient_score - game.gradient_mean})
    belief = ListPosterior(game.masks[read], game.scores[read], guesses, prior=prior)
    scores = []
    for target in GAME_TARGETS:
        truth = banzhaf_of_table(target_values(game, target), len(game.demo_tokens))
        effects = belief.effects_on(weights_of(game, target))
        scores.append(interval_score(truth, effects.low, effects.high) / float(np.abs(truth).mean()))
    return _lds(game, belief), float(np.mean(scores))


def interval_score(truth: Array, low: Array, high: Array) -> float:
    """Mean interval score of intervals of `LEVEL`: width, and what misses cost; less is better."""
    misses = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
    return float((high - low + 2 / (1 - LEVEL) * misses).mean())


def alternatives(present: Prior) -> dict[str, Prior]:
    """By what is changed: every prior that is tried, the present one first."""
    named = {"present": present}
    for name, values in PRIORS.items():
        named |= {f"{name} = {value}": replace(present, **{name: value}) for value in values}
    return named


def prior_lines(table: Mapping[str, Sequence[Judgement]]) -> Iterator[tuple[str, ...]]:
    """Lines [name, figures] of every prior by its judgements [game]; the present one stands first."""
    columns = [
        {name: np.array([getattr(each, figure) for each in games]) for name, games in table.items()}
        for figure in ("designed", "random", "interval_score")
    ]
    first, *others = table
    yield "constant", "LDS, chosen ablations", "LDS, random subsets", "interval score (less is better)"
    yield first, *(interval_text(mean_interval(column[first])) for column in columns)
    for name in others:
        apart = (mean_interval(column[name] - column[first]) for column in columns)
        yield f"{name}, less present", *(interval_text(each, "+.3f") for each in apart)
    gains = (interval_text(mean_interval(held_out(column)), "+.3f") for column in columns[:2])
    yield "chosen on the other games, less present", *gains, ""


def held_out(lds: Mapping[str, Array]) -> Array:
    """LDS [game] of what is best on all other games, less that of the present, which stands first."""
    names, table = list(lds), np.array(list(lds.values()))
    gains = []
    for game in range(table.shape[1]):
        others = np.delete(table, game, axis=1)
        best = int(others.mean(axis=1).argmax()) if others.shape[1] else 0
        gains.append(float(table[best, game] - lds[names[0]][game]))
    return np.array(gains)


def worth_lines(games: Sequence[WholeGame], clock: Clock) -> Iterator[tuple[str, ...]]:
    """Lines of what the search for flip sets finds with every probability that is worth a pass."""
    yield "WORTH", "found", "smallest", "prompts a search"
    for worth in (flip_set.WORTH, *WORTHS):
        with patch.object(flip_set, "WORTH", worth):
            searches = [each for game in games for each in flip_figures(game)]
        clock.tick(f"WORTH {worth:g}")
        yield f"{worth:g}", *_found(searches)


def _found(searches: Sequence[FlipFigures]) -> tuple[str, ...]:
    shares = [each.shares for each in searches if each.smallest is not None]
    figures = [float(np.mean([share[name] for share in shares])) for name in ("found", "smallest")]
    return (*(f"{figure:.3f}" for figure in figures), f"{np.mean([each.passes for each in searches]):.2f}")


def tuning_games(count: int, seed: int) -> list[WholeGame]:
    """Whole games of users kept apart; what is not stored of them is scored now."""
    bench = open_bench(seed)
    clock = Clock("games", count)
    games = []
    for subject in game_subjects(bench, iter(tuned_users(bench.dataset)), count):
        games.append(whole_game(subject))
        clock.tick(games[-1].name)
    return games


def main() -> None:
    """Print the constants of today and the others with their figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.fit_prior", description=__doc__)
    parser.add_argument("--games", type=int, default=GAMES, help=f"games to fit on (default {GAMES})")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    games = tuning_games(options.games, options.seed)
    priors = alternatives(Prior())
    clock = Clock("constants", len(priors) + 1 + len(WORTHS))
    table = {}
    for name, prior in priors.items():
        table[name] = [judged(game, prior) for game in games]
        clock.tick(name)
    print(aligned(list(prior_lines(table))), end="\n\n")
    print(aligned(list(worth_lines(games, clock))))
    print(f"\n{len(games)} games; nothing is written: present constants stand in `Prior` and `flip_set.WORTH`.")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("fit_prior: stopped; the games that were scored are kept")
    except DemoLensError as error:
        sys.exit(f"fit_prior: {error}")
