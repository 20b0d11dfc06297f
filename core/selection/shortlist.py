"""Stage one: the shortlist of a pool of demonstrations that are worth trying. No full prompt is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from core.data.similarity import marginal_order, word_likeness
from core.metrics.intervals import Floats
from core.selection.members import Member
from core.selection.search_material import DemoTexts

RANK_OFFSET = 60.0
"""Reciprocal rank fusion's constant (Cormack, Clarke and Büttcher 2009)."""
ANSWER_SHARE = 0.25
"""Least share of either answer in a shortlist of a data set with likes and dislikes, as far as the pool has them."""


@dataclass(frozen=True)
class ShortlistEntry:
    """A member with its stage-one scores by criterion, and their fusion scaled to at most 1."""

    member: Member
    scores: dict[str, float]
    relevance: float


def shortlist(
    texts: DemoTexts,
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

    Criteria are those of `texts` and, as far as given, likeness of a demonstration's embedding to the user's query
    (`embedded` [first and pool and query, width]) and its label-free effect (`effects` [first and pool]); their ranks
    are fused by reciprocal rank fusion. Members then enter
    one by one by maximal marginal relevance, lambda relevance - (1 - lambda) likeness to those in (Carbonell and
    Goldstein 1998); likeness is the cosine of embeddings, or the share of words in common. With `both_answers` each
    answer keeps `ANSWER_SHARE` of the places.
    """
    everyone = [*first, *pool]
    demos = [member.here for member in everyone]
    criteria = texts.criteria(demos)
    alike = word_likeness([frozenset(words) for words in texts.words(demos)])
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


def distances(texts: DemoTexts, members: Sequence[Member]) -> Floats:
    """[member, member]: share of the words of either that only one has; 1 has nothing in common, 0 is the same."""
    sets = [frozenset(words) for words in texts.words([member.here for member in members])]
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


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
