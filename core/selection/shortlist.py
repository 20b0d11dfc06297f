"""Stage one: the shortlist of a pool of demonstrations that are worth trying. No full prompt is run.

A pool holds interactions before the earliest held-out choice. The user's own latest interactions move with the
moment instead: at a held-out choice they are the latest ones before it, in the case the latest before the case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from core.data.dataset import Dataset
from core.data.demonstrations import by_ids
from core.data.model_reader import ModelReader
from core.data.peers import WINDOW
from core.data.records import Case, Demonstration, Strategy
from core.data.similarity import ItemWords, bm25, marginal_order, word_likeness
from core.data.strategies import pick
from core.errors import DataError
from core.metrics.intervals import Floats
from core.selection.heldout import HeldOut, is_before

RANK_OFFSET = 60.0
"""Reciprocal rank fusion's constant (Cormack, Clarke and Büttcher 2009)."""
ANSWER_SHARE = 0.25
"""Least share of either answer in a shortlist of a data set with likes and dislikes, as far as the pool has them."""


@dataclass(frozen=True)
class Member:
    """A demonstration as the case would show it, and as each held-out choice's prompt shows it."""

    here: Demonstration
    then: tuple[Demonstration | None, ...]
    """By held-out choice; None where it was not known yet or where there is none."""
    back: int | None = None
    """For the user's own latest interactions: how many places before the moment, from 1."""

    @property
    def interaction(self) -> tuple[str, int]:
        """User and position of what is shown in the case."""
        return self.here.user_id, self.here.position


@dataclass(frozen=True)
class ShortlistEntry:
    """A member with its stage-one scores by criterion, and their fusion scaled to at most 1."""

    member: Member
    scores: dict[str, float]
    relevance: float


def latest(dataset: Dataset, case: Case, held: Sequence[HeldOut], *, k: int, history: int) -> tuple[Member, ...]:
    """The user's own `k` latest interactions, oldest first, each standing at the same distance before every moment."""
    return strategy_members(dataset, case, held, k=k, strategy="recent", history=history)


def strategy_members(
    dataset: Dataset,
    case: Case,
    held: Sequence[HeldOut],
    *,
    k: int,
    strategy: Strategy,
    history: int,
    reader: ModelReader | None = None,
) -> tuple[Member, ...]:
    """What a strategy picks for the case, in prompt order, beside what it would have picked at each choice's moment."""
    here = pick(dataset, case, k=k, strategy=strategy, history=history, reader=reader)
    then = [pick(dataset, choice.case, k=k, strategy=strategy, history=history, reader=reader) for choice in held]
    moving = strategy == "recent"
    members = []
    for back in range(len(here), 0, -1):
        beside = tuple(demos[-back] if back <= len(demos) else None for demos in then)
        members.append(Member(here[-back], beside, back if moving else None))
    return tuple(members)


def members_by_id(
    dataset: Dataset, case: Case, held: Sequence[HeldOut], ids: Sequence[str], *, history: int
) -> tuple[Member, ...]:
    """Members for demonstration ids, in order; one too new for a held-out choice is left out of that choice's prompt.

    The user's own interactions since the earliest held-out choice count as latest ones, with their true answers.
    Raises what `by_ids` raises.
    """
    demos = by_ids(dataset, case, ids, history=history)
    times = _times(dataset, demos)
    since = len(case.history) - min(choice.position for choice in held)
    latest_members = {member.interaction: member for member in latest(dataset, case, held, k=since, history=history)}
    members = []
    for demo, time in zip(demos, times, strict=True):
        moving = latest_members.get((demo.user_id, demo.position))
        if moving is not None and moving.here.liked == demo.liked:
            members.append(replace(moving, here=demo))
        else:
            members.append(Member(demo, tuple(demo if is_before(demo, time, choice) else None for choice in held)))
    return tuple(members)


def pool_of(
    dataset: Dataset, held: Sequence[HeldOut], *, size: int, history: int, taken: Sequence[Member] = ()
) -> tuple[Member, ...]:
    """At most `size` members known before the earliest held-out choice and not `taken`.

    Up to half are the user's own latest of that time (more where others are few), the rest the latest interaction,
    one each, of the users most similar to this one. Raises `DataError` where there is nothing at all to show.
    """
    first = held[0].case
    others = pick(dataset, first, k=size, strategy="similar", history=history)
    recent = pick(dataset, first, k=max(size // 2, size - len(others)), strategy="recent", history=history)
    used = {member.interaction for member in taken}
    demos = (*reversed(recent), *reversed(others))
    fresh = [demo for demo in demos if (demo.user_id, demo.position) not in used][:size]
    if not fresh and not taken:
        raise DataError(
            "there is nothing to choose demonstrations from: nobody did anything before the held-out choices",
            expected="a pool with at least one interaction",
        )
    return tuple(Member(demo, (demo,) * len(held)) for demo in fresh)


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
    """The `kept` members and the best of the pool, at most `size` together, the most relevant first.

    Criteria are recency, BM25 of the demonstration's words for the user's latest titles and categories and, as far as
    given, likeness of its embedding to the user's query (`embedded` [kept and pool and query, width]) and its
    label-free effect (`effects` [kept and pool]); their ranks are fused by reciprocal rank fusion. Members then enter
    one by one by maximal marginal relevance, lambda relevance - (1 - lambda) likeness to those in (Carbonell and
    Goldstein 1998); likeness is the cosine of embeddings, or the share of words in common. With `both_answers` each
    answer keeps `ANSWER_SHARE` of the places.
    """
    everyone = [*first, *pool]
    demos = [member.here for member in everyone]
    words = ItemWords(dataset)
    documents = [words((demo.item_id, *demo.history)) for demo in demos]
    query = words(interaction.item_id for interaction in case.history[-WINDOW:])
    criteria = {"recency": _recency(dataset, demos), "bm25": bm25(documents, query)}
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
    times = _times(dataset, demos)
    return np.array([demo.position if time is None else time for demo, time in zip(demos, times, strict=True)], float)


def _times(dataset: Dataset, demos: Sequence[Demonstration]) -> list[float | None]:
    """When each demonstration's interaction happened."""
    query = (
        "SELECT user_id, position, timestamp FROM interactions JOIN"
        " (SELECT unnest($users) AS user_id, unnest($positions) AS position) USING (user_id, position)"
    )
    keys = {"users": [demo.user_id for demo in demos], "positions": [demo.position for demo in demos]}
    rows = dataset.cursor().execute(query, keys).fetchall() if demos else []
    times: dict[tuple[str, int], float | None] = {(user, position): time for user, position, time in rows}
    return [times[demo.user_id, demo.position] for demo in demos]


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
