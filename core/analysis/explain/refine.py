"""The anytime default: the equivalent gradient first, then designed text ablations that correct it.

The gradient answer is the prior guess of a Bayesian surrogate over subsets; each further ablation is chosen where it
narrows the contributions most per token. Every answer carries intervals and, from its own ablations, a
cross-validated LDS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from core.analysis.explain.faithfulness import number
from core.analysis.explain.gradient import GradientAnswer, learning_rate_path
from core.analysis.explain.surrogate import Prior, next_subsets, posterior
from core.analysis.values import Array, Masks, Meter, Spent, TargetScore, all_masks
from core.metrics.intervals import spearman_over_pairs
from core.metrics.similarity import spearman

PACK = 4
"""Ablations added before the answer is looked at again; they run as one pass."""
LISTED_DEMOS = 10
"""Up to this many demonstrations every subset is considered for the design, above it a seeded sample."""
SAMPLED_POOL = 512


@dataclass(frozen=True)
class RefinedAnswer:
    """Contributions [demo] in nats with 90 % intervals, and how well the additive account predicts left-out scores."""

    values: Array
    low: Array
    high: Array
    lds: float
    """Leave-one-ablation-out Spearman correlation; nan with fewer than 3 ablations."""
    lds_low: float
    lds_high: float
    ablations: int
    gradient: GradientAnswer
    spent: Spent

    @property
    def fields(self) -> dict[str, object]:
        """What stands in the record of contributions beside values and cost."""
        lds = {"lds": number(self.lds), "lds_low": number(self.lds_low), "lds_high": number(self.lds_high)}
        return {"low": tuple(self.low.tolist()), "high": tuple(self.high.tolist()), **lds, **self.gradient.split}


def refine(
    score: TargetScore, *, budget: float, precision: float = 0.0, seed: int = 0, prior: Prior | None = None
) -> Iterator[RefinedAnswer]:
    """Ever better answers: the first after one gradient, then one after each pack of ablations.

    Ends when `budget` full-prompt forward equivalents are used, every interval is narrower than `precision` nats
    (0: never), or every subset has been scored.
    """
    meter = Meter(score.scorer)
    gradient = learning_rate_path(score, nodes=1, gap=False)
    masks = np.array([np.zeros(score.demos), np.ones(score.demos)], dtype=bool)
    pool = subset_pool(score.demos, seed)
    costs = ablation_costs(score, pool)
    setting = (0.5, 0.5)
    while True:
        scores = score.at(masks)
        belief = posterior(masks, scores, gradient.values, prior=prior, seed=seed)
        setting = belief.setting
        low, high = belief.interval()
        lds = cross_validated_lds(masks, scores, gradient.values, prior=_only(prior or Prior(), setting), seed=seed)
        yield RefinedAnswer(belief.mean, low, high, *lds, len(masks) - 2, gradient, meter.read())
        open_ = np.array([not (masks == row).all(axis=1).any() for row in pool], dtype=bool)
        spent = meter.read().passes
        if spent >= budget or not open_.any() or (precision and float((high - low).max()) < precision):
            return
        count = min(PACK, max(1, int((budget - spent) / max(float(costs[open_].mean()), 1e-6))))
        chosen = next_subsets(
            masks, pool[open_], costs[open_], guess=gradient.values, setting=setting, count=count, prior=prior
        )
        masks = np.concatenate([masks, pool[open_][chosen]])


def _only(prior: Prior, setting: tuple[float, float]) -> Prior:
    """The prior at one setting: cross-validation refits once an ablation, and need not search each time."""
    return replace(prior, additive_shares=setting[:1], size_shares=setting[1:])


def subset_pool(demos: int, seed: int) -> Masks:
    """Subsets to choose ablations from, [subset, demo]; neither the empty nor the whole set."""
    if demos <= LISTED_DEMOS:
        return all_masks(demos)[1:-1]
    half = np.random.default_rng(seed).random((SAMPLED_POOL // 2, demos)) < 0.5
    pool = np.unique(np.concatenate([half, ~half]), axis=0)
    return pool[pool.any(axis=1) & ~pool.all(axis=1)]


def ablation_costs(score: TargetScore, masks: Masks) -> Array:
    """New tokens of each ablated prompt, as a share of the full prompt: only what follows the first gap is run."""
    prompt = score.scorer.prompt
    sizes = np.array([len(span.token_ids) for span in prompt.demos], dtype=np.float64)
    tail = len(prompt.query.token_ids) + sum(len(prompt.candidates[c].token_ids) for c in score.candidates)
    after_gap = np.logical_or.accumulate(~masks, axis=1)
    return np.asarray(((masks & after_gap) @ sizes + tail) / prompt.length)


def cross_validated_lds(
    masks: Masks, scores: Array, guess: Array, *, prior: Prior | None = None, seed: int = 0
) -> tuple[float, float, float]:
    """LDS of additive predictions, each made without the ablation it predicts, with a 90 % bootstrap interval.

    The whole and the empty prompt are never left out and never counted.
    """
    ablations = range(2, len(masks))
    predicted = np.empty(len(ablations))
    for place, left_out in enumerate(ablations):
        rest = np.arange(len(masks)) != left_out
        belief = posterior(masks[rest], scores[rest], guess, prior=prior, draws=0)
        predicted[place] = masks[left_out] @ belief.mean
    measured = scores[2:]
    if len(measured) < 8:
        return spearman(predicted, measured), float("nan"), float("nan")
    return spearman_over_pairs(predicted, measured, seed=seed, draws=300)
