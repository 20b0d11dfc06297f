"""By the wall clock: the complete default result, the default before it, ContextCite on the same target, an ablation.

The default before (until commit 28c1dc3) explained the target's own score by one gradient and ablations of that
candidate up to a budget of 10 full-prompt forwards, and then scored all candidates without each demonstration for the
matrix. It is gone from the product; `earlier_default` scores the same numbers of prompts and backward passes with the
product's engine of today.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import compress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench import plain_forward
from bench.case_list import packed_ids
from bench.product import contextcite
from bench.product.whole_games import HALF, GameSubject
from bench.record_store import CaseRecord
from bench.results_table import ResultRow, as_row
from bench.spread import quartiles
from bench.timing import timed
from core.analysis.explain.explain_task import Explain
from core.analysis.explain.gradient import gradient_at
from core.analysis.explain.list_record import list_effects
from core.analysis.explain.refine import ABLATING, PACK, refine, subset_pool
from core.analysis.explain.surrogate import Surrogate
from core.analysis.setting import Setting
from core.analysis.values import Array, Masks, Meter, Spent, TargetScore, leave_one_out_masks
from core.lm.scoring.score import Scorer
from core.prompt.spans import Prompt
from core.question.targets import Explained

EARLIER_BUDGET = 10.0
"""Full-prompt forwards of the default before."""
TIME_TARGET = "<= 1.25"
CITE_TARGET = "<= 0.45"
PER_TOKEN_TARGET = "<= 1.12"
ROUNDS = 3
"""How often an ablation and a plain forward take turns; each counts with its fastest time."""


def list_race(subject: GameSubject, untouched: Any) -> CaseRecord:
    """Seconds of everything on one prompt; `untouched` is the network with the library's own attention."""
    setting = subject.setting
    demos = len(setting.prompt.demos)
    masks = contextcite.masks_of(contextcite.TIMED, demos)
    half = contextcite.TIMED // 2
    theirs = [cited(setting, masks[:half])]
    contributions, complete = default_seconds(setting)
    earlier, _ = timed(lambda: earlier_default(setting))
    theirs.append(cited(setting, masks[half:]))
    per_token = sum(seconds for seconds, _ in theirs) / sum(tokens for _, tokens in theirs)
    every = contextcite.masks_of(contextcite.MOST, demos)
    return {
        "contributions": contributions,
        "complete": complete,
        "earlier": earlier,
        "cite": per_token * sum(tokens_of(ablated(setting.prompt, mask)) for mask in every),
        "per_token": per_token_ratio(setting, untouched),
    }


def default_seconds(setting: Setting) -> tuple[float, float]:
    """Seconds to the contributions at the budget of the default question, and to its complete answer."""
    start, contributions = time.perf_counter(), 0.0
    task, score = Explain(), started(setting, "field")
    for answer in refine(score, budget=task.budget, removals=task.removals, flips=task.flips, flip=task.flip):
        list_effects(answer.belief, score.target, score.weights)
        if answer.ahead != ABLATING and not contributions:
            contributions = time.perf_counter() - start
    return contributions, time.perf_counter() - start


def started(setting: Setting, explain: Explained) -> TargetScore:
    """The target score once the lists with and without demonstrations are scored."""
    scorer = Scorer(setting.model, setting.prompt)
    score = TargetScore(scorer, setting.targets[0], explain=explain)
    score.remember(np.ones(scorer.demos, dtype=bool), scorer.full())
    none = np.zeros((1, scorer.demos), dtype=bool)
    score.remember(none[0], scorer.subsets(none)[0])
    return score


