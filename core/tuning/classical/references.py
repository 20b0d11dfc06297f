"""Recommenders without a language model, and the two plainest of them: item mean and popularity.

Each reference sees the interactions of one training window and nothing later. Two more stand beside this file:
`core.tuning.classical.factorisation` (matrix factorisation) and `core.tuning.classical.sasrec`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.data.dataset import Dataset
from core.errors import RequestError
from core.tuning.examples import Window

PRIOR = 5.0
"""Answers at the global mean that are added to the answers of every item (`item_mean`)."""
LATEST = 0.1
"""Share of the training window, its latest, on which `TrainingRows.recent` validates choices."""
_NUMBERS = ("user_place", "item_place", "answer", "moment")


class Reference(Protocol):
    """A recommender fitted on one window."""

    @property
    def name(self) -> str:
        """What it is called in a table."""
        ...

    @property
    def needs(self) -> str:
        """What it was fitted on, and with which choices, in words."""
        ...

    def scores(self, user_id: str, history: Sequence[str], item_ids: Sequence[str]) -> NDArray[np.float64]:
        """One finite number per item, higher is better; shape (items,).

        `history` holds the item ids that the user met (liked, where there are ratings) so far, oldest first; only
        SASRec reads it. Users and items outside the window are allowed everywhere.
        """
        ...


@dataclass(frozen=True)
class TrainingRows:
    """The interactions of a window as numbers, by user and position; all arrays have shape (rows,)."""

    users: tuple[str, ...]
    """User ids, by number."""
    items: tuple[str, ...]
    """Item ids, by number."""
    user: NDArray[np.int64]
    item: NDArray[np.int64]
    liked: NDArray[np.bool_]
    """Whether the rating reaches the data set's threshold; all true without ratings."""
    timestamp: NDArray[np.float64]
    """nan without timestamps."""

    @cached_property
    def item_places(self) -> dict[str, int]:
        """Number of each item id."""
        return {item: place for place, item in enumerate(self.items)}

    @cached_property
    def user_places(self) -> dict[str, int]:
        """Number of each user id."""
        return {user: place for place, user in enumerate(self.users)}

    @cached_property
    def recent(self) -> NDArray[np.bool_]:
        """The rows on which choices are validated: the latest tenth in time, ties together.

        Without timestamps the latest tenth of every user's own rows, for users with ten or more.
        """
        if not np.isnan(self.timestamp).any():
            return self.timestamp >= np.quantile(self.timestamp, 1 - LATEST, method="higher")
        counts = np.bincount(self.user, minlength=len(self.users))
        place = np.arange(len(self.user)) - (np.cumsum(counts) - counts)[self.user]
        return place >= (1 - LATEST) * counts[self.user]


def training_rows(dataset: Dataset, window: Window, *, rated: bool = False) -> TrainingRows:
    """All interactions of the window, or with `rated` those with a rating; ids are numbered in the order of their text.

    In data without ratings `rated` leaves nothing out.
    Raises `RequestError` when nothing lies in the window, or it has ends and the data have no timestamps.
    """
    if not dataset.has_time and not window.is_open:
        raise RequestError(
            f"the data set {dataset.name} has no timestamps to cut at", expected="a training window without ends"
        )
    rating = "rating IS NOT NULL" if rated and dataset.has_ratings else "true"
    liked = "coalesce(rating >= $threshold, false)" if dataset.has_ratings else "$threshold IS NOT NULL"
    query = (
        "SELECT user_id, item_id, (dense_rank() OVER (ORDER BY user_id) - 1)::BIGINT AS user_place,"
        f" (dense_rank() OVER (ORDER BY item_id) - 1)::BIGINT AS item_place, {liked} AS answer,"
        " coalesce(timestamp, 'nan'::DOUBLE) AS moment FROM interactions"
        f" WHERE {rating} AND {window.condition} ORDER BY user_place, position"
    )
    parameters = {"threshold": dataset.like_threshold, **window.parameters}
    table = dataset.cursor().sql(query, params=parameters).to_arrow_table()
    if table.num_rows == 0:
        raise RequestError("no interaction lies in the training window", expected="a window with interactions")
    user, item, answer, moment = (table.column(name).to_numpy() for name in _NUMBERS)
    return TrainingRows(
        users=_named(table.column("user_id"), user),
        items=_named(table.column("item_id"), item),
        user=user.astype(np.int64),
        item=item.astype(np.int64),
        liked=answer.astype(bool),
        timestamp=moment.astype(np.float64),
    )


def both_answers(dataset: Dataset, rows: TrainingRows, what: str) -> None:
    """Pass when the window holds likes and dislikes; else `RequestError`: `what` cannot learn from one answer."""
    if not dataset.has_ratings:
        raise RequestError(
            f"the data set {dataset.name} has no ratings, or only equal ones, so nothing is known to be disliked",
            expected=f"ratings for {what}; popularity and SASRec need none",
        )
    if rows.liked.all() or not rows.liked.any():
        only = "likes" if rows.liked.all() else "dislikes"
        raise RequestError(f"the training window holds only {only}", expected=f"both answers for {what}")


def best_number(values: Iterable[float], patience: int) -> tuple[int, float]:
    """Number, from 1, of the highest value before `patience` values in a row are no higher, and that value."""
    best, reached = 1, -1.0
    for number, value in enumerate(values, start=1):
        if value > reached:
            best, reached = number, value
        elif number - best >= patience:
            break
    return best, reached


@dataclass(frozen=True)
class ByItem:
    """A reference that knows one number per item."""

    name: str
    needs: str
    values: dict[str, float]
    otherwise: float
    """For an item outside the window."""

    def scores(self, user_id: str, history: Sequence[str], item_ids: Sequence[str]) -> NDArray[np.float64]:  # noqa: ARG002
        """The item's number, whoever asks; shape (items,)."""
        return np.array([self.values.get(item, self.otherwise) for item in item_ids], dtype=np.float64)


def item_mean(dataset: Dataset, window: Window) -> ByItem:
    """The share of likes among the item's answers, drawn to the global share by `PRIOR` answers; 0 to 1.

    An unknown item has the global share. Raises `RequestError` for data without ratings, a window with one answer
    only, and as `seen` does.
    """
    rows = training_rows(dataset, window, rated=True)
    both_answers(dataset, rows, "the item mean")
    overall = float(rows.liked.mean())
    count = np.bincount(rows.item, minlength=len(rows.items))
    likes = np.bincount(rows.item, weights=rows.liked, minlength=len(rows.items))
    means = (likes + PRIOR * overall) / (count + PRIOR)
    needs = f"likes and dislikes of {len(rows.liked):,} training interactions; prior of {PRIOR:g} answers per item"
    return ByItem("item mean", needs, dict(zip(rows.items, means.tolist(), strict=True)), overall)


def popularity(dataset: Dataset, window: Window) -> ByItem:
    """How many interactions of the window met the item, whatever the answer; 0 for an unknown one.

    Raises `RequestError` as `seen` does.
    """
    rows = training_rows(dataset, window)
    count = np.bincount(rows.item, minlength=len(rows.items))
    needs = f"who met what in {len(rows.liked):,} training interactions; no answers"
    return ByItem("popularity", needs, dict(zip(rows.items, count.astype(float).tolist(), strict=True)), 0.0)


def _named(ids: Any, numbers: NDArray[np.int64]) -> tuple[str, ...]:
    """The id behind each number 0, 1, …; `ids` is an Arrow column beside the numbers."""
    _, first = np.unique(numbers, return_index=True)
    return tuple(ids.take(first).to_pylist())
