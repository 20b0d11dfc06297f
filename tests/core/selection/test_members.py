"""What a set can hold: nothing newer than the moment that shows it, whatever strategy or name it comes from."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.cases import case_of
from core.data.strategies import STRATEGIES, pick
from core.errors import DataError, RequestError
from core.selection.heldout import held_out
from core.selection.members import (
    START_SETS,
    STRIDE,
    distinct,
    latest,
    members_by_id,
    pool_of,
    start_sets,
    strategy_members,
)


@pytest.fixture(scope="module")
def case(films):
    return case_of(films, "u")


@pytest.fixture(scope="module")
def held(films, case):
    return held_out(films, case, count=3, negatives=2, family="yes_no", history=3)


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


def test_latest_interactions_stand_strictly_before_every_moment(films, case):
    """Choices 0 to 3 show what stood before the first of them, and 4 what stood before it."""
    held = held_out(films, case, count=5, negatives=2, family="yes_no", history=3)
    assert len(held) == 5
    for member in latest(films, case, held, k=3, history=3):
        assert member.here.position == len(case.history) - member.back
        for place, (one, then) in enumerate(zip(held, member.then, strict=True)):
            assert _time(films, then) < one.case.moment
            first = held[place - place % STRIDE]
            assert then.position == len(first.case.history) - member.back


def test_a_latest_interaction_that_did_not_exist_yet_is_missing(films, case, held):
    oldest = latest(films, case, held, k=11, history=3)[0]
    assert oldest.here.position == 0
    assert oldest.then == (None, None, None)


def test_a_strategy_is_asked_anew_at_each_moment(films, case, held):
    members = strategy_members(films, case, held, k=3, strategy="similar", history=3)
    assert [member.back for member in members] == [3, 2, 1]
    assert tuple(member.here for member in members) == pick(films, case, k=3, strategy="similar", history=3)
    shown = pick(films, held[0].case, k=3, strategy="similar", history=3)
    assert tuple(member.then[0] for member in members) == shown
    for member in members:
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
        patch.setattr("core.selection.members.pick", nothing)
        with pytest.raises(DataError, match="nothing to choose demonstrations from"):
            pool_of(films, held, size=5, history=3)


def test_the_order_of_the_case_is_kept(films, case, held):
    choices = {"k": 3, "strategy": "neighbours", "history": 3}
    last = strategy_members(films, case, held, **choices)
    assert strategy_members(films, case, held, **choices, order="nearest_first") == last[::-1]


def test_the_pool_is_shared_out_by_halves_the_nearest_first(films, case, held):
    """Half of what is left from each strategy that stage one draws on, in their order; the last fills it up."""
    sources = [row.name for row in STRATEGIES.values() if row.pooled]
    assert sources[0] == "neighbours"
    expected: list[tuple[str, int]] = []
    for number, name in enumerate(sources, start=1):
        left = 8 - len(expected)
        quota = left if number == len(sources) else (left + 1) // 2
        near = pick(films, held[0].case, k=8, strategy=name, history=3)[::-1]
        fresh = [key for demo in near if (key := (demo.user_id, demo.position)) not in expected]
        expected += list(dict.fromkeys(fresh))[:quota]
    assert [member.interaction for member in pool_of(films, held, size=8, history=3)] == expected


def test_what_one_source_lacks_the_others_fill(films, case, held):
    pool = pool_of(films, held, size=9, history=3)
    assert len(pool) == 9, "5 other users have at most 10 between them, and 4 or more are needed of the user's own"
    assert len({member.interaction for member in pool}) == 9


def test_start_sets_are_the_nearest_of_each_strategy_in_equal_shares(films, case, held):
    sets = start_sets(films, case, held, k=4, history=3, recents=True)
    for row, members in zip(START_SETS, sets, strict=True):
        size = {(1, 1.0): 4, (2, 1.0): 2, (1, 0.5): 2}[len(row.strategies), row.share]
        whole = [pick(films, case, k=4, strategy=strategy, history=3)[-size:] for strategy in row.strategies]
        shown = [(demo.user_id, demo.position) for demos in whole for demo in demos]
        assert [member.interaction for member in members] == list(dict.fromkeys(shown))
        assert len(members) <= 4


def test_a_set_of_one_holds_one(films, case, held):
    assert {len(members) for members in start_sets(films, case, held, k=1, history=3, recents=True)} == {1}


def test_without_recents_no_start_set_shows_the_user(films, case, held):
    sets = start_sets(films, case, held, k=4, history=3, recents=False)
    assert sets
    assert all(member.here.user_id != "u" for members in sets for member in members)


def test_each_interaction_counts_once(films, case, held):
    sets = start_sets(films, case, held, k=4, history=3, recents=True)
    once = distinct(member for members in sets for member in members)
    assert len({member.interaction for member in once}) == len(once)
    assert once[: len(sets[0])] == sets[0]


USER_ROWS = st.lists(
    st.tuples(st.integers(0, 23), st.integers(1, 5), st.integers(0, 12)),
    min_size=2,
    max_size=9,
    unique_by=lambda r: r[0],
)


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.lists(USER_ROWS, min_size=2, max_size=5), st.sampled_from(["yes_no", "next_item"]))
def test_nothing_at_or_after_a_choice_enters_its_prompt(made, people, family):
    """Every interaction that a member or a history shows lies strictly before the choice, whatever the data."""
    lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    lines += [f"u{n}\t{item}\t{rating}\t{at}" for n, rows in enumerate(people) for item, rating, at in rows]
    dataset = made(lines)
    case = case_of(dataset, "u0", candidates=3)
    try:
        held = held_out(dataset, case, count=6, negatives=2, family=family, history=2)
        pool = pool_of(dataset, held, size=20, history=2)
    except DataError:
        return
    sets = start_sets(dataset, case, held, k=3, history=2, recents=True)
    for member in (*pool, *(one for members in sets for one in members)):
        assert _time(dataset, member.here) < case.moment
        for choice, demo in zip(held, member.then, strict=True):
            if demo is not None:
                met = dataset.history(demo.user_id)
                assert met[demo.position].timestamp < choice.case.moment
                assert set(demo.history) <= {one.item_id for one in met[: demo.position]}
    for choice in held:
        assert all(met.timestamp < choice.case.moment for met in choice.case.history)
        assert choice.case.moment < case.moment
