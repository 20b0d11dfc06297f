"""The one unit of work: a request becomes an explanation, ever more complete."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.analysis.explain.cost import predicted_passes
from core.analysis.explain.explanation import Explanation, Matrix, Timings
from core.analysis.explain.faithfulness import faithfulness
from core.analysis.explain.methods import contributions
from core.analysis.request import Request
from core.analysis.setting import Setting, prompt_of, set_up
from core.analysis.subject import targets_for
from core.analysis.values import Array, Meter, TargetScore, leave_one_out_masks
from core.data.dataset import Dataset
from core.lm.loading.load import LanguageModel
from core.lm.scoring.score import Scorer
from core.lm.scoring.sweep import Aggregate
from core.metrics.ranking import ranks

Progress = Callable[[str, float], None]
"""Told what is being done and which share is behind, between forward passes; may raise `Cancelled`."""


def explain(
    request: Request,
    *,
    dataset: Dataset,
    model: LanguageModel,
    progress: Progress = lambda _label, _fraction: None,
) -> Iterator[Explanation]:
    """Explanations of one case, each more complete than the one before; the last has stage `complete`.

    Raises `DemoLensError`s with one plain sentence for choices that cannot be run, and what `progress` raises.
    """
    start = time.monotonic()
    setting = set_up(request, dataset, model)
    prompt_seconds = time.monotonic() - start
    steps = _Steps(progress, predicted_passes(request))
    aggregate: Aggregate = "mean" if request.scoring == "mean" else "sum"
    scorer = Scorer(model, setting.prompt, aggregate=aggregate, between=lambda: steps.tell(scorer.passes))
    steps.label = "scoring the candidates"
    few_shot, zero_shot = scorer.full(), scorer.subsets(np.zeros((1, scorer.demos), dtype=bool))[0]
    free = _content_free(request, setting, model)
    record = setting.record(few_shot - free, zero_shot - free)
    timings = Timings(prompt=prompt_seconds, scores=time.monotonic() - start - prompt_seconds)
    yield record.model_copy(update={"timings": timings})
    if scorer.demos == 0:
        notice = "There are no demonstrations in the prompt, so there is nothing to explain."
        yield _complete(record, timings, start, {"notices": (*record.notices, notice)})
        return

    target, against = targets_for(request, setting.case)
    score = TargetScore(scorer, target, against)
    score.remember(np.ones(scorer.demos, dtype=bool), few_shot)
    score.remember(np.zeros(scorer.demos, dtype=bool), zero_shot)
    steps.label = "computing contributions"
    for number, answer in enumerate(contributions(score, request, setting.target_record(), setting.case.seed)):
        timings = timings.model_copy(update={"contributions": answer.seconds})
        stage = "first" if number == 0 and request.method == "default" else "refined"
        record = record.model_copy(update={"contributions": answer, "stage": stage, "timings": timings})
        yield record
    if request.matrix:
        steps.label = "removing each demonstration for every candidate"
        matrix = removal_matrix(scorer, score, few_shot, free)
        timings = timings.model_copy(update={"matrix": matrix.seconds})
        record = record.model_copy(update={"matrix": matrix, "timings": timings})
        yield record
    if request.faithfulness and record.contributions is not None:
        steps.label = "measuring faithfulness"
        values = np.array(record.contributions.values)
        measured = faithfulness(score, values, ablations=request.faithfulness, seed=setting.case.seed, free=free)
        timings = timings.model_copy(update={"faithfulness": measured.seconds})
        record = record.model_copy(update={"faithfulness": measured})
    yield _complete(record, timings, start, {})


def removal_matrix(scorer: Scorer, score: TargetScore, few_shot: Array, free: Array | float = 0.0) -> Matrix:
    """How far each candidate's score falls when each demonstration is deleted from the text, [demo][candidate].

    `free` [candidate] is taken from every score before ranking (calibrated scoring).
    """
    meter = Meter(scorer)
    masks = leave_one_out_masks(scorer.demos)
    without = scorer.subsets(masks)
    for mask, row in zip(masks, without, strict=True):
        score.remember(mask, row)
    spent = meter.read()
    return Matrix(
        method="text_removal",
        values=tuple(map(tuple, (few_shot[None] - without).tolist())),
        ranks_without=tuple(ranks(row - free) for row in without),
        forwards=spent.forwards,
        seconds=spent.seconds,
    )


@dataclass
class _Steps:
    """Turns passes into a fraction of the planned ones; a plan that was too small never shows more than all."""

    progress: Progress
    planned: float
    label: str = ""

    def tell(self, passes: float) -> None:
        self.progress(self.label, min(passes / self.planned, 0.99))


def _content_free(request: Request, setting: Setting, model: LanguageModel) -> NDArray[np.float64] | float:
    """Scores [candidate] under a prompt that knows nothing of the user, for calibrated scoring; else 0."""
    if request.scoring != "calibrated" or request.family != "next_item":
        return 0.0
    empty = request.model_copy(update={"history": 0})
    prompt = prompt_of(empty, setting.dataset, model, setting.case, (), setting.items)
    return Scorer(model, prompt).full()


def _complete(record: Explanation, timings: Timings, start: float, update: dict[str, object]) -> Explanation:
    done = timings.model_copy(update={"total": time.monotonic() - start})
    return record.model_copy(update={"stage": "complete", "timings": done, **update})
