"""What does the model recommend when its dual model is regularised or perturbed, and which setting is worth using?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.analysis.robustness.inference_settings import InferenceSettings
from core.analysis.values import Array, Meter, Spent
from core.lm.forward.dual_change import DualChange
from core.lm.scoring.score import Scorer
from core.metrics.ranking import Rank, firsts, ranks
from core.seeds import generator, seed_of

DIGITS = 12
"""Means over cases are compared to this many decimals: beyond are rounding errors of the sums."""


@dataclass(frozen=True)
class Inference:
    """A recommendation under changed dual models; scores in nats."""

    settings: InferenceSettings
    """As asked for; `notices` says what had no effect."""
    sampled: Array
    """Scores of each changed model, [sample, candidate]; one row where nothing is random."""
    scores: Array
    """Mean over samples, [candidate]: the recommendation."""
    spread: Array
    """Standard deviation over samples (n - 1), [candidate]; 0 where nothing is random, nan for one random sample."""
    ranks: tuple[Rank, ...]
    """Ranks of `scores`, [candidate], 1 is best."""
    agreement: float
    """Share of samples in which a candidate that is first by `scores` is first, alone or with an equal score."""
    spent: Spent
    notices: tuple[str, ...]


def recommend(scorer: Scorer, settings: InferenceSettings, seed: int) -> Inference:
    """Scores of all candidates averaged over the changed dual models of `settings`; the plain model for plain ones.

    `seed` is the case's; equal seeds give equal scores. Costs the prefix once (nothing if the scorer remembers it)
    and the query and candidates per sample. Raises what `Scorer.changed` raises.
    """
    meter = Meter(scorer)
    acting = settings.acting_on(scorer.demos)
    sampled = scorer.full()[None] if acting.plain else scorer.changed(changes_of(acting, scorer.demos, seed))
    mean = sampled.mean(axis=0)
    return Inference(
        settings=settings,
        sampled=sampled,
        scores=mean,
        spread=_spread(sampled, acting.random),
        ranks=ranks(mean),
        agreement=float(np.mean([not firsts(mean).isdisjoint(firsts(row)) for row in sampled])),
        spent=meter.read(),
        notices=settings.notices(scorer.demos),
    )


def changes_of(settings: InferenceSettings, demos: int, seed: int) -> tuple[DualChange, ...]:
    """The changed dual models that `settings` stand for, [sample].

    Each sample draws its gates and the seed of its noise from the case's seed and its own number, so the first P of
    more samples are the same P. A gate is 0 with probability `dropout`, else 1 / (1 - dropout): learning rates are 1 on
    average (inverted dropout, Srivastava et al. 2014).
    """
    return tuple(
        DualChange(
            alpha=settings.alpha,
            beta=settings.beta,
            sigma=settings.sigma,
            gates=_gates(settings.dropout, demos, seed, sample) if settings.dropout else None,
            seed=seed_of("dual sample", seed, sample),
        )
        for sample in range(settings.draws)
    )


def _gates(dropout: float, demos: int, seed: int, sample: int) -> tuple[float, ...]:
    dropped = generator("gate dropout", seed, sample).random(demos) < dropout
    return tuple(0.0 if gone else 1 / (1 - dropout) for gone in dropped)


def _spread(sampled: Array, random: bool) -> Array:
    if not random:
        return np.zeros(sampled.shape[1])
    return sampled.std(axis=0, ddof=1) if len(sampled) > 1 else np.full(sampled.shape[1], np.nan)


def choose_setting(ndcg: Array, flips: Array, *, plain: int = 0) -> int | None:
    """Row of the setting with the lowest flip rate among those whose mean NDCG is not below the plain model's.

    `ndcg` and `flips` are [setting, case], measured on other cases than those it will be used on; `plain` is the plain
    model's row. Each setting is compared with the plain model on the cases where both are numbers. Equal flip rates:
    the higher NDCG, then the earlier row. None when no setting flips less than the plain model does.
    """
    if ndcg.shape != flips.shape or ndcg.ndim != 2:
        raise ValueError(f"NDCG {ndcg.shape} and flips {flips.shape} must both be [setting, case]")
    gained, more_flips = _mean_change(ndcg, plain), _mean_change(flips, plain)
    worth = [
        (more_flips[row], -gained[row], row)
        for row in range(len(ndcg))
        if row != plain and gained[row] >= 0 and more_flips[row] < 0
    ]
    return min(worth)[2] if worth else None


def _mean_change(table: Array, plain: int) -> Array:
    """Mean over cases of each row less the plain row, [setting]; nan without a case where both are numbers."""
    change = table - table[plain]
    finite = np.isfinite(change)
    total = np.where(finite, change, 0.0).sum(axis=1)
    count = finite.sum(axis=1)
    mean: Array = np.divide(total, count, out=np.full(len(table), np.nan), where=count > 0)
    return mean.round(DIGITS)
