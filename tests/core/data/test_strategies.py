"""Strategies pick demonstrations in prompt order and never from the case's moment or after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.cases import case_of
from core.data.dataset import Dataset, open_dataset
from core.data.demonstrations import by_ids
from core.data.peers import peers_before
from core.data.records import Case, Demonstration, Strategy
from core.data.strategies import STRATEGIES, pick
from core.errors import RequestError

Write = Callable[..., Path]
HEAD = "user_id\titem_id\trating\ttimestamp"


@pytest.fixture
def case(books: Dataset) -> Case:
    return case_of(books, "a")


def test_recent_shows_the_users_own_latest(books: Dataset, case: Case) -> None:
    assert pick(books, case, k=2, strategy="recent", history=5) == (
        Demonstration("a:1", "a", 1, ("1",), "2", False, "recent"),
        Demonstration("a:2", "a", 2, ("1",), "3", True, "recent"),  # item 2 was not liked
    )
    assert [demo.demo_id for demo in pick(books, case, k=9, strategy="recent", history=5)] == ["a:0", "a:1", "a:2"]
    assert pick(books, case, k=0, strategy="recent", history=5) == ()


def test_the_pool_is_the_others_before_the_moment(books: Dataset, case: Case) -> None:
    # c's last interaction has the very time of a's target and is out
    assert [(peer.user_id, peer.position, peer.recent) for peer in peers_before(books, case)] == [
        ("b", 2, ("1", "3", "4")),
        ("c", 1, ("2", "4")),
    ]


def test_similar_puts_the_most_similar_last(books: Dataset, case: Case) -> None:
    # a's words: Dune Space Desert Emma Love Solaris Space Sea; b shares Dune, Solaris, Sea; c shares Emma, Love
    assert pick(books, case, k=2, strategy="similar", history=1) == (
        Demonstration("c:1", "c", 1, ("2",), "4", True, "similar"),
        Demonstration("b:2", "b", 2, ("3",), "4", False, "similar"),
    )
    assert [demo.user_id for demo in pick(books, case, k=1, strategy="similar", history=1)] == ["b"]


def test_diverse_prefers_the_unlike(write: Write) -> None:
    titles = ["red fox", "blue owl", "green elk"]
    item = ("item_id\ttitle", *(f"{n}\t{title}" for n, title in enumerate(titles)), "9\tzz")
    inter = [HEAD, "me\t0\t5\t1", "me\t1\t4\t2", "me\t2\t3\t9"]
    for user, first, second in (("p", 0, 0), ("q", 0, 0), ("r", 1, 1)):
        inter += [f"{user}\t{first}\t5\t3", f"{user}\t{second}\t5\t4"]
    dataset = open_dataset(str(write(tuple(inter), item)))
    case = case_of(dataset, "me")
    shown = {demo.user_id for demo in pick(dataset, case, k=2, strategy="diverse", history=3)}
    assert "r" in shown  # p and q are copies of each other
    assert len(shown) == 2


def test_random_repeats_and_grows(books: Dataset, case: Case) -> None:
    both = pick(books, case, k=2, strategy="random", history=3)
    assert [demo.demo_id for demo in both] == ["c:1", "b:2"]  # oldest first: times 25 and 30
    assert pick(books, case, k=2, strategy="random", history=3) == both
    assert pick(books, case, k=1, strategy="random", history=3)[0] in both
    firsts = {pick(books, replace(case, seed=seed), k=1, strategy="random", history=3)[0].user_id for seed in range(12)}
    assert firsts == {"b", "c"}


def test_manual_is_not_picked(books: Dataset, case: Case) -> None:
    with pytest.raises(RequestError, match="strategy manual picks nothing; expected demonstration ids"):
        pick(books, case, k=2, strategy="manual", history=3)


def test_without_time_positions_are_the_clock(write: Write) -> None:
    rows = ("a\t1\t5", "b\t2\t5", "a\t3\t4", "b\t4\t5", "b\t5\t1", "a\t6\t5")
    dataset = open_dataset(str(write(("user_id\titem_id\trating", *rows))))
    case = case_of(dataset, "a")
    assert case.moment is None
    assert [demo.demo_id for demo in pick(dataset, case, k=5, strategy="similar", history=3)] == ["b:1"]
    with pytest.raises(RequestError, match="not yet known"):
        by_ids(dataset, case, ["b:2"], history=3)


INTERACTIONS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(1, 5), st.integers(1, 5), st.integers(1, 6)), min_size=8, max_size=30
)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(INTERACTIONS, st.integers(1, 6), st.integers(0, 3))
def test_no_strategy_leaks_or_repeats(
    write: Write, rows: list[tuple[str, int, int, int]], k: int, history: int
) -> None:
    dataset = open_dataset(str(write((HEAD, *("\t".join(map(str, row)) for row in rows)))))
    for user, _ in dataset.users():
        case = case_of(dataset, user, candidate_ids=["1", "2"]) if {"1", "2"} <= set(dataset.catalogue.ids) else None
        for strategy in ("recent", "similar", "random", "diverse") if case else ():
            demos = pick(dataset, case, k=k, strategy=strategy, history=history)
            assert demos == pick(dataset, case, k=k, strategy=strategy, history=history)
            assert len({demo.demo_id for demo in demos}) == len(demos) <= k
            assert replace_sources(demos) == by_ids(dataset, case, [demo.demo_id for demo in demos], history=history)
            for demo in demos:
                check_known_before(dataset, case, demo, history)
                assert (demo.user_id == case.user_id) is (strategy == "recent")


def replace_sources(demos: tuple[Demonstration, ...]) -> tuple[Demonstration, ...]:
    return tuple(replace(demo, source="manual") for demo in demos)


def check_known_before(dataset: Dataset, case: Case, demo: Demonstration, history: int) -> None:
    met = dataset.history(demo.user_id)
    shown = met[demo.position]
    assert (shown.item_id, dataset.liked(shown)) == (demo.item_id, demo.liked)
    if case.moment is None:
        assert demo.position < len(case.history)
    else:
        assert shown.timestamp is not None
        assert shown.timestamp < case.moment
    assert len(demo.history) <= history
    earlier = [each.item_id for each in met[: demo.position] if dataset.liked(each)]
    assert list(demo.history) == (earlier[-history:] if history else [])


def test_what_is_not_rated_is_no_demonstration(write: Write) -> None:
    """0 on a scale from 1: neither Yes nor No, so only ratings are shown, and by hand only with an answer."""
    inter = [HEAD, "me\t1\t5\t1", "me\t2\t0\t2", "me\t3\t1\t3", "me\t4\t0\t4", "me\t5\t4\t9"]
    inter += ["p\t1\t3\t1", "p\t2\t2\t2", "p\t3\t0\t3", "q\t4\t0\t1", "q\t5\t0\t2"]
    dataset = open_dataset(str(write(tuple(inter), None)))
    case = case_of(dataset, "me", candidate_ids=["5", "1"])
    recent = pick(dataset, case, k=3, strategy="recent", history=5)
    assert [(demo.demo_id, demo.liked, demo.history) for demo in recent] == [
        ("me:0", True, ()),
        ("me:2", False, ("1",)),
    ]
    assert [peer.user_id for peer in peers_before(dataset, case)] == ["p"]
    for strategy in ("similar", "random", "diverse"):
        shown = pick(dataset, case, k=3, strategy=strategy, history=5)  # type: ignore[arg-type]
        assert [(demo.demo_id, demo.liked) for demo in shown] == [("p:1", False)]
    with pytest.raises(RequestError, match=r"'me:1' has no rating, so its answer is unknown; .* me:1:yes or me:1:no"):
        by_ids(dataset, case, ["me:1"], history=5)
    assert by_ids(dataset, case, ["me:1:yes"], history=5)[0].liked


def test_every_strategy_has_a_row_with_words() -> None:
    assert tuple(STRATEGIES) == get_args(Strategy)
    assert all(row.words and row.source and row.shortage for row in STRATEGIES.values())
    assert [name for name, row in STRATEGIES.items() if row.choose is None] == ["manual"]
