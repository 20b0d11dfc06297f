"""How well do scores tell what was liked from what was not, over all answers and within each user?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Measure = Literal["auc", "uauc"]
Floats = NDArray[np.float64]

DRAWS = 1_000
"""Bootstrap samples of the users."""
LEVEL = 0.95
"""Share of the bootstrap samples inside an interval."""
CELLS = 4_000_000
"""Most numbers [draw, row] held at once while resampling."""


def auc(scores: ArrayLike, liked: ArrayLike) -> float:
    """Chance that a liked row scores above one not liked, ties counting half; nan when one of the two is missing.

    `scores` and `liked` have shape (rows,). This is the area under the ROC curve, the Mann-Whitney statistic over
    the number of pairs (Hanley and McNeil 1982). Raises `ValueError` for unequal lengths and a score that is nan.
    """
    given, answers = _checked(scores, liked)
    positives = int(answers.sum())
    pairs = positives * (len(answers) - positives)
    if pairs == 0:
        return math.nan
    return float((stats.rankdata(given)[answers].sum() - positives * (positives + 1) / 2) / pairs)


def uauc(scores: ArrayLike, liked: ArrayLike, users: Sequence[str]) -> tuple[float, int]:
    """Mean over users of each user's own `auc`, and how many users have both answers; nan and 0 when none has.

    Every such user weighs the same. Shapes (rows,); raises `ValueError` as `auc` does.
    """
    given, answers = _checked(scores, liked)
    each = _of_each_user(given, answers, _numbered(users, len(given)))
    valid = np.isfinite(each)
    return (float(each[valid].mean()), int(valid.sum())) if valid.any() else (math.nan, 0)


class Interval(NamedTuple):
    """A figure and the ends of its bootstrap interval; the ends are nan where too few samples have a value."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Resampled:
    """One measure of several systems on the same rows and on the same bootstrap samples of the users."""

    values: Mapping[str, float]
    """On all rows, by system."""
    draws: Mapping[str, Floats]
    """(draws,) by system; nan where a sample has one answer only."""

    def interval(self, name: str, *, level: float = LEVEL) -> Interval:
        """The system's figure with its percentile interval (Efron and Tibshirani 1993, chapter 13)."""
        return self.combination({name: 1.0}, level=level)

    def difference(self, first: str, second: str, *, level: float = LEVEL) -> Interval:
        """First minus second, paired: both are taken from the same samples of users."""
        return self.combination({first: 1.0, second: -1.0}, level=level)

    def combination(self, weights: Mapping[str, float], *, level: float = LEVEL) -> Interval:
        """The weighted sum of systems, paired, such as a difference of two differences."""
        value = sum(weight * self.values[name] for name, weight in weights.items())
        drawn = np.sum([weight * self.draws[name] for name, weight in weights.items()], axis=0)
        return Interval(float(value), *_ends(drawn, level))


def over_users(
    scores: Mapping[str, ArrayLike],
    liked: ArrayLike,
    users: Sequence[str],
    *,
    measure: Measure = "auc",
    draws: int = DRAWS,
    seed: int = 0,
) -> Resampled:
    """The measure of every system, and on `draws` bootstrap samples that draw whole users with all their rows.

    `scores` holds (rows,) by the system's name; `liked` and `users` have shape (rows,). All systems meet the same
    samples, so differences are paired. Equal users and seed give equal samples, for `auc` and `uauc` alike.
    Raises `ValueError` as `auc` does.
    """
    number = _numbered(users, len(np.asarray(liked)))
    people = int(number.max(initial=-1)) + 1
    systems = {name: _System(*_checked(given, liked), number) for name, given in scores.items()}
    values = {
        name: auc(system.scores, system.liked) if measure == "auc" else uauc(system.scores, system.liked, users)[0]
        for name, system in systems.items()
    }
    parts: dict[str, list[Floats]] = {name: [] for name in systems}
    random = np.random.default_rng(seed)
    for size in _portions(draws if people > 1 else 0, len(number)):
        times = random.multinomial(people, np.full(people, 1 / people), size=size).astype(np.float64)
        for name, system in systems.items():
            parts[name].append(system.drawn_auc(times) if measure == "auc" else system.drawn_uauc(times))
    return Resampled(values, {name: np.concatenate([np.empty(0), *drawn]) for name, drawn in parts.items()})


class _System:
    """One system's scores, made ready for many resamples: rows by rising score, users with both answers."""

    def __init__(self, scores: Floats, liked: NDArray[np.bool_], number: NDArray[np.int64]) -> None:
        self.scores, self.liked = scores, liked
        order = np.argsort(scores, kind="stable")
        rising = scores[order]
        first = np.concatenate([[True], rising[1:] != rising[:-1]]) if len(rising) else np.empty(0, bool)
        self._starts = np.flatnonzero(first)
        """Where each group of equal scores begins."""
        self._user, self._answer = number[order], liked[order]
        self._each = _of_each_user(scores, liked, number)

    def drawn_auc(self, times: Floats) -> Floats:
        """AUC when user u counts `times[draw, u]` times; shape (draws,)."""
        rows = times[:, self._user]
        liked = np.add.reduceat(rows * self._answer, self._starts, axis=1)
        other = np.add.reduceat(rows * ~self._answer, self._starts, axis=1)
        won = (liked * (np.cumsum(other, axis=1) - other / 2)).sum(axis=1)
        return _ratio(won, liked.sum(axis=1) * other.sum(axis=1))

    def drawn_uauc(self, times: Floats) -> Floats:
        """Mean AUC of the users with both answers, weighted by how often each was drawn; shape (draws,)."""
        valid = np.isfinite(self._each)
        return _ratio(times[:, valid] @ self._each[valid], times[:, valid].sum(axis=1))


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.asarray(np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0), dtype=np.float64)


def _ends(drawn: Floats, level: float) -> tuple[float, float]:
    found = drawn[np.isfinite(drawn)]
    if len(found) == 0 or len(found) < len(drawn) / 2:
        return math.nan, math.nan
    tail = (1 - level) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(low), float(high)


def _portions(draws: int, rows: int) -> list[int]:
    """Sizes of the portions in which `draws` samples are taken, so that [draw, row] stays below `CELLS`."""
    most = max(1, CELLS // max(1, rows))
    return [min(most, draws - start) for start in range(0, draws, most)]


def _of_each_user(scores: Floats, liked: NDArray[np.bool_], number: NDArray[np.int64]) -> Floats:
    """`auc` of each user, nan with one answer only; shape (users,)."""
    order = np.argsort(number, kind="stable")
    rows = np.split(order, np.flatnonzero(np.diff(number[order])) + 1) if len(order) else []
    return np.array([auc(scores[own], liked[own]) for own in rows], dtype=np.float64)


def _numbered(users: Sequence[str], rows: int) -> NDArray[np.int64]:
    """Users as numbers from 0, by first appearance; shape (rows,)."""
    if len(users) != rows:
        raise ValueError(f"{len(users)} users for {rows} rows")
    places: dict[str, int] = {}
    return np.array([places.setdefault(user, len(places)) for user in users], dtype=np.int64)


def _checked(scores: ArrayLike, liked: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    given, answers = np.asarray(scores, dtype=np.float64), np.asarray(liked, dtype=bool)
    if given.shape != answers.shape or given.ndim != 1:
        raise ValueError(f"{given.shape} scores for {answers.shape} answers")
    if np.isnan(given).any():
        raise ValueError(f"score {int(np.flatnonzero(np.isnan(given))[0])} is nan")
    return given, answers