def earlier_default(setting: Setting) -> Spent:
    """What the default before did: gradient and ablations of the own score, then the matrix of single removals."""
    score = started(setting, "score")
    meter = Meter(score.scorer)
    gradient = gradient_at(score, HALF).values
    masks: Masks = np.array([np.zeros(score.demos), np.ones(score.demos)], dtype=bool)
    pool = subset_pool(score.demos, 0)
    costs = target_costs(setting.prompt, pool, score.target)
    while True:
        belief = Surrogate(masks, score.at(masks)[:, None], gradient)
        belief.effects(), belief.left_out()
        spent = meter.read().passes
        if spent >= EARLIER_BUDGET or len(masks) == len(pool) + 2:
            break
        free = np.array([not (masks == row).all(axis=1).any() for row in pool])
        count = min(PACK, max(1, int((EARLIER_BUDGET - spent) / float(costs[free].mean()))))
        masks = np.concatenate([masks, pool[free][belief.next_subsets(pool[free], costs[free], count)]])
    score.scorer.subsets(leave_one_out_masks(score.demos))
    return meter.read()


def target_costs(prompt: Prompt, masks: Masks, target: int) -> Array:
    """New tokens [subset] of each ablated prompt with one candidate, as a share of the full prompt."""
    sizes = np.array([len(span.token_ids) for span in prompt.demos], dtype=np.float64)
    tail = len(prompt.query.token_ids) + len(prompt.candidates[target].token_ids)
    after_gap = np.logical_or.accumulate(~masks, axis=1)
    return np.asarray(((masks & after_gap) @ sizes + tail) / prompt.length)


def cited(setting: Setting, masks: Masks) -> tuple[float, int]:
    """Seconds and tokens of ContextCite's ablations for a margin: one packed pass over all candidates each."""
    prompts = [ablated(setting.prompt, mask) for mask in masks]
    seconds, _ = timed(lambda: [Scorer(setting.model, prompt).full() for prompt in prompts])
    return seconds, sum(map(tokens_of, prompts))


def ablated(prompt: Prompt, mask: NDArray[np.bool_]) -> Prompt:
    """The prompt with the demonstrations of `mask` [demo] alone."""
    return replace(prompt, demos=tuple(compress(prompt.demos, mask)))


def tokens_of(prompt: Prompt) -> int:
    """Tokens of a packed pass over a prompt and all its candidates."""
    return len(packed_ids(prompt))


def per_token_ratio(setting: Setting, untouched: Any) -> float:
    """Seconds a token of ablations behind the shared beginning, over those of a plain forward pass; one thread.

    Both read about as many tokens: the plain pass is over the full prompt with all candidates behind it.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        scorer = Scorer(setting.model, setting.prompt)
        scorer.full()
        masks = leave_one_out_masks(scorer.demos)[:PACK]
        ids = packed_ids(setting.prompt)
        ours, plain = [], []
        for _ in range(ROUNDS):
            before = scorer.cost.tokens
            seconds, _ = timed(lambda: scorer.subsets(masks))
            ours.append(seconds / (scorer.cost.tokens - before))
            plain.append(timed(lambda: plain_forward.forward(untouched, ids))[0] / len(ids))
    finally:
        torch.set_num_threads(threads)
    return min(ours) / min(plain)


# ---- rows


def race_rows(races: Sequence[CaseRecord], label: str) -> Iterator[ResultRow]:
    """Rows about the seconds of several prompts."""
    seconds = {name: np.array([race[name] for race in races]) for name in races[0]}
    budget = f"{Explain().budget:g} F"
    yield as_row(f"{label}: seconds to the complete default result", quartiles(seconds["complete"]))
    yield as_row(
        f"{label}: time to the complete default result / to that of the default before with its matrix"
        f" (own score, {EARLIER_BUDGET:g} F; the same prompts and backward passes by today's engine)",
        quartiles(seconds["complete"] / seconds["earlier"]),
        TIME_TARGET,
    )
    yield as_row(
        f"{label}: field margin, time of ours within {budget} / ContextCite-64's (one packed pass an ablation)",
        quartiles(seconds["contributions"] / seconds["cite"]),
        CITE_TARGET,
    )
    yield as_row(
        f"{label}: field margin, time of the complete default result / ContextCite-64's",
        quartiles(seconds["complete"] / seconds["cite"]),
    )
    yield as_row(
        f"{label}: time of an ablation a token / of a plain forward a token, one thread",
        quartiles(seconds["per_token"]),
        PER_TOKEN_TARGET,
    )
