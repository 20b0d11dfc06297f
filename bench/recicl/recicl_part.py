"""Part `recicl`: tuned models against the base model, plain tuning and classical references.

Everything goes on in rounds of 25 test interactions and five ranked lists, each under every way, so a run that is cut
short has measured every way on the same share. Prompts of a round are packed into common passes, which run what they
share once (`core.lm.scoring.many`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from bench.case_list import Bench
from bench.constants import BUILD, CANDIDATES
from bench.recicl.promises import rows_of
from bench.recicl.step_costs import step_rows
from bench.recicl.training_speed import training_speed_rows
from bench.record_store import RECICL_RECORDS
from bench.results_table import ResultRow, commit, write_json
from bench.timing import Clock
from core.cli.evaluate_command import evaluation_lines
from core.comparison.default_choices import weights_for
from core.errors import RequestError
from core.tuning.evaluation.evaluation_plan import EvaluationPlan, plan_evaluation
from core.tuning.evaluation.evaluation_settings import EvaluationSettings
from core.tuning.evaluation.rounds import evaluation_of, score_rounds

RESULT = BUILD / "recicl.json"


def recicl(bench: Bench, count: int) -> Iterator[list[ResultRow]]:
    """Rows so far, after every round; `count` test interactions. The figures so far are also written to `RESULT`."""
    plan = plan_of(bench, count)
    sys.stderr.write("".join(f"recicl  {notice}\n" for notice in plan.missing))
    sys.stderr.write(f"recicl  about {plan.tokens:,} tokens in {plan.rounds} rounds\n")
    steps, speed = step_rows(plan), list(training_speed_rows(bench))
    clock, evaluation = Clock("recicl", plan.rounds), None
    for answers in score_rounds(plan):
        evaluation = evaluation_of(plan, answers, made_by=commit(), steps=steps)
        clock.tick(f"{evaluation.interactions} interactions, {evaluation.ranked} lists")
        write_json(RESULT, evaluation.model_dump(mode="json"))
        yield [*rows_of(evaluation), *speed]
    if evaluation is not None:
        print("\n".join(evaluation_lines(evaluation)), end="\n\n")


def plan_of(bench: Bench, count: int) -> EvaluationPlan:
    """`count` test interactions, a fifth as many lists, and the shipped adapters; answers are stored.

    Raises `SystemExit` with a sentence when an adapter was tuned on interactions of the test.
    """
    settings = EvaluationSettings(interactions=count, candidates=CANDIDATES, seed=bench.seed)
    try:
        weight_of = weights_for(bench.dataset.dataset_id, settings.model)
        return plan_evaluation(settings, bench.dataset, bench.model, cache=RECICL_RECORDS.record, weight_of=weight_of)
    except RequestError as error:
        raise SystemExit(f"bench: {error}") from None
