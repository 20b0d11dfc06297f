"""Other users who liked the same items before a case's moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.data.dataset import Dataset
from core.data.duck import first_row
from core.data.likes import Ints, Likes
from core.data.records import Case, Demonstration, Strategy

SHRINKAGE = 20.0
"""Added to the weight of all that a neighbour likes, so that a few likes in common say little."""
VOTERS, LATEST = 150, 20
"""How many neighbours vote for items, each for so many of its newest likes (chosen by how often the item that was
liked next is among the first 8, on validation lists of four data sets)."""
CHUNK = 256
"""Users whose similarity is computed at a time, those with the highest bound first."""

LikeWeights = NDArray[np.float64]


@dataclass(frozen=True)
class Neighbour:
    """Another user with likes in common, at a case's moment."""

    user_id: str
    similarity: float
    common: int
    """Likes in common."""
    fresh: tuple[int, ...]
    """Places in `Likes` of what the case's user has not met, newest first."""


def neighbours(dataset: Dataset, case: Case, *, count: int, each: int = 1) -> list[Neighbour]:
    """At most `count` other users, nearest first, with their `each` newest likes that the case's user has not met.

    Similarity is the weight of the likes in common over the square root of the weight of all the neighbour's likes plus
    `SHRINKAGE`; a like weighs log(1 + users / (1 + likes of the item)). All counts are of likes strictly before the
    case's moment (without timestamps: at lower positions). Users without a like in common or without anything new are
    none; equal similarities keep the order of the users. The candidates and the target are never read.
    """
    nearest, common = _nearest_to(dataset, case, count, each)
    names = _names(dataset, [user for user, _, _ in nearest])
    return [Neighbour(names[user], value, int(common[user]), fresh) for user, value, fresh in nearest]


def neighbour_demonstrations(
    dataset: Dataset, case: Case, *, count: int, each: int, history: int, source: Strategy
) -> list[Demonstration]:
    """Demonstrations of the `neighbours`, nearest first and the newest like first, behind the likes before it."""
    return [
        _demonstration(dataset, near.user_id, place, history, source)
        for near in neighbours(dataset, case, count=count, each=each)
        for place in near.fresh
    ]


def co_like_demonstrations(
    dataset: Dataset, case: Case, *, count: int, history: int, source: Strategy
) -> list[Demonstration]:
    """At most `count` items that neighbours like most, each as the newest like of the nearest neighbour who likes it.

    Each of the `VOTERS` nearest neighbours votes with its similarity for the `LATEST` newest of its likes that the
    case's user has not met. The item with most votes comes first; equal votes keep the order of the items.
    """
    voters, _ = _nearest_to(dataset, case, VOTERS, LATEST)
    votes: dict[int, float] = {}
    nearest: dict[int, tuple[int, int]] = {}
    for user, similarity, fresh in voters:
        for place, item in zip(fresh, dataset.likes.item[list(fresh)].tolist(), strict=True):
            votes[item] = votes.get(item, 0.0) + similarity
            nearest.setdefault(item, (user, place))
    best = sorted(votes, key=lambda item: (-votes[item], item))[:count]
    names = _names(dataset, [nearest[item][0] for item in best])
    places = ((names[nearest[item][0]], nearest[item][1]) for item in best)
    return [_demonstration(dataset, name, place, history, source) for name, place in places]


def _demonstration(dataset: Dataset, user_id: str, place: int, history: int, source: Strategy) -> Demonstration:
    likes, ids = dataset.likes, dataset.catalogue.ids
    user = int(np.searchsorted(likes.user_start, place, side="right")) - 1
    first = max(int(likes.user_start[user]), place - history)
    position = int(likes.position[place])
    return Demonstration(
        demo_id=f"{user_id}:{position}",
        user_id=user_id,
        position=position,
        history=tuple(ids[item] for item in likes.item[first:place]),
        item_id=ids[likes.item[place]],
        liked=True,
        source=source,
    )


_Near = tuple[int, float, tuple[int, ...]]
"""User, similarity, and places of fresh likes."""


