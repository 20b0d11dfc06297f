"""The cost of one personalisation step, compared with one forward pass over its whole prompt.

A step is one new interaction of the user: demonstrations are picked, the prompt is written, and all candidates are
ranked again on the memory of the step before. It is compared with an ordinary call of the same model over the prompt
and all candidates, one after the other, and with our own pass from scratch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch

from bench.case_list import packed_ids
from bench.record_store import RECICL_RECORDS, CaseRecord
from bench.spread import quartiles
from bench.timing import timed
from core.analysis.setting import prompt_of
from core.analysis.subject import item_ids
from core.data.records import Strategy
from core.errors import DemoLensError
from core.lm.scoring.score import Scorer
from core.lm.scoring.stream import StreamScorer
from core.personal.personalise_task import PersonaliseTask
from core.personal.play import Play, play_of
from core.prompt.families import FAMILIES, Family
from core.prompt.spans import Prompt
from core.question.case_spec import CaseSpec
from core.tuning.evaluation.evaluation_plan import EvaluationPlan, ids_of
from core.tuning.evaluation.record import StepCostRow, metric_estimate
from core.tuning.evaluation.ways import FRESH, ModelVariant

PLAYS = 5
"""Users whose streams are played."""
STEPS = FRESH
"""Steps of each play: one whole turn of the window, the step in which its oldest leave among them."""
PLAYED: tuple[Strategy, ...] = ("recent", "neighbours")
"""Whose demonstrations the steps show: the user's own latest, and those of other users, picked anew at every step."""


def step_rows(plan: EvaluationPlan) -> tuple[StepCostRow, ...]:
    """A row for every family and strategy for which there is a user with enough interactions."""
    rows = (step_row(plan, family, strategy) for strategy in PLAYED for family in FAMILIES)
    return tuple(row for row in rows if row is not None)


def step_row(plan: EvaluationPlan, family: Family, strategy: Strategy) -> StepCostRow | None:
    """Time and tokens of a step over those of a whole forward, by the in-context tuned model or else the base model.

    None where no user has enough interactions.
    """
    tuned = _player(plan)
    plays = list(islice(_plays(plan, family, strategy), PLAYS))
    if not plays:
        return None
    model = plan.models[tuned]
    content = [model.model_id, model.dtype, [ids_of([_prompt(plan, play, len(play.interactions))]) for play in plays]]
    record = RECICL_RECORDS.record("steps", content, lambda: time_steps(plan, plays))
    column = {name: np.array(values, dtype=np.float64) for name, values in record.items()}
    return StepCostRow(
        family=family,
        strategy=strategy,
        tuned=tuned,
        steps=len(record["seconds"]),
        time_ratio=metric_estimate(quartiles(column["seconds"] / column["full_seconds"])),
        token_ratio=metric_estimate(quartiles(column["tokens"] / column["full_tokens"])),
        packed_ratio=metric_estimate(quartiles(column["seconds"] / column["packed_seconds"])),
        seconds=metric_estimate(quartiles(column["seconds"])),
    )


def _player(plan: EvaluationPlan) -> ModelVariant:
    return "recicl" if "recicl" in plan.models else "base"


def _plays(plan: EvaluationPlan, family: Family, strategy: Strategy) -> Iterator[Play]:
    """Plays of the users of the ranked lists that have enough interactions and, at their start, demonstrations."""
    candidates = plan.settings.candidates
    usual = CaseSpec(family=family, strategy=strategy, demos=FRESH, history=plan.history, candidates=candidates)
    for user in dict.fromkeys(listed.user_id for listed in plan.lists):
        case = usual.model_copy(update={"user": user})
        try:
            play = play_of(PersonaliseTask(case=case, steps=STEPS, compare=False), plan.dataset)
        except DemoLensError:
            continue
        if play.start >= FRESH and len(play.demonstrations(play.start)) >= FRESH:
            yield play


def _prompt(plan: EvaluationPlan, play: Play, length: int) -> Prompt:
    case, demos = play.case_at(length), play.demonstrations(length)
    items = plan.dataset.items(item_ids(case, demos))
    return prompt_of(play.spec, plan.dataset, plan.models[_player(plan)], case, demos, items)


def time_steps(plan: EvaluationPlan, plays: Sequence[Play]) -> CaseRecord:
    """Seconds and tokens of every step, and of what it is compared with, over the same prompt right before it."""
    record: CaseRecord = {name: [] for name in ("seconds", "tokens", "full_seconds", "full_tokens", "packed_seconds")}
    for play in plays:
        stream = StreamScorer(plan.models[_player(plan)])
        stream.score(_prompt(plan, play, play.start))
        for length in range(play.start + 1, len(play.interactions) + 1):
            _take(plan, play, length, stream, record)
    return record


def _take(plan: EvaluationPlan, play: Play, length: int, stream: StreamScorer, record: CaseRecord) -> None:
    prompt, before = _prompt(plan, play, length), stream.cost.tokens
    ids = packed_ids(prompt)
    record["full_seconds"].append(timed(lambda: _forward(stream, ids))[0])
    record["packed_seconds"].append(timed(Scorer(stream.model, prompt).full)[0])
    record["seconds"].append(timed(lambda: stream.score(_prompt(plan, play, length)))[0])
    record["full_tokens"].append(len(ids))
    record["tokens"].append(stream.cost.tokens - before)


def _forward(stream: StreamScorer, ids: list[int]) -> None:
    """One ordinary call of the player's network, without any of our packing."""
    with torch.inference_mode():
        stream.model.network(torch.tensor([ids], device=stream.model.device), use_cache=False, logits_to_keep=1)
