"""What weight should popularity have beside a model's scores?

The choice of an item among the candidates of a list is modelled as a conditional logit (McFadden 1974) of two numbers a
candidate: the model's score s and log popularity p. With utilities a s + b p the same order has the score s + w p,
w = b / a.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from core.metrics.intervals import Floats
from core.metrics.ranking import expected_ndcg
from core.seeds import generator

MOST = 100.0
"""Largest weight: beyond it a list is ordered by popularity, and where the model's scores only mislead."""
RIDGE = 1.0
"""Penalty on the squares of the two coefficients, in standard deviations within lists: less than one list weighs."""
DIGITS = 2
"""Decimals of a fitted weight."""
FOLDS = 5


@dataclass(frozen=True)
class BlendLists:
    """Lists with the numbers that are blended; lists may differ in length."""

    scores: tuple[Floats, ...]
    """[list][candidate], of the model, nats."""
    popularity: tuple[Floats, ...]
    """[list][candidate], log(1 + likes before the list's moment)."""
    targets: tuple[int, ...]
    """[list]: the candidate really chosen."""
    users: tuple[str, ...]
    """[list]"""

    def __len__(self) -> int:
        return len(self.targets)

    def ndcg(self, weights: float | Floats) -> Floats:
        """NDCG@10 of each list under one weight, or under a weight each [list]; shape (lists,)."""
        each = np.broadcast_to(weights, len(self))
        blended = (s + w * p for s, p, w in zip(self.scores, self.popularity, each, strict=True))
        return self._ndcg(list(blended))

    def ndcg_of_popularity(self) -> Floats:
        """NDCG@10 of each list by popularity alone; shape (lists,)."""
        return self._ndcg(self.popularity)

    def part(self, rows: Sequence[int]) -> BlendLists:
        """Some of the lists."""
        names = ("scores", "popularity", "targets", "users")
        return BlendLists(*(tuple(getattr(self, name)[row] for row in rows) for name in names))

    def _ndcg(self, scores: Sequence[Floats]) -> Floats:
        return np.array([expected_ndcg(row, at) for row, at in zip(scores, self.targets, strict=True)])


def fitted_weight(lists: BlendLists) -> float:
    """The weight of popularity that makes the real choices most likely, 0 to `MOST`, rounded to `DIGITS` decimals.

    0 where popularity has no positive part in it, `MOST` where the model's score has none.
    """
    parts = [_centred(lists.scores), _centred(lists.popularity)]
    spreads = [float(np.sqrt(np.mean(np.concatenate(part) ** 2))) for part in parts]
    columns = [
        np.stack([s / (spreads[0] or 1.0), p / (spreads[1] or 1.0)], axis=1) for s, p in zip(*parts, strict=True)
    ]
    score, popularity = _coefficients(columns, lists.targets)
    if popularity <= 0 or not spreads[1]:
        return 0.0
    if score <= 0 or not spreads[0]:
        return MOST
    return round(min(popularity / spreads[1] / (score / spreads[0]), MOST), DIGITS)


def _centred(rows: Sequence[Floats]) -> list[Floats]:
    return [row - row.mean() for row in rows]


def _coefficients(columns: Sequence[Floats], targets: Sequence[int]) -> tuple[float, float]:
    """Coefficients of the penalised conditional logit over `columns` [list][candidate, number]; a convex problem."""

    def loss(coefficients: Floats) -> tuple[float, Floats]:
        value, slope = RIDGE / 2 * float(coefficients @ coefficients), RIDGE * coefficients
        for table, target in zip(columns, targets, strict=True):
            utility = table @ coefficients
            shares = np.exp(utility - utility.max())
            value += float(np.log(shares.sum()) + utility.max() - utility[target])
            slope = slope + (shares / shares.sum()) @ table - table[target]
        return value, slope

    best = minimize(loss, np.zeros(2), jac=True, method="BFGS").x
    return float(best[0]), float(best[1])


def cross_fitted(lists: BlendLists, *, seed: int) -> Floats:
    """For each list the weight fitted on lists of other users, [list]; users are parted into `FOLDS` groups."""
    users = sorted(set(lists.users))
    order = generator("blend folds", len(users), seed).permutation(len(users))
    fold = {user: int(place) % FOLDS for user, place in zip(users, order, strict=True)}
    weights = np.zeros(len(lists))
    for number in range(FOLDS):
        inside = [row for row, user in enumerate(lists.users) if fold[user] == number]
        others = [row for row, user in enumerate(lists.users) if fold[user] != number]
        if inside and others:
            weights[inside] = fitted_weight(lists.part(others))
    return weights
