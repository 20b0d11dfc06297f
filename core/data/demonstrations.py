"""Which in-context demonstrations go with a case?

A demonstration is one interaction with the liked items before it. What may be shown is what was known before the
case: interactions strictly before its moment (ties are out). Data without timestamps have no common clock; there
an interaction of another user may be shown when its position is below the target's, as if all had started together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.data.catalogue import brief
from core.data.dataset import Dataset
from core.data.records import Case, Demonstration, Interaction, Strategy
from core.errors import DataError, RequestError
from core.seeds import generator

WINDOW = 20
"""Latest interactions of a user, whose titles and categories are the user's document."""
POOL = 5_000
"""Most other users considered: those active last before the moment."""
SHORTLIST = 100
"""Most similar users among whom `diverse` chooses."""
RELEVANCE = 0.3
"""Weight of similarity to the case against unlikeness to what is already chosen (lambda of MMR,
Carbonell and Goldstein 1998)."""
_WORD = re.compile(r"\w+")


def pick(dataset: Dataset, case: Case, *, k: int, strategy: Strategy, history: int) -> tuple[Demonstration, ...]:
    """At most `k` demonstrations in prompt order: oldest or least similar first, the most recent or similar last.

    `recent` shows the user's own latest interactions; the others show the latest interaction, one each, of other
    users that has at least one before it: `similar` by BM25 on titles and categories, `diverse` by maximal
    marginal relevance among the `SHORTLIST` most similar, `random` by the case's seed, oldest first. A larger `k`
    keeps what a smaller one picked. `history` is the most liked items shown before each. In data with ratings an
    interaction that has none is never picked: nobody knows whether its answer is Yes or No. Fewer than `k` available
    gives what there is. Raises `RequestError` for strategy `manual`, whose demonstrations `by_ids` names.
    """
    if strategy == "manual":
        raise RequestError("strategy manual picks nothing", expected="demonstration ids")
    if k <= 0:
        return ()
    if strategy == "recent":
        rated = [place for place, met in enumerate(case.history) if dataset.is_rated(met)]
        return tuple(_shown(dataset, case.user_id, case.history, place, history, "recent") for place in rated[-k:])
    pool = demonstration_pool(dataset, case)
    if strategy == "random":
        chosen = _at_random(case, pool, k)
    else:
        order = _by_similarity if strategy == "similar" else _by_diversity
        chosen = order(*_similarities(dataset, case, pool), k)
    return tuple(_of_peer(dataset, pool[place], history, strategy) for place in chosen)


def by_ids(dataset: Dataset, case: Case, ids: Sequence[str], *, history: int) -> tuple[Demonstration, ...]:
    """The demonstrations named `user:position`, with `:yes` or `:no` behind to set the answer, in the given order.

    Raises `RequestError` for an id of another form, a repeated interaction, or one not before the case's moment,
    `DataError` for an unknown user or position.
    """
    seen: set[tuple[str, int]] = set()
    found = []
    for demo_id in ids:
        user, position, answer = _parsed(demo_id)
        if (user, position) in seen:
            raise RequestError(f"demonstration {brief(demo_id)} is given twice", expected="distinct interactions")
        seen.add((user, position))
        found.append(_by_hand(dataset, case, demo_id, user, position, answer, history))
    return tuple(found)


@dataclass(frozen=True)
class Peer:
    """Another user at the case's moment: the latest interaction to show, and the latest items for comparison."""

    user_id: str
    position: int
    timestamp: float | None
    recent: tuple[str, ...]
    """Item ids of at most `WINDOW` latest interactions (rated ones, in data with ratings) before it, oldest first."""


def demonstration_pool(dataset: Dataset, case: Case) -> tuple[Peer, ...]:
    """The other users who can be shown in this case, by user id; at most `POOL`, the latest active."""
    if case.moment is None:
        usable, bound = "position < $bound", float(len(case.history))
    else:
        usable, bound = "timestamp < $bound", case.moment
    usable += " AND rating IS NOT NULL" if dataset.has_ratings else ""
    query = (
        "WITH early AS (SELECT user_id, item_id, position, timestamp, row_number() OVER (PARTITION BY user_id"
        f" ORDER BY position DESC) AS back FROM interactions WHERE user_id <> $user AND {usable}),"
        " active AS (SELECT user_id, position AS shown, timestamp AS shown_at FROM early"
        " WHERE back = 1 AND position > 0 ORDER BY shown_at DESC NULLS LAST, shown DESC, user_id LIMIT $pool)"
        " SELECT user_id, shown, shown_at, list(item_id ORDER BY position) FROM early JOIN active USING (user_id)"
        " WHERE back <= $window GROUP BY ALL ORDER BY user_id"
    )
    parameters = {"user": case.user_id, "bound": bound, "pool": POOL, "window": WINDOW}
    rows = dataset.cursor().execute(query, parameters).fetchall()
    return tuple(Peer(user, shown, at, tuple(items)) for user, shown, at, items in rows)


# ---- strategies: places in the pool, in prompt order


def _at_random(case: Case, pool: tuple[Peer, ...], k: int) -> list[int]:
    random = generator(case.dataset_id, case.user_id, case.split, "demonstrations", case.seed)
    chosen = [int(place) for place in random.permutation(len(pool))[:k]]
    return sorted(chosen, key=lambda place: (pool[place].timestamp or 0.0, pool[place].position, place))


