"""Stage one: a pool without leaks, criteria that can be worked out by hand, both answers kept."""

from __future__ import annotations

import numpy as np
import pytest

from core.data.cases import case_of
from core.errors import DataError, RequestError
from core.selection.heldout import held_out
from core.selection.shortlist import (
    distances,
    fuse_ranks,
    latest,
    members_by_id,
    pool_of,
    shortlist,
    strategy_members,
)


@pytest.fixture(scope="module")
def case(films):
    return case_of(films, "u")


@pytest.fixture(scope="module")
def held(films, case):
    return held_out(films, case, count=3, negatives=2, both_answers=True, history=3)


def _time(dataset, demo):
    return dataset.history(demo.user_id)[demo.position].timestamp


def test_the_pool_holds_nothing_as_new_as_a_held_out_choice(films, case, held):
    pool = pool_of(films, held, size=50, history=3)
    chosen = {("u", one.position) for one in held}
    earliest = min(one.case.moment for one in held)
    assert {member.here.user_id for member in pool} == {"u", "v", "w", "x", "y", "z"}
    for member in pool:
        assert _time(films, member.here) < earliest
        assert member.interaction not in chosen
        assert member.then == (member.here,) * 3
        own = {one.case.target for one in held} if member.here.user_id == "u" else set()
        assert not own & set(member.here.history)


def test_latest_interactions_stand_strictly_before_every_moment(films, case, held):
    for member in latest(films, case, held, k=4, history=3):
        assert member.here.position == len(case.history) - member.back
        for one, then in zip(held, member.then, strict=True):
            assert _time(films, then) < one.case.moment
            assert then.position == len(one.case.history) - member.back


def test_a_latest_interaction_that_did_not_exist_yet_is_missing(films, case, held):
    oldest = latest(films, case, held, k=11, history=3)[0]
    assert oldest.here.position == 0
    assert oldest.then == (None, None, None)


def test_a_strategy_is_asked_anew_at_each_moment(films, case, held):
    members = strategy_members(films, case, held, k=3, strategy="similar", history=3)
    assert len(members) == 3
    for member in members:
        assert member.back is None
        for one, then in zip(held, member.then, strict=True):
            assert _time(films, then) < one.case.moment


def test_named_demonstrations_are_left_out_where_they_are_too_new(films, case, held):
    first = held[0].position
    old, own, new = members_by_id(films, case, held, ["v:2", f"u:{first}", "v:8"], history=3)
    assert old.then == (old.here,) * 3
    assert own.back == len(case.history) - first
    assert all(then.position < one.position for one, then in zip(held, own.then, strict=True))
    assert [then is not None for then in new.then] == [one.case.moment > 81 for one in held]


def test_an_answer_set_by_hand_does_not_move(films, case, held):
    position = held[-1].position
    turned = "no" if held[-1].liked else "yes"
    (member,) = members_by_id(films, case, held, [f"u:{position}:{turned}"], history=3)
    assert member.back is None
    assert member.then == (None, None, None)


def test_named_demonstrations_of_another_form_are_refused(films, case, held):
    with pytest.raises(RequestError, match="expected user:position"):
        members_by_id(films, case, held, ["nonsense"], history=3)


def test_the_size_of_the_pool_is_kept_and_what_is_taken_stays_out(films, case, held):
    taken = pool_of(films, held, size=3, history=3)
    rest = pool_of(films, held, size=50, history=3, taken=taken)
    assert len(taken) == 3
    assert not {member.interaction for member in taken} & {member.interaction for member in rest}


def test_an_empty_pool_is_said_plainly(films, held):
    def nothing(*args, **more):
        return ()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.selection.shortlist.pick", nothing)
        with pytest.raises(DataError, match="nothing to choose demonstrations from"):
            pool_of(films, held, size=5, history=3)


def test_ranks_are_fused_by_their_reciprocals():
    found = fuse_ranks([np.array([3.0, 1.0, 2.0]), np.array([5.0, 5.0, 0.0])])
    expected = [(1 / 61 + 1 / 61.5), (1 / 63 + 1 / 61.5), (1 / 62 + 1 / 63)]
    assert found == pytest.approx(np.array(expected) * 61 / 2)
    assert fuse_ranks([np.array([2.0, 1.0])] * 3)[0] == pytest.approx(1.0)


def test_relevance_alone_takes_the_most_relevant(films, case, held):
    pool = pool_of(films, held, size=50, history=3)
    rows = shortlist(films, case, pool, size=5, lambda_mmr=1.0)
    everyone = shortlist(films, case, pool, size=50, lambda_mmr=1.0)
    assert [row.relevance for row in rows] == sorted((row.relevance for row in everyone), reverse=True)[:5]


def test_diversity_alone_is_greedy_on_the_nearest_taken(films, case, held):
    pool = pool_of(films, held, size=50, history=3)
    kept = pool[:1]
    rows = shortlist(films, case, pool[1:], size=4, lambda_mmr=0.0, first=kept)
    apart, chosen = distances(films, pool), [0]
    while len(chosen) < 4:
        rest = [place for place in range(len(pool)) if place not in chosen]
        chosen.append(max(rest, key=lambda place: (round(min(apart[place, c] for c in chosen), 12), -place)))
    assert {row.member for row in rows} == {pool[place] for place in chosen}


def test_a_fourth_of_the_places_is_kept_for_either_answer(films, case, held):
    pool = pool_of(films, held, size=50, history=3)
    embedded = np.array([[float(member.here.liked), 0.1] for member in pool] + [[1.0, 0.0]])
    effects = np.array([float(member.here.liked) for member in pool])
    choices = {"size": 4, "lambda_mmr": 1.0, "embedded": embedded, "effects": effects}
    free = shortlist(films, case, pool, **choices)
    both = shortlist(films, case, pool, both_answers=True, **choices)
    assert sum(not row.member.here.liked for row in free) == 0
    assert sum(not row.member.here.liked for row in both) == 1


def test_embeddings_and_effects_join_the_criteria(films, case, held):
    pool = pool_of(films, held, size=4, history=3)
    embedded = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0], [-1.0, 0.0], [5.0, 0.0]])
    effects = np.array([1.0, 2.0, 3.0, 4.0])
    rows = shortlist(films, case, pool, size=4, lambda_mmr=0.5, embedded=embedded, effects=effects)
    by_member = {row.member: row.scores for row in rows}
    assert [by_member[one]["embedding"] for one in pool] == pytest.approx([1.0, 0.0, 0.5**0.5, -1.0])
    assert [by_member[one]["effect"] for one in pool] == [1.0, 2.0, 3.0, 4.0]


def test_a_shortlist_is_never_larger_than_what_there_is(films, case, held):
    pool = pool_of(films, held, size=3, history=3)
    assert len(shortlist(films, case, pool, size=64, lambda_mmr=0.5, both_answers=True)) == 3
