"""Strategies that pick the demonstrations of a case. A new strategy is a row here, and its name in `Strategy`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from core.data.dataset import Dataset
from core.data.demonstrations import demonstration
from core.data.peers import WINDOW, Peer, peers_before
from core.data.records import Case, Demonstration, Strategy
from core.data.similarity import ItemWords, Scores, bm25, marginal_order, word_likeness
from core.errors import RequestError
from core.seeds import generator

SHORTLIST = 100
"""Most similar users among whom `diverse` chooses."""
RELEVANCE = 0.3
"""Weight of similarity to the case against unlikeness to what is already chosen (lambda of maximal marginal
relevance)."""

InteractionKey = tuple[str, int]
"""User id and position of an interaction."""


@dataclass(frozen=True)
class DemonstrationStrategy:
    """One strategy."""

    name: Strategy
    words: str
    """For the screen, as an answer to which demonstrations are shown."""
    source: str
    """For the screen, of one demonstration."""
    choose: Callable[[Dataset, Case, int], list[InteractionKey]] | None
    """At most so many interactions in prompt order; None where a person names them."""
    shortage: str = "no more other users have any"
    """Why there may be fewer than asked for."""


def pick(dataset: Dataset, case: Case, *, k: int, strategy: Strategy, history: int) -> tuple[Demonstration, ...]:
    """At most `k` demonstrations in prompt order: oldest or least similar first, the most recent or similar last.

    `recent` shows the user's own latest interactions; the others show the latest interaction, one each, of other
    users that has at least one before it: `similar` by BM25 on titles and categories, `diverse` by maximal
    marginal relevance among the `SHORTLIST` most similar, `random` by the case's seed, oldest first. A larger `k`
    keeps what a smaller one picked. `history` is the most liked items shown before each. In data with ratings an
    interaction that has none is never picked: nobody knows whether its answer is Yes or No. Fewer than `k` available
    gives what there is. Raises `RequestError` for strategy `manual`, whose demonstrations `by_ids` names.
    """
    choose = STRATEGIES[strategy].choose
    if choose is None:
        raise RequestError(f"strategy {strategy} picks nothing", expected="demonstration ids")
    places = choose(dataset, case, k) if k > 0 else []
    histories = {user: case.history if user == case.user_id else dataset.history(user) for user, _ in places}
    return tuple(
        demonstration(dataset, user, histories[user], position, history, strategy) for user, position in places
    )


def _recent(dataset: Dataset, case: Case, k: int) -> list[InteractionKey]:
    rated = [(case.user_id, place) for place, met in enumerate(case.history) if dataset.is_rated(met)]
    return rated[-k:]


def _random(dataset: Dataset, case: Case, k: int) -> list[InteractionKey]:
    peers = peers_before(dataset, case)
    random = generator(case.dataset_id, case.user_id, case.split, "demonstrations", case.seed)
    places = sorted(int(place) for place in random.permutation(len(peers))[:k])
    return _keys(sorted((peers[place] for place in places), key=lambda peer: (peer.timestamp or 0.0, peer.position)))


def _similar(dataset: Dataset, case: Case, k: int) -> list[InteractionKey]:
    peers = peers_before(dataset, case)
    scores, _ = _similarities(dataset, case, peers)
    return _keys(peers[place] for place in _best_first(scores)[:k][::-1])


def _diverse(dataset: Dataset, case: Case, k: int) -> list[InteractionKey]:
    peers = peers_before(dataset, case)
    scores, words = _similarities(dataset, case, peers)
    short = _best_first(scores)[:SHORTLIST]
    relevance = scores[short] / max(float(scores.max(initial=0.0)), 1e-12)
    places = marginal_order(relevance, word_likeness([words[place] for place in short]), k, RELEVANCE)
    return _keys(peers[short[place]] for place in sorted(places, reverse=True))  # the shortlist is best first


def _keys(peers: Iterable[Peer]) -> list[InteractionKey]:
    return [(peer.user_id, peer.position) for peer in peers]


def _similarities(dataset: Dataset, case: Case, peers: tuple[Peer, ...]) -> tuple[Scores, list[frozenset[str]]]:
    """BM25 scores of the peers' documents for the case's history, and each peer's words; both [peer]."""
    words = ItemWords(dataset)
    documents = [words(peer.recent) for peer in peers]
    query = words(interaction.item_id for interaction in case.history[-WINDOW:])
    return bm25(documents, query), [frozenset(document) for document in documents]


def _best_first(scores: Scores) -> list[int]:
    return [int(place) for place in np.argsort(-scores, kind="stable")]  # ties: the peers' order, by user id


STRATEGIES: dict[Strategy, DemonstrationStrategy] = {
    strategy.name: strategy
    for strategy in (
        DemonstrationStrategy(
            "recent", "the user's most recent", "most recent", _recent, shortage="this user has no more"
        ),
        DemonstrationStrategy("similar", "most similar histories", "similar history", _similar),
        DemonstrationStrategy("random", "random", "random", _random),
        DemonstrationStrategy("diverse", "similar, but diverse", "diverse", _diverse),
        DemonstrationStrategy("manual", "chosen by hand", "by hand", None),
    )
}