def _by_similarity(_: list[frozenset[str]], scores: NDArray[np.float64], k: int) -> list[int]:
    return _best_first(scores)[:k][::-1]


def _by_diversity(words: list[frozenset[str]], scores: NDArray[np.float64], k: int) -> list[int]:
    short = _best_first(scores)[:SHORTLIST]
    chosen = _marginal(scores[short] / max(float(scores.max(initial=0.0)), 1e-12), [words[place] for place in short], k)
    return [short[place] for place in sorted(chosen, reverse=True)]  # the shortlist is best first


def _marginal(relevance: NDArray[np.float64], words: list[frozenset[str]], k: int) -> list[int]:
    """Greedy maximal marginal relevance: each step takes the best of relevance less likeness to those taken."""
    chosen: list[int] = []
    likeness = np.zeros(len(words))  # to the most alike of those taken
    open_places = np.ones(len(words), dtype=bool)
    for _ in range(min(k, len(words))):
        value = np.where(open_places, RELEVANCE * relevance - (1 - RELEVANCE) * likeness, -np.inf)
        best = int(np.argmax(value))
        chosen.append(best)
        open_places[best] = False
        likeness = np.maximum(likeness, [_jaccard(words[best], other) for other in words])
    return chosen


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    union = len(one | other)
    return len(one & other) / union if union else 1.0


def _best_first(scores: NDArray[np.float64]) -> list[int]:
    return [int(place) for place in np.argsort(-scores, kind="stable")]  # ties: the pool's order, by user id


def _similarities(
    dataset: Dataset, case: Case, pool: tuple[Peer, ...]
) -> tuple[list[frozenset[str]], NDArray[np.float64]]:
    """Words of each peer and BM25 scores of the peers' documents for the case's history; shape (pool,)."""
    words_of: dict[str, list[str]] = {}
    documents = [_document(dataset, peer.recent, words_of) for peer in pool]
    latest = [interaction.item_id for interaction in case.history[-WINDOW:]]
    query = _document(dataset, latest, words_of)
    scores = np.zeros(len(pool))
    vocabulary = set().union(*documents)
    asked = [word for word in query if word in vocabulary]
    if asked:
        import bm25s  # Brings SciPy: only where it is used.

        index = bm25s.BM25(backend="numpy")
        index.index(documents, show_progress=False)
        scores = np.asarray(index.get_scores(asked), dtype=np.float64)
    return [frozenset(document) for document in documents], scores


def _document(dataset: Dataset, item_ids: Iterable[str], words_of: dict[str, list[str]]) -> list[str]:
    words: list[str] = []
    for item_id in item_ids:
        if item_id not in words_of:
            item = dataset.item(item_id)
            words_of[item_id] = _WORD.findall(" ".join((item.title, *item.categories)).casefold())
        words += words_of[item_id]
    return words


# ---- demonstrations


def _of_peer(dataset: Dataset, peer: Peer, history: int, source: Strategy) -> Demonstration:
    return _shown(dataset, peer.user_id, dataset.history(peer.user_id), peer.position, history, source)


def _shown(
    dataset: Dataset, user: str, met: tuple[Interaction, ...], position: int, history: int, source: Strategy
) -> Demonstration:
    shown = met[position]
    liked = [interaction.item_id for interaction in met[:position] if dataset.liked(interaction)]
    return Demonstration(
        demo_id=f"{user}:{position}",
        user_id=user,
        position=position,
        history=tuple(liked[-history:]) if history > 0 else (),
        item_id=shown.item_id,
        liked=dataset.liked(shown),
        source=source,
    )


def _parsed(demo_id: str) -> tuple[str, int, bool | None]:
    """User, position and set answer of a demonstration id, read from the right: a user id may hold colons."""
    rest, colon, last = demo_id.rpartition(":")
    answer = {"yes": True, "no": False}.get(last) if colon else None
    if answer is not None:
        rest, colon, last = rest.rpartition(":")
    if not rest or not re.fullmatch(r"[0-9]{1,9}", last):
        expected = "user:position, user:position:yes or user:position:no"
        raise RequestError(f"demonstration {brief(demo_id)}", expected=expected)
    return rest, int(last), answer


def _by_hand(
    dataset: Dataset, case: Case, demo_id: str, user: str, position: int, answer: bool | None, history: int
) -> Demonstration:
    met = dataset.history(user)
    if position >= len(met):
        expected = f"a position from 0 to {len(met) - 1} for this user"
        raise DataError(f"demonstration {brief(demo_id)} does not exist", expected=expected)
    if not _is_before(case, met[position]):
        expected = "an interaction before the case's moment"
        raise RequestError(f"demonstration {brief(demo_id)} is not yet known to this case", expected=expected)
    if answer is None and not dataset.is_rated(met[position]):
        expected = f"an interaction with a rating, or {user}:{position}:yes or {user}:{position}:no"
        raise RequestError(f"demonstration {brief(demo_id)} has no rating, so its answer is unknown", expected=expected)
    plain = _shown(dataset, user, met, position, history, "manual")
    if answer is None:
        return plain
    return Demonstration(
        demo_id=f"{plain.demo_id}:{'yes' if answer else 'no'}",
        user_id=user,
        position=position,
        history=plain.history,
        item_id=plain.item_id,
        liked=answer,
        source="manual",
    )


def _is_before(case: Case, shown: Interaction) -> bool:
    if case.moment is None or shown.timestamp is None:
        return shown.position < len(case.history)
    return shown.timestamp < case.moment
