"""Strategies that pick the demonstrations of a case. A new strategy is a row here, and its name in `Strategy`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np

from core.data.dataset import Dataset
from core.data.demonstrations import demonstration
from core.data.model_reader import ModelReader, by_gradient, by_meaning
from core.data.neighbours import co_like_demonstrations, neighbour_demonstrations
from core.data.peers import WINDOW, Peer, peers_before
from core.data.records import Case, Demonstration, Order, Strategy
from core.data.similarity import ItemWords, Scores, bm25, marginal_order, word_likeness
from core.errors import RequestError
from core.seeds import generator

SHORTLIST = 100
"""Most similar users among whom `diverse` chooses."""
RELEVANCE = 0.3
"""Weight of similarity to the case against unlikeness to what is already chosen (lambda of maximal marginal
relevance)."""

POOLED = 64
"""Other users by likes in common, and as many by words, among whom `coverage` chooses."""
SEMANTIC_POOL, GRADIENT_POOL = 32, 16
"""The same for the strategies whose pool a model reads."""
CHOICES = 8
"""The user's latest choices whose mean gradient `gradient` looks for."""


@dataclass(frozen=True)
class Picking:
    """What a strategy picks for; nothing in it tells the target from any other item."""

    dataset: Dataset
    case: Case
    history: int
    """Most liked items shown before each demonstration."""
    each: int
    """Most demonstrations of one neighbour."""
    reader: ModelReader | None = None
    """The model, for strategies that need one."""

    def of(self, user: str, position: int, source: Strategy) -> Demonstration:
        """The demonstration of an interaction."""
        met = self.case.history if user == self.case.user_id else self.dataset.history(user)
        return demonstration(self.dataset, user, met, position, self.history, source)


@dataclass(frozen=True)
class DemonstrationStrategy:
    """One strategy."""

    name: Strategy
    words: str
    """For the screen, as an answer to which demonstrations are shown."""
    source: str
    """For the screen, of one demonstration."""
    nearest: str
    """For the screen: which demonstration counts as nearest to the case."""
    before: str
    """For the screen: what must lie before the case's moment to be shown."""
    cost: str
    """For the screen: what picking reads."""
    choose: Callable[[Picking, int], Sequence[Demonstration]] | None
    """At most so many demonstrations, the nearest first; None where a person names them."""
    shortage: str = "no more other users have any"
    """Why there may be fewer than asked for."""
    several: bool = False
    """Whether one neighbour may give several."""
    near: bool = False
    """Whether the other users shown are neighbours: users with likes in common."""
    pooled: bool = False
    """Whether stage one of Improve draws its pool from it."""
    needs_model: bool = False
    """Whether a model picks, so that nothing can be picked before one is loaded."""
    tokens: int = 0
    """About how many tokens the model reads for one case, with 5 titles a history."""


def pick(
    dataset: Dataset,
    case: Case,
    *,
    k: int,
    strategy: Strategy,
    history: int,
    order: Order = "nearest_last",
    each: int = 1,
    reader: ModelReader | None = None,
) -> tuple[Demonstration, ...]:
    """At most `k` demonstrations in prompt order, by default the nearest last; see `STRATEGIES` for each strategy.

    A larger `k` keeps what a smaller one picked. `history` is the most liked items shown before each, `each` the most
    demonstrations of one neighbour. In data with ratings an interaction that has none is never picked: nobody knows
    whether its answer is Yes or No. Only interactions before the case's moment are read; the candidates and the target
    are not. Fewer than `k` available gives what there is. Raises `RequestError` for strategy `manual`, whose
    demonstrations `by_ids` names, and for one that needs a model where there is no `reader`.
    """
    row = STRATEGIES[strategy]
    if row.choose is None:
        raise RequestError(f"strategy {strategy} picks nothing", expected="demonstration ids")
    if k > 0 and row.needs_model and reader is None:
        raise RequestError(f"strategy {strategy} without a model", expected="a model that reads the pool")
    nearest = tuple(row.choose(Picking(dataset, case, history, each, reader), k))[:k] if k > 0 else ()
    return nearest if order == "nearest_first" else nearest[::-1]


def _recent(picking: Picking, k: int) -> list[Demonstration]:
    case = picking.case
    rated = [place for place, met in enumerate(case.history) if picking.dataset.is_rated(met)]
    return [picking.of(case.user_id, place, "recent") for place in rated[-k:][::-1]]


def _sequence(picking: Picking, k: int) -> list[Demonstration]:
    """The user's latest liked items, each behind those liked before it, no item in two demonstrations."""
    case, step = picking.case, picking.history + 1
    liked = [place for place, met in enumerate(case.history) if picking.dataset.liked(met)]
    return [picking.of(case.user_id, place, "sequence") for place in liked[::-1][::step][:k]]


