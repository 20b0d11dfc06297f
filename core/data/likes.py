"""The likes of a data set by user and by item, in order of time: an index on disk that is cut at any moment.

It is built once for each data set and read through memory maps, so a case touches only the likes it needs.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol

import duckdb
import numpy as np
from numpy.typing import NDArray

from core.errors import MaterialError
from core.store.home import PRIVATE_FILE, PRIVATE_FOLDER, put_folder, room, stored, workplace, write_atomically
from core.store.lock import alone
from core.store.sealed import content_hash, sealed, unsealed

FORMAT = "likes-1"
"""Changes whenever the index is built in another way."""
_FACTS = "facts.json"

Ints = NDArray[np.int64]


class LikeSource(Protocol):
    """The data set that an index is built of."""

    dataset_id: str
    size: dict[str, int]
    has_ratings: bool
    like_threshold: float
    has_time: bool

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A cursor on the views `interactions`, `items` and `users`."""
        ...


@dataclass(frozen=True)
class Likes:
    """All liked interactions twice: by user in order of time, and by item in order of time.

    Users and items are their places in the data set's own order. Time is the rank of the timestamp among all
    timestamps of likes; in data without timestamps it is the position in the user's history.
    """

    clock: NDArray[np.float64]
    """Timestamp of each rank, rising; positions where there are no timestamps."""
    user_start: Ints
    """[user + 1]: where each user's likes begin in the three arrays that follow."""
    item: NDArray[np.int32]
    position: NDArray[np.int32]
    rank: NDArray[np.int32]
    item_start: Ints
    """[item + 1]: where each item's likes begin in the two arrays that follow."""
    user: NDArray[np.int32]
    key: Ints
    """Item times the number of ranks, plus rank: rising over the whole array."""
    first: NDArray[np.int32]
    """Rank of each user's first like, rising; users without likes are not in it."""

    @property
    def users(self) -> int:
        """Number of users."""
        return len(self.user_start) - 1

    def bound(self, moment: float | None, positions: int) -> int:
        """The rank below which a like lies strictly before the moment, or below `positions` without timestamps."""
        return int(np.searchsorted(self.clock, float(positions) if moment is None else moment, side="left"))

    def counts(self, items: Ints, bound: int) -> Ints:
        """Likes of each of these items below the bound; shape as `items`."""
        ends = np.searchsorted(self.key, items * len(self.clock) + bound, side="left")
        return np.asarray(ends - self.item_start[items])

    def users_before(self, bound: int) -> int:
        """Users with a like below the bound."""
        return int(np.searchsorted(self.first, bound, side="left"))

    def of_user(self, user: int, bound: int) -> slice:
        """The places of a user's likes below the bound, oldest first."""
        start, stop = int(self.user_start[user]), int(self.user_start[user + 1])
        return slice(start, start + int(np.searchsorted(self.rank[start:stop], bound, side="left")))


ARRAYS = tuple(field.name for field in fields(Likes))


def likes_of(dataset: LikeSource) -> Likes:
    """The index of a data set, built and stored in the home if it is missing there or damaged.

    In a home that cannot be written it is built in memory.
    """
    try:
        folder = room("likes") / dataset.dataset_id
        stored_before = _read(folder)
        if stored_before is not None:
            return stored_before
        with alone(f"likes-{dataset.dataset_id}", "the same index of likes"):
            if _read(folder) is None:  # Another process may have built it while this one waited.
                _write(_built(dataset), folder)
        return _read(folder) or _built(dataset)
    except MaterialError:
        return _built(dataset)


def _read(folder: Path) -> Likes | None:
    facts = unsealed(folder / _FACTS)
    try:
        if facts is None or facts["format"] != FORMAT:
            return None
        paths = {name: folder / f"{name}.npy" for name in ARRAYS}
        if any(content_hash(path) != facts["hashes"][name] for name, path in paths.items()):
            return None
        arrays = {name: np.load(path, mmap_mode="r", allow_pickle=False) for name, path in paths.items()}
    except (OSError, KeyError, TypeError, ValueError):
        return None
    return Likes(**arrays)


def _write(likes: Likes, folder: Path) -> None:
    with workplace() as scratch, stored("the index of likes"):
        part = scratch / folder.name
        part.mkdir(mode=PRIVATE_FOLDER)
        for name in ARRAYS:
            path = part / f"{name}.npy"
            np.save(path, getattr(likes, name), allow_pickle=False)
            path.chmod(PRIVATE_FILE)
        hashes = {name: content_hash(part / f"{name}.npy") for name in ARRAYS}
        write_atomically(part / _FACTS, sealed({"format": FORMAT, "hashes": hashes}))
        put_folder(part, folder)


def _built(dataset: LikeSource) -> Likes:
    liked = f"rating >= {dataset.like_threshold!r}" if dataset.has_ratings else "true"
    time = "timestamp" if dataset.has_time else "position::DOUBLE"
    columns = (
        dataset.cursor()
        .execute(
            f"SELECT users.place AS user, items.place AS item, position, {time} AS time FROM interactions"
            f" JOIN users USING (user_id) JOIN items USING (item_id) WHERE {liked} ORDER BY users.place, position"
        )
        .fetchnumpy()
    )
    user, item = (np.asarray(columns[name], dtype=np.int64) for name in ("user", "item"))
    clock, rank = np.unique(np.asarray(columns["time"], dtype=np.float64), return_inverse=True)
    key = item * max(len(clock), 1) + rank
    by_item = np.lexsort((user, key))
    user_start = _starts(user, dataset.size["users"])
    owners = np.flatnonzero(np.diff(user_start))
    return Likes(
        clock=clock,
        user_start=user_start,
        item=item.astype(np.int32),
        position=np.asarray(columns["position"], dtype=np.int32),
        rank=rank.astype(np.int32),
        item_start=_starts(item, dataset.size["items"]),
        user=user[by_item].astype(np.int32),
        key=key[by_item],
        first=np.sort(rank[user_start[owners]]).astype(np.int32),
    )


def _starts(owners: Ints, count: int) -> Ints:
    return np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=count))]).astype(np.int64)