def _nearest_to(dataset: Dataset, case: Case, count: int, each: int) -> tuple[list[_Near], Ints]:
    """The nearest, and the likes in common with every user, [user]."""
    likes = dataset.likes
    bound = likes.bound(case.moment, len(case.history))
    liked = _items(dataset, [row.item_id for row in case.history if dataset.liked(row)])
    if not len(liked) or count < 1:
        return [], np.zeros(likes.users, dtype=np.int64)
    weight, common = _in_common(likes, liked, _place(dataset, case.user_id), bound)
    met = np.zeros(dataset.size["items"], dtype=bool)
    met[_items(dataset, [row.item_id for row in case.history])] = True
    return _nearest(likes, weight, met, bound, count, each), common


def rarity(users: int, likes: Ints) -> LikeWeights:
    """Weight of a like in common, log(1 + users / (1 + likes of the item)); shape as `likes`."""
    return np.asarray(np.log1p(users / (1.0 + likes)), dtype=np.float64)


def _in_common(likes: Likes, items: Ints, user: int, bound: int) -> tuple[LikeWeights, Ints]:
    """Weight and number of the likes that each user has in common with the items, [user]; 0 for `user`."""
    counts = likes.counts(items, bound)
    starts = likes.item_start[items]
    lovers = [likes.user[start : start + size] for start, size in zip(starts, counts, strict=True)]
    users = np.concatenate(lovers)
    weights = np.repeat(rarity(likes.users_before(bound), counts), counts)
    weight = np.bincount(users, weights=weights, minlength=likes.users).astype(np.float64)
    common = np.bincount(users, minlength=likes.users).astype(np.int64)
    weight[user] = common[user] = 0
    return weight, common


def _nearest(
    likes: Likes, weight: LikeWeights, met: NDArray[np.bool_], bound: int, count: int, each: int
) -> list[_Near]:
    """User, similarity and fresh likes of the nearest, exactly: a neighbour's likes weigh at least those in common."""
    users = np.flatnonzero(weight)
    highest = weight[users] / np.sqrt(weight[users] + SHRINKAGE)
    order = np.lexsort((users, -highest))
    users, highest = users[order], highest[order]
    nearest: list[_Near] = []
    for first in range(0, len(users), CHUNK):
        if len(nearest) >= count and nearest[count - 1][1] > highest[first]:
            break
        nearest += _measured(likes, users[first : first + CHUNK], weight, met, bound, each)
        nearest = sorted(nearest, key=lambda row: (-row[1], row[0]))[:count]
    return nearest


def _measured(
    likes: Likes, users: Ints, weight: LikeWeights, met: NDArray[np.bool_], bound: int, each: int
) -> list[_Near]:
    """Those of these users who like something new, with their similarity."""
    starts, stops = likes.user_start[users], likes.user_start[users + 1]
    sizes = stops - starts
    owner = np.repeat(np.arange(len(users)), sizes)
    places = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes) + starts[owner]
    early = likes.rank[places] < bound
    owner, places = owner[early], places[early]
    items, columns = np.unique(likes.item[places], return_inverse=True)
    rarities = rarity(likes.users_before(bound), likes.counts(items.astype(np.int64), bound))
    total = np.bincount(owner, weights=rarities[columns], minlength=len(users))
    similarity = weight[users] / np.sqrt(total + SHRINKAGE)
    fresh = ~met[likes.item[places]]
    owner, places = owner[fresh], places[fresh]
    ends = np.searchsorted(owner, np.arange(len(users)), side="right")
    begins = np.searchsorted(owner, np.arange(len(users)), side="left")
    return [
        (
            int(user),
            float(similarity[row]),
            tuple(places[max(begins[row], ends[row] - each) : ends[row]][::-1].tolist()),
        )
        for row, user in enumerate(users)
        if ends[row] > begins[row]
    ]


def _items(dataset: Dataset, item_ids: Sequence[str]) -> Ints:
    """Places of items, each once, rising."""
    places = dataset.catalogue.places
    return np.array(sorted({places[item_id] for item_id in item_ids}), dtype=np.int64)


def _place(dataset: Dataset, user_id: str) -> int:
    (place,) = first_row(dataset.cursor(), "SELECT place FROM users WHERE user_id = $user", {"user": user_id})
    return int(place)


def _names(dataset: Dataset, users: Sequence[int]) -> dict[int, str]:
    query = "SELECT place, user_id FROM users WHERE place IN (SELECT unnest($places))"
    return dict(dataset.cursor().execute(query, {"places": list(users)}).fetchall()) if users else {}
