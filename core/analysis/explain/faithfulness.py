"""Whether contributions predict what really happens when demonstrations are deleted from the text.

LDS (linear datamodeling score, arXiv 2303.14186; for contexts arXiv 2409.00729): Spearman correlation, over random
subsets, between the sum of the contributions of the kept demonstrations and the score really obtained.
"""

from __future__ import annotations

import numpy as np

from core.analysis.explain.ablation import random_masks
from core.analysis.explain.explanation import Faithfulness
from core.analysis.values import Array, Meter, TargetScore
from core.metrics.intervals import spearman_over_pairs
from core.metrics.ranking import Rank, ranks
from core.seeds import seed_of

KEEP = 0.5


def faithfulness(
    score: TargetScore, values: Array, *, ablations: int, seed: int, free: Array | float = 0.0
) -> Faithfulness:
    """LDS of `values` [demo] over `ablations` random text ablations, and what removing the top demonstration does.

    `free` [candidate] is taken from every score before ranking (calibrated scoring).
    """
    meter = Meter(score.scorer)
    masks = random_masks(score.demos, ablations, seed_of("faithfulness", seed), KEEP)
    measured = score.at(masks)
    predicted = masks @ values
    lds = spearman_over_pairs(predicted, measured, seed=seed)
    top, drop, rank = _without_top(score, values, free)
    spent = meter.read()
    return Faithfulness(
        lds=number(lds.value),
        low=number(lds.low),
        high=number(lds.high),
        ablations=ablations,
        keep_probability=KEEP,
        top_demo=top,
        top_drop=drop,
        top_rank_after=rank,
        forwards=spent.forwards,
        seconds=spent.seconds,
    )


def _without_top(
    score: TargetScore, values: Array, free: Array | float
) -> tuple[int | None, float | None, Rank | None]:
    if not (values > 0).any():
        return None, None, None
    top = int(values.argmax())
    mask = np.arange(score.demos) != top
    scores = score.scorer.subsets(mask[None])[0]
    score.remember(mask, scores)
    return top, score.full - float(score.at(mask[None])[0]), ranks(scores - free)[score.target]


def number(value: float) -> float | None:
    """The value, or None in place of nan: JSON has no such number."""
    return float(value) if np.isfinite(value) else None
