"""Stage one: the shortlist of a pool of demonstrations that are worth trying. No full prompt is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from core.data.dataset import Dataset
from core.data.neighbours import neighbours
from core.data.peers import WINDOW
from core.data.records import Case, Demonstration
from core.data.similarity import ItemWords, bm25, marginal_order, word_likeness
from core.metrics.intervals import Floats
from core.selection.members import Member, times_of

RANK_OFFSET = 60.0
"""Reciprocal rank fusion's constant (Cormack, Clarke and Büttcher 2009)."""
NEAREST_USERS = 500
"""Users by likes in common whose similarity counts; that of all others is 0."""
ANSWER_SHARE = 0.25
"""Least share of either answer in a shortlist of a data set with likes and dislikes, as far as the pool has them."""


@dataclass(frozen=True)
class ShortlistEntry:
    """A member with its stage-one scores by criterion, and their fusion scaled to at most 1."""

    member: Member
    scores: dict[str, float]
    relevance: float


def shortlist(
    dataset: Dataset,
    case: Case,
    pool: Sequence[Member],
    *,
    size: int,
    lambda_mmr: float,
    first: Sequence[Member] = (),
    both_answers: bool = False,
    embedded: Floats | None = None,
    effects: Floats | None = None,
) -> tuple[ShortlistEntry, ...]:
    """The `first` members and the best of the pool, at most `size` together, the most relevant first.

    Criteria are recency, similarity of the demonstration's user by likes in common (0 for the case's own), BM25 of the
    demonstration's words for the user's latest titles and categories and, as far as given, likeness of its embedding to
    the user's query (`embedded` [first and pool and query, width]) and its
    label-free effect (`effects` [first and pool]); their ranks are fused by reciprocal rank fusion. Members then enter
    one by one by maximal marginal relevance, lambda relevance - (1 - lambda) likeness to those in (Carbonell and
    Goldstein 1998); likeness is the cosine of embeddings, or the share of words in common. With `both_answers` each
    answer keeps `ANSWER_SHARE` of the places.
    """
    everyone = [*first, *pool]
    demos = [member.here for member in everyone]
    words = ItemWords(dataset)
    documents = [words((demo.item_id, *demo.history)) for demo in demos]
    query = words(interaction.item_id for interaction in case.history[-WINDOW:])
    criteria = {
        "recency": _recency(dataset, demos),
        "neighbours": _neighbour_similarity(dataset, case, demos),
        "bm25": bm25(documents, query),
    }
    alike = word_likeness([frozenset(document) for document in documents])
    if embedded is not None:
        vectors = _unit(embedded)
        criteria["embedding"] = vectors[:-1] @ vectors[-1]
        alike = vectors[:-1] @ vectors[:-1].T
    if effects is not None:
        criteria["effect"] = effects
    relevance = fuse_ranks(list(criteria.values()))
    barred = partial(_barred, np.array([demo.liked for demo in demos]), size) if both_answers else None
    order = marginal_order(relevance, alike, size, lambda_mmr, first=range(len(first)), barred=barred)
    chosen = sorted(order, key=lambda place: (-relevance[place], place))
    return tuple(
        ShortlistEntry(
            everyone[place], {name: float(values[place]) for name, values in criteria.items()}, float(relevance[place])
        )
        for place in chosen
    )


def fuse_ranks(criteria: Sequence[Floats]) -> Floats:
    """Reciprocal rank fusion of scores [member], sum of 1 / (60 + rank), scaled so that the best possible is 1."""
    summed = sum((1 / (RANK_OFFSET + rankdata(-scores)) for scores in criteria), np.zeros(len(criteria[0])))
    return np.asarray(summed * (RANK_OFFSET + 1) / len(criteria))


def distances(dataset: Dataset, members: Sequence[Member]) -> Floats:
    """[member, member]: share of the words of either that only one has; 1 has nothing in common, 0 is the same."""
    words = ItemWords(dataset)
    sets = [frozenset(words((member.here.item_id, *member.here.history))) for member in members]
    return np.asarray(1 - word_likeness(sets))


def _barred(answers: NDArray[np.bool_], size: int, chosen: Sequence[int]) -> NDArray[np.bool_]:
    """Members of one answer, while every place left is needed for the share of the other."""
    left, least = size - len(chosen), int(np.ceil(ANSWER_SHARE * size))
    for answer in (True, False):
        have = int((answers[list(chosen)] == answer).sum())
        possible = int((answers == answer).sum())
        if left <= min(least, possible) - have:
            return np.asarray(answers != answer)
    return np.zeros(len(answers), dtype=bool)


def _recency(dataset: Dataset, demos: Sequence[Demonstration]) -> Floats:
    """Timestamps, or positions where there are none."""
    times = times_of(dataset, demos)
    return np.array([demo.position if time is None else time for demo, time in zip(demos, times, strict=True)], float)


def _neighbour_similarity(dataset: Dataset, case: Case, demos: Sequence[Demonstration]) -> Floats:
    """How near each demonstration's user is by likes in common before the case's moment; 0 for the case's own user."""
    near = {row.user_id: row.similarity for row in neighbours(dataset, case, count=NEAREST_USERS)}
    return np.array([near.get(demo.user_id, 0.0) for demo in demos])


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
