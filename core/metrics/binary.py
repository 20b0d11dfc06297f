"""How well scores tell liked from disliked, over all answers and within each user."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from core.metrics.intervals import Floats, Resampled, paired_over_users

AnswerMeasure = Literal["auc", "uauc"]
DRAWS = 1_000
"""Bootstrap samples of the users."""
LEVEL = 0.95
"""Share of the bootstrap samples inside an interval."""


def auc(scores: ArrayLike, liked: ArrayLike) -> float:
    """Chance that a liked row scores above one not liked, ties counting half; nan when one of the two is missing.

    `scores` and `liked` have shape (rows,). This is the area under the ROC curve, the Mann-Whitney statistic over
    the number of pairs (Hanley and McNeil 1982). Raises `ValueError` for unequal lengths and a score that is nan.
    """
    numbers, answers = _checked(scores, liked)
    positives = int(answers.sum())
    pairs = positives * (len(answers) - positives)
    if pairs == 0:
        return math.nan
    return float((stats.rankdata(numbers)[answers].sum() - positives * (positives + 1) / 2) / pairs)


def uauc(scores: ArrayLike, liked: ArrayLike, users: Sequence[str]) -> tuple[float, int]:
    """Mean over users of each user's own `auc`, and how many users have both answers; nan and 0 when none has.

    Every such user weighs the same. Shapes (rows,); raises `ValueError` as `auc` does.
    """
    numbers, answers = _checked(scores, liked)
    each = _of_each_user(numbers, answers, _numbered(users, len(numbers)))
    valid = np.isfinite(each)
    return _mean(each[valid]), int(valid.sum())


def over_users(
    scores: Mapping[str, ArrayLike],
    liked: ArrayLike,
    users: Sequence[str],
    *,
    measure: AnswerMeasure = "auc",
    draws: int = DRAWS,
    seed: int = 0,
) -> Resampled:
    """The measure of every system, also on `draws` bootstrap samples that draw whole users with all their rows.

    `scores` holds (rows,) by the system's name; `liked` and `users` have shape (rows,). All systems meet the same
    samples, so differences are paired. Equal users and seed give equal samples, for `auc` and `uauc` alike.
    Raises `ValueError` as `auc` does.
    """
    number = _numbered(users, len(np.asarray(liked)))
    figure = _Auc if measure == "auc" else _UserAuc
    systems = {name: figure(*_checked(each, liked), number) for name, each in scores.items()}
    people = int(number.max(initial=-1)) + 1
    return paired_over_users(systems, users=people, rows=len(number), draws=draws, seed=seed, level=LEVEL)


class _Auc:
    """One system's AUC, ready for many resamples: rows by rising score."""

    def __init__(self, scores: Floats, liked: NDArray[np.bool_], number: NDArray[np.int64]) -> None:
        self._scores, self._liked = scores, liked
        order = np.argsort(scores, kind="stable")
        rising = scores[order]
        first = np.concatenate([[True], rising[1:] != rising[:-1]]) if len(rising) else np.empty(0, bool)
        self._starts = np.flatnonzero(first)
        """Where each group of equal scores begins."""
        self._user, self._answer = number[order], liked[order]

    def value(self) -> float:
        return auc(self._scores, self._liked)

    def drawn(self, weights: Floats) -> Floats:
        rows = weights[:, self._user]
        liked = np.add.reduceat(rows * self._answer, self._starts, axis=1)
        other = np.add.reduceat(rows * ~self._answer, self._starts, axis=1)
        won = (liked * (np.cumsum(other, axis=1) - other / 2)).sum(axis=1)
        return _ratio(won, liked.sum(axis=1) * other.sum(axis=1))


class _UserAuc:
    """One system's UAUC, ready for many resamples: the AUC of each user."""

    def __init__(self, scores: Floats, liked: NDArray[np.bool_], number: NDArray[np.int64]) -> None:
        self._each = _of_each_user(scores, liked, number)
        self._valid = np.isfinite(self._each)

    def value(self) -> float:
        return _mean(self._each[self._valid])

    def drawn(self, weights: Floats) -> Floats:
        """Users count as often as they are drawn."""
        valid = self._valid
        return _ratio(weights[:, valid] @ self._each[valid], weights[:, valid].sum(axis=1))


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else math.nan


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.asarray(np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0), dtype=np.float64)


def _of_each_user(scores: Floats, liked: NDArray[np.bool_], number: NDArray[np.int64]) -> Floats:
    """`auc` of each user, nan with one answer only; shape (users,)."""
    order = np.argsort(number, kind="stable")
    rows = np.split(order, np.flatnonzero(np.diff(number[order])) + 1) if len(order) else []
    return np.array([auc(scores[part], liked[part]) for part in rows], dtype=np.float64)


def _numbered(users: Sequence[str], rows: int) -> NDArray[np.int64]:
    """Users as numbers from 0, by first appearance; shape (rows,)."""
    if len(users) != rows:
        raise ValueError(f"{len(users)} users for {rows} rows")
    places: dict[str, int] = {}
    return np.array([places.setdefault(user, len(places)) for user in users], dtype=np.int64)


def _checked(scores: ArrayLike, liked: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    numbers, answers = np.asarray(scores, dtype=np.float64), np.asarray(liked, dtype=bool)
    if numbers.shape != answers.shape or numbers.ndim != 1:
        raise ValueError(f"{numbers.shape} scores for {answers.shape} answers")
    if np.isnan(numbers).any():
        raise ValueError(f"score {int(np.flatnonzero(np.isnan(numbers))[0])} is nan")
    return numbers, answers
