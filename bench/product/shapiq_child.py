"""Approximators of shapiq on tables of games; run by the environment of `bench.product.rival_environment`.

`python shapiq_child.py QUESTION ANSWER`: QUESTION is JSON with `games` [game][subset], `methods` and `budgets`
(evaluations beside the empty and the whole subset) by method, and `draws` by method. ANSWER is JSON: by method, either
`error`, or `answers` [game][budget][draw] with the first-order `values` [player] and the `rows` that were evaluated.
"""

from __future__ import annotations

import json
import sys
import typing
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

SEED = 1


@dataclass(frozen=True)
class ShapiqMethod:
    """An approximator and its settings; the Banzhaf index where it has one, because LDS weighs all subsets alike."""

    name: str
    approximator: str
    settings: dict[str, Any] = field(default_factory=dict)
    draws: int = 5


METHODS = (
    ShapiqMethod("ShaplEIG", "ShaplEIG", {"show_progress": False}, draws=1),
    ShapiqMethod("Banzhaf regression, order 1", "RegressionFBII", {"max_order": 1}),
    ShapiqMethod("KernelSHAP", "KernelSHAP"),
    ShapiqMethod("LeverageSHAP", "LeverageSHAP"),
    ShapiqMethod("SVARM", "SVARM", {"index": "BV"}),
    ShapiqMethod("ProxySHAP", "ProxySHAP", {"max_order": 1, "index": "BV"}),
    ShapiqMethod("RegressionMSR", "RegressionMSR", {"index": "BV"}),
    ShapiqMethod("PolySHAP", "PolySHAP"),
    ShapiqMethod("kADD-SHAP", "kADDSHAP", {"max_order": 2}),
)


class RecordedGame:
    """A game read from a table, which remembers what was asked of it."""

    def __init__(self, values: np.ndarray[Any, Any]) -> None:
        self.values = values
        self.players = int(np.log2(len(values)))
        self.rows: set[int] = set()

    def __call__(self, coalitions: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Values [coalition] at `coalitions` [coalition, player]."""
        rows = np.atleast_2d(np.asarray(coalitions)).astype(np.int64) @ (1 << np.arange(self.players))
        self.rows.update(rows.tolist())
        return np.asarray(self.values[rows])


def answer(method: ShapiqMethod, values: np.ndarray[Any, Any], budget: int, draw: int) -> dict[str, Any]:
    """First-order values [player] from `budget` evaluations beside both ends, and what was evaluated."""
    import shapiq

    game = RecordedGame(values)
    settings = dict(method.settings)
    if method.approximator == "ShaplEIG":  # Its first design is larger than a small budget.
        settings["initial_design_size"] = min(game.players + 1, budget + 1)
    approximator = getattr(shapiq, method.approximator)(n=game.players, random_state=SEED + draw, **settings)
    result = approximator.approximate(budget + 2, game)
    first = [float(result[(player,)]) for player in range(game.players)]
    if not np.isfinite(first).all():
        raise ValueError("values that are not finite")
    return {"values": first, "rows": sorted(game.rows)}


def answers(method: ShapiqMethod, games: list[list[float]], budgets: list[int]) -> dict[str, Any]:
    """The answers [game][budget][draw] of a method; a budget that it refuses is None."""
    table: list[list[list[dict[str, Any]] | None]] = []
    problems: list[str] = []
    for values in games:
        table.append([])
        for budget in budgets:
            table[-1].append(attempt(partial(_draws, method, values, budget), problems))
    return {"answers": table, "problems": sorted(set(problems))}


def _draws(method: ShapiqMethod, values: list[float], budget: int) -> list[dict[str, Any]]:
    return [answer(method, np.array(values), budget, draw) for draw in range(method.draws)]


def attempt(work: Callable[[], Any], problems: list[str]) -> Any:
    """The result of some work; None where it fails, with a line in `problems`."""
    try:
        return work()
    except Exception as error:  # a rival may fail in any way; the table says so
        problems.append(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:160])
        return None


def main() -> None:
    """Answer the question of the command line."""
    if not hasattr(typing, "override"):  # Python 3.11 lacks the only name of 3.12 that shapiq needs here.
        typing.override = lambda function: function  # type: ignore[attr-defined]
    warnings.simplefilter("ignore")
    question = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    done = {method.name: answers(method, question["games"], question["budgets"]) for method in METHODS}
    Path(sys.argv[2]).write_text(json.dumps(done), encoding="utf-8")


if __name__ == "__main__":
    main()
