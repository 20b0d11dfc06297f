"""Rivals that are published as packages, run in an environment of their own on whole games."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.product import flashtrace_child, shapiq_child
from bench.product.game_figures import GAME_TARGETS, GameTarget, Prediction, target_values
from bench.product.game_rivals import COUNTS, linear_prediction
from bench.product.rival_environment import AT2, FLASHTRACE, SHAPIQ, NotInstallableError, rival_environment
from bench.product.whole_games import GameSubject, WholeGame
from bench.record_store import GAME_RECORDS, CaseRecord
from core.analysis.values import Array
from core.lm.loading.adapter import checked_adapter
from core.prompt.families import ANSWERS

SECONDS = 3_600.0
"""Most time of shapiq on one game."""
FLASHTRACE_SECONDS = 900.0
"""Most time of FlashTrace on one prompt."""
SHAPIQ_NAME, FLASHTRACE_NAME = f"shapiq {SHAPIQ}", f"FlashTrace {FLASHTRACE}"
NOT_RUN = {
    f"AT2 {AT2}": "its score estimator is trained on thousands of prompts, and none is published for this model",
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


def one_pass_effects(subject: GameSubject) -> tuple[dict[str, Array], dict[str, str]]:
    """Scores [demo] of every demonstration by rivals that read the full prompt once; and by rival why it has none.

    FlashTrace's scores are shares of what reaches the answer: they have no sign and are the same for every target.
    """
    prompt, setting = subject.setting.prompt, subject.setting
    spans, answer = [span.text for span in prompt.prefix], prompt.candidates[setting.targets[0]].text
    if prompt.answer_ids is not None:
        spans, answer = [*spans, answer], f" {ANSWERS[0]}"
    adapter = None if setting.model.adapter is None else str(checked_adapter(setting.model.adapter).path)
    question = {"folder": str(setting.model.folder), "adapter": adapter, "spans": spans, "answer": answer}
    content = [FLASHTRACE, setting.model.model_id, spans, answer]
    try:
        record = GAME_RECORDS.record("flashtrace", content, partial(_flashtrace, question), user=subject.user)
    except NotInstallableError as error:
        return {}, {FLASHTRACE_NAME: str(error)}
    demos = range(1, 1 + len(prompt.demos))  # The first span is the instruction.
    return {FLASHTRACE_NAME: np.array([record["scores"][place] for place in demos])}, {}


def _flashtrace(question: CaseRecord) -> CaseRecord:
    program = Path(flashtrace_child.__file__)
    return dict(rival_environment().run("flashtrace", program, question, seconds=FLASHTRACE_SECONDS))


def _prediction(game: WholeGame, draw: CaseRecord) -> Prediction:
    inner = [row for row in draw["rows"] if 0 < row < len(game.scores) - 1]
    return linear_prediction(game, np.array(draw["values"]), np.array(inner, dtype=np.int64))
