"""From answers to an evaluation: what was asked round by round, and all figures of it so far."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from core.metrics.binary import LEVEL
from core.prompt.build import ANSWERS
from core.tuning.evaluation.record import Evaluation, StepCostRow
from core.tuning.evaluation.summary import MEASURES, Answers, difference_rows, period_rows, ranking_rows, way_rows
from core.tuning.evaluation.work import EvaluationPlan, EvaluationScores
from core.tuning.examples import periods

PERIODS = 4
"""Later periods of equal numbers of interactions, into which the test is cut."""


def score_rounds(work: EvaluationPlan) -> Iterator[EvaluationScores]:
    """What was answered so far, after every round of `work`; the last is everything.

    Every round asks all ways the same, so whoever stops early has measured all of them on the same share.
    """
    found = EvaluationScores()
    for number in range(work.rounds):
        found.add(work, number)
        yield found


def evaluation_of(
    work: EvaluationPlan, found: EvaluationScores, *, made_by: str, steps: tuple[StepCostRow, ...] = ()
) -> Evaluation:
    """All figures of what was answered so far."""
    answers, (lists, scores) = found.answered(work), found.lists_so_far(work)
    seed = work.settings.seed
    users = set(answers.users) or {one.user_id for one in lists}
    judged = {measure: answers.resampled(measure, seed) for measure in MEASURES}
    later, apart = period_rows(answers, periods(work.dataset, work.test, PERIODS), seed=seed)
    ranking, ranked_apart = ranking_rows(lists, scores, seed=seed)
    return Evaluation(
        dataset_id=work.dataset.dataset_id,
        dataset_name=work.dataset.name,
        model_id=work.models["base"].model_id,
        model_name=work.models["base"].name,
        adapters={tuned: model.model_id for tuned, model in work.models.items() if tuned != "base"},
        cut=work.test.since or 0.0,
        share=work.settings.share,
        seed=seed,
        commit=made_by,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        history=work.history,
        interactions=len(answers.asked),
        users=len(users),
        both_answers=answers.both_answers,
        liked_share=float(np.mean(answers.liked)) if answers.asked else None,
        ranked=len(lists),
        candidates=work.settings.candidates,
        level=LEVEL,
        tokens=found.tokens,
        seconds=found.seconds,
        ways=way_rows(judged),
        differences=(*difference_rows(judged), *apart, *ranked_apart),
        periods=later,
        ranking=ranking,
        steps=steps,
        notices=(*work.dataset.notices, *work.notices, *_one_answer(answers)),
    )


def _one_answer(answers: Answers) -> Iterator[str]:
    """Why no AUC is defined, where all true answers are the same."""
    if len(set(answers.liked)) == 1:
        yield f"All {len(answers.liked)} true answers are {ANSWERS[not answers.liked[0]]}, so no AUC is defined."
