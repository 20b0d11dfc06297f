"""What part `faithfulness` measures on one case: our default for the own score, its rival, and other methods."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np

from bench.case_list import Bench, PromptSubject
from bench.product import contextcite
from bench.record_store import PRODUCT_RECORDS, CaseRecord
from bench.timing import timed
from core.analysis.dual.parts import attention_mass
from core.analysis.explain.explain_task import Explain
from core.analysis.explain.gradient import PATH_BEND, PATH_NODES, gradient_at, learning_rate_path
from core.analysis.explain.methods import METHODS, Method
from core.analysis.explain.refine import ENDS, refine
from core.analysis.values import Array, TargetScore

BUDGET = Explain().budget
"""Of the default method, in full-prompt forward equivalents."""
CURVE_SHARE = 0.4
"""The curve follows the default up to this share of ContextCite-64's tokens."""
LATER = 16.0
"""Passes that it reaches at least."""
CAPTUM_BUDGET = 16.0
"""Passes of Captum's sampling: two orders of eight demonstrations, about half of ContextCite-64."""
Measurement = Literal["race", "others"]


def record_of(bench: Bench, subject: PromptSubject, truth: Array, measurements: tuple[Measurement, ...]) -> CaseRecord:
    """The record of a case with its `measurements`; what is not stored of them is measured now.

    `truth` are the target's scores at every subset, in the order of `all_masks`.
    """
    spans = (*subject.prompt.prefix, subject.prompt.candidates[subject.target])
    content = [bench.model.model_id, subject.prompt.answer_ids, [span.token_ids for span in spans]]
    works: dict[Measurement, tuple[tuple[float, ...], Callable[[Bench, PromptSubject], CaseRecord]]] = {
        "race": ((BUDGET, CURVE_SHARE, LATER), race),
        "others": ((CAPTUM_BUDGET,), others),
    }
    record: CaseRecord = {
        "family": subject.family,
        "strategy": subject.strategy,
        "tokens": subject.prompt.length,
        "truth": {"scores": truth.tolist()},
    }
    for name in measurements:
        settings, measure = works[name]
        record[name] = PRODUCT_RECORDS.record(
            name, [*content, settings], partial(measure, bench, subject), user=subject.user
        )
    return record


def race(bench: Bench, subject: PromptSubject) -> CaseRecord:
    """Our default at its budget, then further, and between them ContextCite's ablations, all by the wall clock."""
    masks = contextcite.masks_of(contextcite.TIMED, len(subject.prompt.demos))
    half = contextcite.TIMED // 2
    theirs = [contextcite.seconds_of(bench, subject, masks[:half])]
    default = answers(bench, subject, BUDGET)
    theirs.append(contextcite.seconds_of(bench, subject, masks[half:]))
    further = max(LATER, CURVE_SHARE * contextcite.tokens_of(subject, contextcite.MOST) / subject.prompt.length)
    per_token = sum(seconds for seconds, _ in theirs) / sum(tokens for _, tokens in theirs)
    return {
        "default": default,
        "curve": default if further <= BUDGET else answers(bench, subject, further),
        "cite_seconds": {str(n): per_token * contextcite.tokens_of(subject, n) for n in contextcite.COUNTS},
        "cite_passes": contextcite.tokens_of(subject, contextcite.MOST) / subject.prompt.length,
    }


def answers(bench: Bench, subject: PromptSubject, budget: float) -> list[CaseRecord]:
    """Every answer of the default, with the wall seconds since the start."""
    records, start = [], time.perf_counter()
    for answer in refine(subject.score(bench.model), budget=budget):
        records.append(
            {
                "ablations": len(answer.belief.masks) - ENDS,
                "seconds": time.perf_counter() - start,
                "passes": answer.spent.passes,
                "values": answer.values.tolist(),
                **{name: getattr(answer.effects, name).tolist() for name in ("low", "high")},
            }
        )
    return records


def others(bench: Bench, subject: PromptSubject) -> CaseRecord:
    """Contributions, seconds and passes of every method that is neither the default nor read off the subsets."""
    works: dict[str, Callable[[TargetScore], Array]] = {
        "attention mass": lambda score: attention_mass(score.scorer, score.target),
        "gradient at g=1": lambda score: gradient_at(score, 1.0).values,
        "gradient at g=0.5": lambda score: gradient_at(score, 0.5).values,
        "path, 3 nodes": lambda score: learning_rate_path(score, nodes=PATH_NODES, bend=PATH_BEND, gap=False).values,
        "Captum integrated gradients": lambda score: _captum(score, "captum_integrated_gradients"),
        "Captum feature ablation": lambda score: _captum(score, "captum_feature_ablation"),
        "Captum Shapley sampling": lambda score: _captum(score, "captum_shapley_sampling"),
    }
    return {name: _measured(subject.score(bench.model), work) for name, work in works.items()}


def _captum(score: TargetScore, method: Method) -> Array:
    row = METHODS[method]
    settings = {"budget": CAPTUM_BUDGET, "seed": 0}
    values: Array = row.function(score, **{name: settings[name] for name in row.settings}).values
    return values


def _measured(score: TargetScore, work: Callable[[TargetScore], Array]) -> CaseRecord:
    seconds, values = timed(lambda: np.asarray(work(score)))
    return {"values": values.tolist(), "seconds": seconds, "passes": score.scorer.passes}
