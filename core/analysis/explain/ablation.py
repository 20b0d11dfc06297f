"""Contributions from prompts with demonstrations left out: leave-one-out, Shapley, regression."""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.linear_model import Lasso
from sklearn.preprocessing import StandardScaler

from core.analysis.values import Array, Masks, Meter, Spent, TargetScore, all_masks, leave_one_out_masks
from core.errors import RequestError
from core.lm.scoring.score import Removal
from core.metrics.intervals import central, resamples

EXACT_SHAPLEY_DEMOS = 8
"""Above this the number of subsets doubles past what a page should start."""

MOST_ORDERS = 1_000
"""Pairs of orders after which sampling ends: with few demonstrations every subset is known long before the budget."""


@dataclass(frozen=True)
class AblationAnswer:
    """Contributions [demo] in nats, with 90 % intervals where they come from a sample."""

    values: Array
    spent: Spent
    low: Array | None = None
    high: Array | None = None

    @property
    def fields(self) -> dict[str, object]:
        """What stands in the record of contributions beside values and cost."""
        ends = {"low": self.low, "high": self.high}
        return {name: None if end is None else tuple(end.tolist()) for name, end in ends.items()}


def leave_one_out(score: TargetScore, removal: Removal = "text") -> AblationAnswer:
    """c_k = s(all) - s(all but k)."""
    meter = Meter(score.scorer)
    values = score.full - score.at(leave_one_out_masks(score.demos), removal)
    return AblationAnswer(values, meter.read())


def shapley(score: TargetScore, removal: Removal = "text") -> AblationAnswer:
    """Exact Shapley values from the 2^K distinct subsets, each scored once.

    Raises `RequestError` above 8 demonstrations.
    """
    demos = score.demos
    if demos > EXACT_SHAPLEY_DEMOS:
        raise RequestError(
            f"exact Shapley values of {demos} demonstrations need {2**demos} prompts",
            expected=f"at most {EXACT_SHAPLEY_DEMOS} demonstrations, or the method shapley_sampling",
            where="method",
        )
    meter = Meter(score.scorer)
    values = shapley_of_table(score.at(all_masks(demos), removal), demos)
    return AblationAnswer(values, meter.read())


def shapley_of_table(scores: Array, demos: int) -> Array:
    """Shapley values [demo] from the scores of all subsets in the order of `all_masks` (Shapley 1953)."""
    masks = all_masks(demos)
    size = masks.sum(axis=1)
    weight = np.array([factorial(s) * factorial(demos - s - 1) / factorial(demos) for s in range(demos)])
    values = np.empty(demos)
    for k in range(demos):
        without = np.flatnonzero(~masks[:, k])
        values[k] = np.sum(weight[size[without]] * (scores[without + (1 << k)] - scores[without]))
    return values


def banzhaf_of_table(scores: Array, demos: int) -> Array:
    """Average effect of each demonstration over all subsets, [demo]: the additive fit with the least squared error."""
    masks = all_masks(demos)
    return np.array([scores[masks[:, k]].mean() - scores[~masks[:, k]].mean() for k in range(demos)])


def shapley_sampling(score: TargetScore, *, budget: float, seed: int) -> AblationAnswer:
    """Shapley values from random orders taken forwards and backwards (antithetic), until `budget` passes are used.

    The interval is Student's over pairs of orders (Castro et al. 2009 for the sampling).
    """
    meter, rng = Meter(score.scorer), np.random.default_rng(seed)
    pairs: list[Array] = []
    while len(pairs) < 2 or (meter.read().passes < budget and len(pairs) < MOST_ORDERS):
        order = rng.permutation(score.demos)
        pairs.append((_along(score, order) + _along(score, order[::-1])) / 2)
    table = np.stack(pairs)
    half = stats.t.ppf(0.95, len(pairs) - 1) * table.std(axis=0, ddof=1) / np.sqrt(len(pairs))
    mean = table.mean(axis=0)
    return AblationAnswer(mean, meter.read(), mean - half, mean + half)


def _along(score: TargetScore, order: NDArray[np.int64]) -> Array:
    masks = np.zeros((score.demos + 1, score.demos), dtype=bool)
    for step, k in enumerate(order):
        masks[step + 1 :, k] = True
    steps = np.diff(score.at(masks))
    values = np.empty(score.demos)
    values[order] = steps
    return values


def random_masks(demos: int, count: int, seed: int, keep: float = 0.5) -> Masks:
    """Independent subsets [count, demo], each demonstration kept with probability `keep`."""
    return np.random.default_rng(seed).random((count, demos)) < keep


def regression(score: TargetScore, *, budget: float, seed: int) -> AblationAnswer:
    """Sparse linear surrogate on random ablations, with the published settings of ContextCite (arXiv 2409.00729).

    Keep probability 0.5, standardised masks, Lasso with alpha 0.01; intervals by bootstrap over the ablations. As many
    ablations are made as fit in `budget` passes, at least 8 and at most 256.
    """
    meter = Meter(score.scorer)
    masks = random_masks(score.demos, 256, seed)
    done = 8
    scores = score.at(masks[:done])
    while done < len(masks) and meter.read().passes < budget:
        scores = np.concatenate([scores, score.at(masks[done : done + 4])])
        done += 4
    values = lasso_fit(masks[:done], scores)
    picks = resamples(done, seed=seed + 1, draws=200)
    again = np.stack([lasso_fit(masks[pick], scores[pick]) for pick in picks])
    low, high = central(again, 0.05)
    return AblationAnswer(values, meter.read(), low, high)


def lasso_fit(masks: Masks, scores: Array, alpha: float = 0.01) -> Array:
    """Lasso coefficients [demo] of scores [subset] on standardised masks, in nats per demonstration."""
    scaler = StandardScaler()
    standard = scaler.fit_transform(masks.astype(np.float64))
    model = Lasso(alpha=alpha, random_state=0, max_iter=10_000).fit(standard, scores)
    return np.asarray(model.coef_ / scaler.scale_)