def _neighbours(picking: Picking, k: int) -> list[Demonstration]:
    return neighbour_demonstrations(
        picking.dataset,
        picking.case,
        count=-(-k // picking.each),
        each=picking.each,
        history=picking.history,
        source="neighbours",
    )


def _co_likes(picking: Picking, k: int) -> list[Demonstration]:
    return co_like_demonstrations(picking.dataset, picking.case, count=k, history=picking.history, source="co_likes")


def _mixed(picking: Picking, k: int) -> list[Demonstration]:
    """The user's latest interactions and neighbours in turns; what one lacks the other fills."""
    both = zip_longest(_recent(picking, k), _neighbours(picking, k))
    return [demo for pair in both for demo in pair if demo is not None]


def _random(picking: Picking, k: int) -> list[Demonstration]:
    case = picking.case
    peers = peers_before(picking.dataset, case)
    random = generator(case.dataset_id, case.user_id, case.split, "demonstrations", case.seed)
    drawn = [peers[int(place)] for place in sorted(random.permutation(len(peers))[:k].tolist())]
    drawn.sort(key=lambda peer: (peer.timestamp or 0.0, peer.position))
    return [picking.of(peer.user_id, peer.position, "random") for peer in reversed(drawn)]


def _similar(picking: Picking, k: int) -> list[Demonstration]:
    peers = peers_before(picking.dataset, picking.case)
    scores, _ = _similarities(picking.dataset, picking.case, peers)
    return [picking.of(peers[place].user_id, peers[place].position, "similar") for place in _best_first(scores)[:k]]


def _diverse(picking: Picking, k: int) -> list[Demonstration]:
    peers = peers_before(picking.dataset, picking.case)
    scores, words = _similarities(picking.dataset, picking.case, peers)
    short = _best_first(scores)[:SHORTLIST]
    relevance = scores[short] / max(float(scores.max(initial=0.0)), 1e-12)
    places = marginal_order(relevance, word_likeness([words[place] for place in short]), k, RELEVANCE)
    chosen = [peers[short[place]] for place in sorted(places)]  # the shortlist is best first
    return [picking.of(peer.user_id, peer.position, "diverse") for peer in chosen]


def _coverage(picking: Picking, k: int) -> list[Demonstration]:
    """Greedy facility location: each adds most to the likeness of every item of the history to its nearest shown item.

    The gain of a set shrinks as the set grows (it is submodular), so the greedy choice reaches at least 1 - 1/e of the
    best one (Nemhauser, Wolsey and Fisher 1978). Likeness is the share of words of titles and categories in common,
    and 1 for the item itself.
    """
    pool = _pool(picking, POOLED)
    latest = [row.item_id for row in picking.case.history[-WINDOW:]]
    covered = np.zeros(len(latest))
    likeness = _likeness_to_shown(picking.dataset, latest, pool)
    left, chosen = list(range(len(pool))), list[Demonstration]()
    while left and len(chosen) < k:
        gains = np.maximum(likeness[left] - covered, 0).sum(axis=1)
        best = left.pop(int(np.argmax(gains)))
        covered = np.maximum(covered, likeness[best])
        chosen.append(pool[best])
    return [replace(demo, source="coverage") for demo in chosen]


def _semantic(picking: Picking, k: int) -> list[Demonstration]:
    """After ReLLa (arXiv 2308.11131), whose nearest items are those of one user; here those that others chose."""
    pool, case = _one_of_each(_pool(picking, SEMANTIC_POOL)), picking.case
    liked = [row.item_id for row in case.history if picking.dataset.liked(row)][-WINDOW:]
    nearest = by_meaning(_reader(picking), pool, liked or [row.item_id for row in case.history[-WINDOW:]])
    return [replace(demo, source="semantic") for demo in nearest[:k]]


def _gradient(picking: Picking, k: int) -> list[Demonstration]:
    """After in-context learning by gradient selection (arXiv 2508.19999), with likes of the user as what to learn."""
    pool, case = _one_of_each(_pool(picking, GRADIENT_POOL)), picking.case
    liked = [place for place, met in enumerate(case.history) if picking.dataset.liked(met)][-CHOICES:]
    choices = [picking.of(case.user_id, place, "gradient") for place in liked]
    nearest = by_gradient(_reader(picking), pool, choices)
    return [replace(demo, source="gradient") for demo in nearest[:k]]


def _one_of_each(pool: Sequence[Demonstration]) -> list[Demonstration]:
    """The first demonstration of each user: two of one user show almost the same history, and a model sees that."""
    first = dict[str, Demonstration]()
    for demo in pool:
        first.setdefault(demo.user_id, demo)
    return list(first.values())


def _reader(picking: Picking) -> ModelReader:
    assert picking.reader is not None  # `pick` has seen to it.
    return picking.reader


def _pool(picking: Picking, size: int) -> list[Demonstration]:
    """The `size` nearest by likes in common and as many by words, in turns, each interaction once."""
    one_each = replace(picking, each=1)
    pairs = zip_longest(_neighbours(one_each, size), _similar(picking, size))
    demos = (demo for pair in pairs for demo in pair if demo is not None)
    return list({demo.demo_id: demo for demo in reversed(list(demos))}.values())[::-1]


def _likeness_to_shown(dataset: Dataset, items: Sequence[str], pool: Sequence[Demonstration]) -> Scores:
    """[demonstration, item]: likeness of each item to the most alike that the demonstration shows."""
    item_sets = [(*demo.history, demo.item_id) for demo in pool]
    everything = list(dict.fromkeys([*items, *(item for each in item_sets for item in each)]))
    place, words = {item: number for number, item in enumerate(everything)}, ItemWords(dataset)
    alike = word_likeness([frozenset(words([item])) for item in everything])
    np.fill_diagonal(alike, 1.0)
    columns = [place[item] for item in items]
    rows = [alike[np.ix_([place[item] for item in each], columns)].max(axis=0) for each in item_sets]
    return np.array(rows).reshape(len(pool), len(items))


def _similarities(dataset: Dataset, case: Case, peers: tuple[Peer, ...]) -> tuple[Scores, list[frozenset[str]]]:
    """BM25 scores of the peers' documents for the case's history, and each peer's words; both [peer]."""
    words = ItemWords(dataset)
    documents = [words(peer.recent) for peer in peers]
    query = words(interaction.item_id for interaction in case.history[-WINDOW:])
    return bm25(documents, query), [frozenset(document) for document in documents]


def _best_first(scores: Scores) -> list[int]:
    return [int(place) for place in np.argsort(-scores, kind="stable")]  # ties: the peers' order, by user id


_OTHERS = "interactions of other users strictly before the moment"
STRATEGIES: dict[Strategy, DemonstrationStrategy] = {
    strategy.name: strategy
    for strategy in (
        DemonstrationStrategy(
            "neighbours",
            "users who liked the same items",
            "liked the same items",
            nearest="the user with most likes in common, rare items weighing more",
            before="likes of other users strictly before the moment",
            cost="an index of likes, built once for each data set",
            choose=_neighbours,
            near=True,
            shortage="no more other users liked the same items",
            several=True,
            pooled=True,
        ),
        DemonstrationStrategy(
            "co_likes",
            "items liked together with the user's own",
            "liked together with own items",
            nearest="the item that most users with likes in common like, the nearest users counting most",
            before="likes of other users strictly before the moment",
            cost="an index of likes, built once for each data set",
            choose=_co_likes,
            near=True,
            shortage="users with likes in common like no more items",
            pooled=True,
        ),
        DemonstrationStrategy(
            "mixed",
            "the user's most recent and users who liked the same items",
            "recent or neighbour",
            nearest="the user's latest interaction, then the nearest neighbour, in turns",
            before="interactions strictly before the moment",
            cost="an index of likes, built once for each data set",
            choose=_mixed,
            shortage="neither this user nor users with likes in common have more",
            several=True,
        ),
        DemonstrationStrategy(
            "similar",
            "most similar histories",
            "similar history",
            nearest="the user whose latest titles and categories share most words (BM25)",
            before=_OTHERS,
            cost="the latest interactions of up to 5,000 users",
            choose=_similar,
            pooled=True,
        ),
        DemonstrationStrategy(
            "semantic",
            "nearest in meaning to the model",
            "near in meaning",
            nearest="the one whose items mean most nearly the same to the model as the user's latest likes",
            before=_OTHERS,
            cost="the model reads the titles of up to 64 demonstrations, each title once for a data set",
            choose=_semantic,
            shortage="the pool that the model reads has no more",
            needs_model=True,
            tokens=2_500,
        ),
        DemonstrationStrategy(
            "gradient",
            "nearest by what they teach the model",
            "teaches the same",
            nearest="the one whose gradient at the output layer points most nearly where the user's own likes point",
            before=_OTHERS,
            cost="the model reads up to 32 demonstrations and 8 likes of the user, each as a prompt of its own",
            choose=_gradient,
            shortage="the pool that the model reads has no more",
            needs_model=True,
            tokens=1_500,
        ),
        DemonstrationStrategy(
            "coverage",
            "a set that covers the history",
            "covers the history",
            nearest="the one that comes closest to most items of the history",
            before=_OTHERS,
            cost="an index of likes, and the latest interactions of up to 5,000 users",
            choose=_coverage,
        ),
        DemonstrationStrategy(
            "diverse",
            "similar, but diverse",
            "diverse",
            nearest="the user whose latest titles and categories share most words (BM25)",
            before=_OTHERS,
            cost="the latest interactions of up to 5,000 users",
            choose=_diverse,
        ),
        DemonstrationStrategy(
            "recent",
            "the user's most recent",
            "most recent",
            nearest="the latest interaction",
            before="interactions of this user strictly before the moment",
            cost="this user's history",
            choose=_recent,
            shortage="this user has no more",
            pooled=True,
        ),
        DemonstrationStrategy(
            "sequence",
            "the user's likes, one after the other",
            "own sequence",
            nearest="the latest liked item",
            before="likes of this user strictly before the moment",
            cost="this user's history",
            choose=_sequence,
            shortage="this user has no more likes",
        ),
        DemonstrationStrategy(
            "random",
            "random other users",
            "random",
            nearest="the latest interaction",
            before=_OTHERS,
            cost="the latest interactions of up to 5,000 users",
            choose=_random,
        ),
        DemonstrationStrategy(
            "manual",
            "chosen by hand",
            "by hand",
            nearest="none",
            before="interactions strictly before the moment",
            cost="nothing",
            choose=None,
        ),
    )
}
