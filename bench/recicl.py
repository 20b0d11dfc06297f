"""Does in-context tuning keep demonstrations useful: against the base model, plain tuning and classical references?

Everything goes on in rounds of 25 test interactions and five ranked lists, each under every way, so a run that is cut
short has measured every way on the same share. Prompts of a round are packed into common passes, which run what they
share once (`core.lm.many`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from bench.cases import CANDIDATES, Bench
from bench.clock import Clock
from bench.recicl_rows import rows_of, text_of
from bench.recicl_steps import step_row
from bench.recicl_work import Found, Work, planned
from bench.table import BUILD, Row, commit, write_json
from core.metrics.binary import LEVEL
from core.tuning.evaluation.evaluate import FAMILIES
from core.tuning.evaluation.record import Evaluation, StepRow
from core.tuning.evaluation.summary import MEASURES, difference_rows, period_rows, ranking_rows, way_rows
from core.tuning.examples import periods

PERIODS = 4
"""Later periods of equal numbers of interactions, into which the test is cut."""
RESULT = BUILD / "recicl.json"


def recicl(bench: Bench, count: int) -> Iterator[list[Row]]:
    """Rows so far, after every round; `count` test interactions. The figures so far are also written to `RESULT`."""
    work = planned(bench, count)
    sys.stderr.write("".join(f"recicl  {notice}\n" for notice in work.missing))
    sys.stderr.write(f"recicl  about {work.tokens:,} tokens in {work.rounds} rounds\n")
    steps = tuple(step for family in FAMILIES if (step := step_row(work, family)) is not None)
    found, clock = Found(), Clock("recicl", work.rounds)
    for number in range(work.rounds):
        found.add(work, number)
        evaluation = evaluated(work, found, steps)
        clock.tell(f"{evaluation.interactions} interactions, {evaluation.ranked} lists")
        write_json(RESULT, evaluation.model_dump(mode="json"))
        yield rows_of(evaluation)
    print(text_of(evaluation), end="\n\n")


def evaluated(work: Work, found: Found, steps: tuple[StepRow, ...]) -> Evaluation:
    """All figures of what was measured so far."""
    answers, (lists, scores) = found.answered(work), found.listed(work)
    judged = {measure: answers.resampled(measure, work.seed) for measure in MEASURES}
    later, apart = period_rows(answers, periods(work.dataset, work.test, PERIODS), seed=work.seed)
    ranking, ranked_apart = ranking_rows(lists, scores, seed=work.seed)
    return Evaluation(
        dataset_id=work.dataset.dataset_id,
        dataset_name=work.dataset.name,
        model_id=work.models["base"].model_id,
        model_name=work.models["base"].name,
        adapters={tuned: model.model_id for tuned, model in work.models.items() if tuned != "base"},
        cut=work.test.since or 0.0,
        seed=work.seed,
        commit=commit(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        history=work.history,
        interactions=len(answers.asked),
        users=len(set(answers.users)),
        both_answers=answers.both_answers,
        liked_share=float(np.mean(answers.liked)),
        ranked=len(lists),
        candidates=CANDIDATES,
        level=LEVEL,
        tokens=found.tokens,
        seconds=found.seconds,
        ways=way_rows(judged),
        differences=(*difference_rows(judged), *apart, *ranked_apart),
        periods=later,
        ranking=ranking,
        steps=steps,
        notices=work.notices,
    )
