"""The rounds of an evaluation, and all its figures after any of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from core.metrics.binary import LEVEL
from core.prompt.families import ANSWERS
from core.tuning.evaluation.blends import blend_rows
from core.tuning.evaluation.evaluation_plan import EvaluationPlan, EvaluationScores
from core.tuning.evaluation.evaluation_rows import (
    MEASURES,
    Answers,
    difference_rows,
    period_rows,
    ranking_rows,
    way_rows,
)
from core.tuning.evaluation.record import Evaluation, StepCostRow
from core.tuning.examples import periods

PERIODS = 4
"""Later periods of equal numbers of interactions, into which the test is cut."""


def score_rounds(plan: EvaluationPlan) -> Iterator[EvaluationScores]:
    """The scores so far, after every round of `plan`; the last are all.

    In every round all ways score the same examples, so an early stop leaves all of them measured on the same share.
    """
    scores = EvaluationScores()
    for number in range(plan.rounds):
        scores.add(plan, number)
        yield scores


def evaluation_of(
    plan: EvaluationPlan, scores: EvaluationScores, *, made_by: str, steps: tuple[StepCostRow, ...] = ()
) -> Evaluation:
    """All figures of the scores so far."""
    answers, (lists, list_scores) = scores.answered(plan), scores.lists_so_far(plan)
    seed = plan.settings.seed
    users = set(answers.users) or {row.user_id for row in lists}
    judged = {measure: answers.resampled(measure, seed) for measure in MEASURES}
    later, apart = period_rows(answers, periods(plan.dataset, plan.test, PERIODS), seed=seed)
    ranking, ranked_apart = ranking_rows(lists, list_scores, seed=seed)
    return Evaluation(
        dataset_id=plan.dataset.dataset_id,
        dataset_name=plan.dataset.name,
        model_id=plan.models["base"].model_id,
        model_name=plan.models["base"].name,
        adapters={tuned: model.model_id for tuned, model in plan.models.items() if tuned != "base"},
        cut=plan.test.since or 0.0,
        share=plan.settings.share,
        seed=seed,
        commit=made_by,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        history=plan.history,
        interactions=len(answers.examples),
        users=len(users),
        both_answers=answers.both_answers,
        liked_share=float(np.mean(answers.liked)) if answers.examples else None,
        ranked=len(lists),
        candidates=plan.settings.candidates,
        level=LEVEL,
        tokens=scores.tokens,
        seconds=scores.seconds,
        ways=way_rows(judged),
        differences=(*difference_rows(judged), *apart, *ranked_apart),
        periods=later,
        ranking=ranking,
        blends=blend_rows(plan.dataset, lists, list_scores, plan.weights, seed=seed),
        steps=steps,
        notices=(*plan.dataset.notices, *plan.notices, *_one_answer(answers)),
    )


def _one_answer(answers: Answers) -> Iterator[str]:
    """Why no AUC is defined, where all true answers are the same."""
    if len(set(answers.liked)) == 1:
        yield f"All {len(answers.liked)} true answers are {ANSWERS[not answers.liked[0]]}, so no AUC is defined."
