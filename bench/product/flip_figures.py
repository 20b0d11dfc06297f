"""Smallest removals that change the target's place: what the product's search verifies, and what all subsets tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.product.recorded_game import game_score
from bench.product.whole_games import WholeGame
from bench.results_table import ResultRow, as_row
from bench.spread import mean_interval
from core.analysis.explain.explain_task import Explain
from core.analysis.explain.flip_set import FlipSearch
from core.analysis.explain.refine import refine
from core.question.flip_goals import FLIP_GOALS, FlipGoal

APART = 3
"""Places between the target and the rival that it is to pass."""
FLIP_TARGETS = {"found": ">= 0.9", "smallest": ">= 0.6", "at most one larger": ">= 0.85"}
LEAST_LEFT = 1
"""Removing every demonstration is no set: what is looked for leaves at least so many."""


@dataclass(frozen=True)
class FlipFigures:
    """What one search came to, where there was something to search for."""

    goal: FlipGoal
    smallest: int | None
    """Demonstrations in the smallest set that reaches the goal; None where only removing all of them does, or none."""
    verified: int | None
    """The same of the smallest set that the product has verified."""
    passes: int
    """Prompts that its search has scored."""

    @property
    def shares(self) -> dict[str, float]:
        """1 or 0 for what was promised of sets that exist."""
        least, size = self.smallest or 0, self.verified
        larger = np.inf if size is None else size - least
        return {"found": float(size is not None), "smallest": float(larger == 0), "at most one larger": larger <= 1}


def flip_figures(game: WholeGame) -> list[FlipFigures]:
    """The product's searches of a game by its default method, one a goal; those with nothing to flip are left out."""
    figures = []
    for goal in FLIP_GOALS:
        rival = _rival(game) if FLIP_GOALS[goal].needs_rival else None
        task = Explain()
        answers = refine(
            game_score(game), budget=task.budget, removals=task.removals, flips=task.flips, flip=goal, rival=rival
        )
        *_, last = answers
        if last.flips is not None and not last.flips.pointless:
            figures.append(_figures(game, goal, last.flips))
    return figures


def _figures(game: WholeGame, goal: FlipGoal, search: FlipSearch) -> FlipFigures:
    masks = game.masks
    left_out = (~masks).sum(axis=1)[search.reached(game.scores)]
    demos = masks.shape[1]
    smallest = _proper(left_out.min(initial=demos), demos)
    return FlipFigures(goal, smallest, _proper(search.limit, demos), len(search.foretold))


def _proper(size: int, demos: int) -> int | None:
    return int(size) if size <= demos - LEAST_LEFT else None


def _rival(game: WholeGame) -> int:
    """The candidate that stands `APART` places above the target with all demonstrations, or below where none does."""
    order = np.argsort(-game.scores[-1], kind="stable")
    place = int(np.flatnonzero(order == game.target)[0])
    return int(order[place - APART if place >= APART else min(place + APART, len(order) - 1)])


def flip_rows(games: Sequence[Sequence[FlipFigures]], label: str) -> Iterator[ResultRow]:
    """Rows about the searches of several games, which are the units of the intervals."""
    groups = {"all goals": tuple(FLIP_GOALS), **{f"goal {row.words}": (row.name,) for row in FLIP_GOALS.values()}}
    for group, goals in groups.items():
        searches = [[each for each in game if each.goal in goals] for game in games]
        existing = [[each for each in game if each.smallest is not None] for game in searches]
        count = sum(map(len, existing))
        for name, target in FLIP_TARGETS.items():
            shares = np.array([np.mean([each.shares[name] for each in game]) for game in existing if game])
            what = f"{label}: flip set, {group}, {name} of the {count} that exist"
            yield as_row(what, mean_interval(shares), target if group == "all goals" else None)
        spent = np.array([np.mean([each.passes for each in game]) for game in searches if game])
        yield as_row(f"{label}: flip set, {group}, prompts of a search", mean_interval(spent))
