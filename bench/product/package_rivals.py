"""Rivals that are published as packages, run in an environment of their own on whole games."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.product import shapiq_child
from bench.product.game_figures import GAME_TARGETS, GameTarget, Prediction, target_values
from bench.product.game_rivals import COUNTS, linear_prediction
from bench.product.rival_environment import AT2, FLASHTRACE, SHAPIQ, NotInstallableError, rival_environment
from bench.product.whole_games import WholeGame
from bench.record_store import GAME_RECORDS, CaseRecord

SECONDS = 3_600.0
"""Most time of shapiq on one game."""
SHAPIQ_NAME = f"shapiq {SHAPIQ}"
NOT_RUN = {
    f"AT2 {AT2}": "its score estimator is trained on thousands of prompts, and none is published for this model",
    f"FlashTrace {FLASHTRACE}": "it is not connected to the benchmark yet",
    "ICL-GradSel": "no package is published, and it needs gradients by the input embeddings, which games do not hold",
}
"""Rivals without figures, and why."""

Predictions = dict[tuple[str, GameTarget, int], list[Prediction]]


def package_predictions(game: WholeGame) -> tuple[Predictions, dict[str, str]]:
    """Predictions by method, target and evaluations, and by rival why it has none."""
    tables = [target_values(game, target) for target in GAME_TARGETS]
    question = [SHAPIQ, [[method.name, method.draws, method.settings] for method in shapiq_child.METHODS], COUNTS]
    content = [*question, [np.round(table, 9).tolist() for table in tables]]
    try:
        answers = GAME_RECORDS.record("shapiq", content, partial(_shapiq, tables), user=game.user)
    except NotInstallableError as error:
        return {}, {SHAPIQ_NAME: str(error)}
    return _predictions(game, answers)


def _shapiq(tables: list[Any]) -> CaseRecord:
    question = {"games": [table.tolist() for table in tables], "budgets": list(COUNTS)}
    answers = rival_environment().run("shapiq", Path(shapiq_child.__file__), question, seconds=SECONDS)
    return dict(answers)


def _predictions(game: WholeGame, answers: CaseRecord) -> tuple[Predictions, dict[str, str]]:
    predictions: Predictions = {}
    problems: dict[str, str] = {}
    for method, answer in answers.items():
        name = f"{method} ({SHAPIQ_NAME})"
        for target, by_count in zip(GAME_TARGETS, answer["answers"], strict=True):
            for count, draws in zip(COUNTS, by_count, strict=True):
                if draws is None:
                    problems[f"{name}, {count} evaluations"] = "; ".join(answer["problems"])
                else:
                    predictions[name, target, count] = [_prediction(game, draw) for draw in draws]
    return predictions, problems


def _prediction(game: WholeGame, draw: CaseRecord) -> Prediction:
    inner = [row for row in draw["rows"] if 0 < row < len(game.scores) - 1]
    return linear_prediction(game, np.array(draw["values"]), np.array(inner, dtype=np.int64))
