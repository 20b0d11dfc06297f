"""Stage one: a pool without leaks, criteria that can be worked out by hand, both answers kept."""

from __future__ import annotations

import numpy as np
import pytest

from core.data.cases import case_of
from core.data.neighbours import neighbours
from core.selection.heldout import held_out
from core.selection.members import latest, pool_of
from core.selection.search_material import DataTexts
from core.selection.shortlist import distances, fuse_ranks, shortlist


@pytest.fixture(scope="module")
def case(films):
    return case_of(films, "u")


@pytest.fixture(scope="module")
def held(films, case):
    return held_out(films, case, count=3, negatives=2, family="yes_no", history=3)


def test_ranks_are_fused_by_their_reciprocals():
    found = fuse_ranks([np.array([3.0, 1.0, 2.0]), np.array([5.0, 5.0, 0.0])])
    expected = [(1 / 61 + 1 / 61.5), (1 / 63 + 1 / 61.5), (1 / 62 + 1 / 63)]
    assert found == pytest.approx(np.array(expected) * 61 / 2)
    assert fuse_ranks([np.array([2.0, 1.0])] * 3)[0] == pytest.approx(1.0)


def test_relevance_alone_takes_the_most_relevant(films, case, held):
    pool = pool_of(films, held, size=50, history=3)
    rows = shortlist(DataTexts(films, case), pool, size=5, lambda_mmr=1.0)
    everyone = shortlist(DataTexts(films, case), pool, size=50, lambda_mmr=1.0)
    assert [row.relevance for row in rows] == sorted((row.relevance for row in everyone), reverse=True)[:5]


def test_diversity_alone_is_greedy_on_the_nearest_taken(films, case, held):
    pool = pool_of(films, held, size=50, history=3)
    kept = pool[:1]
    rows = shortlist(DataTexts(films, case), pool[1:], size=4, lambda_mmr=0.0, first=kept)
    apart, chosen = distances(DataTexts(films, case), pool), [0]
    while len(chosen) < 4:
        rest = [place for place in range(len(pool)) if place not in chosen]
        chosen.append(max(rest, key=lambda place: (round(min(apart[place, c] for c in chosen), 12), -place)))
    assert {row.member for row in rows} == {pool[place] for place in chosen}


def test_a_fourth_of_the_places_is_kept_for_either_answer(films, case, held):
    pool = pool_of(films, held, size=50, history=3)
    disliked = np.array([float(not member.here.liked) for member in pool])
    embedded = np.array([*([value, 0.1] for value in disliked), [1.0, 0.0]])
    choices = {"size": 4, "lambda_mmr": 1.0, "embedded": embedded, "effects": disliked}
    free = shortlist(DataTexts(films, case), pool, **choices)
    both = shortlist(DataTexts(films, case), pool, both_answers=True, **choices)
    assert sum(row.member.here.liked for row in free) == 0
    assert sum(row.member.here.liked for row in both) == 1


def test_embeddings_and_effects_join_the_criteria(films, case, held):
    pool = pool_of(films, held, size=4, history=3)
    embedded = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0], [-1.0, 0.0], [5.0, 0.0]])
    effects = np.array([1.0, 2.0, 3.0, 4.0])
    rows = shortlist(DataTexts(films, case), pool, size=4, lambda_mmr=0.5, embedded=embedded, effects=effects)
    by_member = {row.member: row.scores for row in rows}
    assert [by_member[one]["embedding"] for one in pool] == pytest.approx([1.0, 0.0, 0.5**0.5, -1.0])
    assert [by_member[one]["effect"] for one in pool] == [1.0, 2.0, 3.0, 4.0]


def test_a_shortlist_is_never_larger_than_what_there_is(films, case, held):
    pool = pool_of(films, held, size=3, history=3)
    assert len(shortlist(DataTexts(films, case), pool, size=64, lambda_mmr=0.5, both_answers=True)) == 3


def test_the_nearness_of_a_user_is_a_criterion_and_oneself_is_not_near(films, case, held):
    moving = latest(films, case, held, k=2, history=3)
    pool = pool_of(films, held, size=50, history=3, taken=moving)
    rows = shortlist(DataTexts(films, case), pool, size=60, lambda_mmr=1.0, first=moving)
    near = {row.user_id: row.similarity for row in neighbours(films, case, count=10)}
    assert near
    for row in rows:
        assert row.scores["neighbours"] == near.get(row.member.here.user_id, 0.0)
        assert row.member.here.user_id != "u" or row.scores["neighbours"] == 0.0
