"""Neighbours against a slow reference written from the formula, and what may never change what they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.cases import case_of
from core.data.dataset import Dataset, open_dataset
from core.data.neighbours import CHUNK, SHRINKAGE, neighbour_demonstrations, neighbours
from core.data.records import Case, Interaction
from core.data.strategies import pick

Write = Callable[..., Path]
HEAD = "user_id\titem_id\trating\ttimestamp"
ROWS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(1, 7), st.integers(1, 5), st.integers(1, 9)),
    min_size=6,
    max_size=45,
)
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def opened(write: Write, rows: list[tuple[str, int, int, int]]) -> Dataset:
    return open_dataset(str(write((HEAD, *("\t".join(map(str, row)) for row in rows)))))


def before(case: Case, row: Interaction) -> bool:
    if case.moment is None or row.timestamp is None:
        return row.position < len(case.history)
    return row.timestamp < case.moment


def reference(dataset: Dataset, case: Case, each: int) -> list[tuple[str, float, int, list[int]]]:
    """(user, similarity, likes in common, positions of new likes) of all neighbours, by the formula, user by user."""
    histories = {user: dataset.history(user) for user, _ in dataset.users(limit=1_000)}
    likes = {
        user: [row for row in rows if before(case, row) and dataset.liked(row)] for user, rows in histories.items()
    }
    users = sum(bool(rows) for rows in likes.values())
    counts: dict[str, int] = {}
    for rows in likes.values():
        for row in rows:
            counts[row.item_id] = counts.get(row.item_id, 0) + 1
    weight = {item: math.log(1 + users / (1 + count)) for item, count in counts.items()}
    liked = {row.item_id for row in case.history if dataset.liked(row)}
    met = {row.item_id for row in case.history}
    others = []
    for user, rows in likes.items():
        common = [row.item_id for row in rows if row.item_id in liked]
        new = [row.position for row in rows if row.item_id not in met][::-1][:each]
        if user != case.user_id and common and new:
            total = sum(weight[row.item_id] for row in rows)
            value = sum(weight[item] for item in common) / math.sqrt(total + SHRINKAGE)
            others.append((user, value, len(common), new))
    order = [user for user, _ in dataset.users(limit=1_000)]
    return sorted(others, key=lambda row: (-round(row[1], 12), order.index(row[0])))


@QUICK
@given(ROWS, st.integers(1, 6), st.integers(1, 3))
def test_neighbours_are_those_of_the_formula(
    write: Write, rows: list[tuple[str, int, int, int]], count: int, each: int
) -> None:
    dataset = opened(write, rows)
    for user, interactions in dataset.users():
        if interactions < 2:
            continue
        case = case_of(dataset, user, candidate_ids=dataset.catalogue.ids) if len(dataset.catalogue.ids) > 1 else None
        if case is None:
            continue
        near = neighbours(dataset, case, count=count, each=each)
        expected = reference(dataset, case, each)[:count]
        assert [row.similarity for row in near] == pytest.approx([row[1] for row in expected])
        by_user = {row[0]: row for row in reference(dataset, case, each)}
        for row in near:  # Two that are equal but for rounding may stand in either order.
            assert row.common == by_user[row.user_id][2]
            assert [int(dataset.likes.position[place]) for place in row.fresh] == by_user[row.user_id][3]


@QUICK
@given(ROWS, st.integers(1, 6))
def test_neither_target_nor_candidates_nor_the_future_change_them(
    write: Write, rows: list[tuple[str, int, int, int]], k: int
) -> None:
    dataset = opened(write, rows)
    ids = dataset.catalogue.ids
    for user, interactions in dataset.users():
        if interactions < 2 or len(ids) < 2:
            continue
        case = case_of(dataset, user, candidate_ids=ids)
        other = replace(case, target=ids[0], candidates=tuple(reversed(ids)))
        early = opened(write, [row for row in rows if row[3] < (case.moment or math.inf) or row[0] == user])
        for strategy in ("neighbours", "co_likes", "mixed", "coverage"):
            demos = pick(dataset, case, k=k, strategy=strategy, history=3)
            assert pick(dataset, other, k=k, strategy=strategy, history=3) == demos
            if dataset.has_time and early.has_time and early.like_threshold == dataset.like_threshold:
                again = pick(early, replace(case, dataset_id=early.dataset_id), k=k, strategy=strategy, history=3)
                assert [demo.demo_id for demo in again] == [demo.demo_id for demo in demos]


def test_the_nearest_by_hand(books: Dataset) -> None:
    # a liked 1 and 3 before 40; b liked 1 and 3 and nothing else before 40; c liked 2 (at 1) and 4 (at 25).
    case = case_of(books, "a")
    assert neighbours(books, case, count=5) == []  # b has nothing new, c nothing in common
    wider = replace(case, history=(*case.history, Interaction("2", 3, 5.0, 35.0)))
    (near,) = neighbours(books, wider, count=5)
    # 3 users had a like before 40; item 2 was liked once: ln(1 + 3/2); c's likes weigh that of 2 and of 4, once each.
    weight = math.log(1 + 3 / 2)
    assert (near.user_id, near.common) == ("c", 1)
    assert near.similarity == pytest.approx(weight / math.sqrt(2 * weight + SHRINKAGE))
    (demo,) = neighbour_demonstrations(books, wider, count=5, each=1, history=5, source="neighbours")
    assert (demo.demo_id, demo.history, demo.item_id, demo.liked) == ("c:1", ("2",), "4", True)


def test_more_than_one_portion_of_users_is_still_exact(write: Write) -> None:
    random = np.random.default_rng(0)
    rows = [("me", item, 5, item) for item in range(1, 7)] + [("me", 99, 5, 1_000)]
    for user in range(CHUNK + 60):
        for item in random.choice(np.arange(1, 40), size=int(random.integers(1, 9)), replace=False):
            rows.append((f"u{user}", int(item), int(random.integers(3, 6)), int(random.integers(1, 900))))
    dataset = opened(write, rows)
    case = case_of(dataset, "me")
    near = neighbours(dataset, case, count=20, each=2)
    expected = reference(dataset, case, 2)[:20]
    assert [row.similarity for row in near] == pytest.approx([row[1] for row in expected])


def test_equal_similarities_keep_the_order_of_the_users(write: Write) -> None:
    rows = [("me", 1, 5, 1), ("me", 9, 5, 50)]
    rows += [(user, item, 5, time) for user in ("z", "10", "2") for item, time in ((1, 2), (3, 3))]
    dataset = opened(write, rows)
    case = case_of(dataset, "me", candidate_ids=["1", "9"])
    assert [row.user_id for row in neighbours(dataset, case, count=3)] == ["2", "10", "z"]
    # the nearest stands last, so that a larger number keeps what a smaller one picked
    last = pick(dataset, case, k=2, strategy="neighbours", history=1)
    assert [demo.user_id for demo in last] == ["10", "2"]
    first = pick(dataset, case, k=2, strategy="neighbours", history=1, order="nearest_first")
    assert first == last[::-1]


def test_several_of_each_neighbour(write: Write) -> None:
    rows = [("me", 1, 5, 1), ("me", 9, 5, 50)]
    rows += [("near", item, 5, item) for item in (1, 2, 3, 4)] + [("far", 1, 5, 2), ("far", 5, 5, 3)]
    rows += [("far", item, 5, item) for item in range(10, 20)]
    dataset = opened(write, rows)
    case = case_of(dataset, "me", candidate_ids=["1", "9"])
    demos = pick(dataset, case, k=3, strategy="neighbours", history=2, each=2)
    assert [demo.demo_id for demo in demos] == ["far:11", "near:2", "near:3"]
    assert demos[-1].history == ("2", "3")


def test_items_liked_together_are_ranked_by_votes(write: Write) -> None:
    rows = [("me", 1, 5, 1), ("me", 9, 5, 50)]
    rows += [("p", 1, 5, 2), ("p", 7, 5, 3), ("q", 1, 5, 2), ("q", 7, 5, 4), ("q", 8, 5, 5)]
    dataset = opened(write, rows)
    case = case_of(dataset, "me", candidate_ids=["1", "9"])
    demos = pick(dataset, case, k=4, strategy="co_likes", history=3)
    # 7 has two votes and is shown at p, who likes less besides and so is nearer; 8 has one vote
    assert [(demo.demo_id, demo.item_id) for demo in demos] == [("q:2", "8"), ("p:1", "7")]


OTHERS = ("neighbours", "co_likes", "mixed", "coverage", "sequence")


@pytest.mark.parametrize("strategy", OTHERS)
@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(
            [("me", 1, 1, 1), ("me", 2, 2, 2), ("me", 3, 1, 9), ("p", 1, 5, 1), ("p", 4, 5, 2)], id="no likes"
        ),
        pytest.param([("me", 1, 5, 1), ("me", 2, 5, 9), ("p", 3, 5, 1), ("p", 4, 4, 2)], id="no overlap"),
        pytest.param([("me", 1, 5, 1), ("me", 2, 5, 9), ("p", 1, 5, 1), ("q", 3, 4, 2)], id="users of one item"),
        pytest.param([("me", 1, 5, 3), ("me", 2, 4, 9), ("p", 1, 5, 3), ("p", 3, 4, 9)], id="all at one time"),
    ],
)
def test_odd_users_give_what_there_is(write: Write, rows: list[tuple[str, int, int, int]], strategy: str) -> None:
    dataset = opened(write, rows)
    case = case_of(dataset, "me", candidate_ids=["1", "2"])
    for demo in pick(dataset, case, k=4, strategy=strategy, history=2):  # type: ignore[arg-type]
        shown = dataset.history(demo.user_id)[demo.position]
        assert before(case, shown)
        assert dataset.liked(shown) == demo.liked


def test_a_user_who_likes_everything_is_not_everybodys_nearest(write: Write) -> None:
    rows = [("all", item, 5, 1) for item in range(1, 60)]
    rows += [
        ("me", 1, 5, 1),
        ("me", 2, 5, 2),
        ("me", 99, 5, 50),
        ("like", 1, 5, 1),
        ("like", 2, 5, 1),
        ("like", 70, 5, 3),
    ]
    dataset = opened(write, rows)
    case = case_of(dataset, "me", candidate_ids=["1", "99"])
    assert [row.user_id for row in neighbours(dataset, case, count=2)] == ["like", "all"]


def test_without_ratings_everything_is_liked_and_without_times_positions_count(write: Write) -> None:
    inter = ("user_id\titem_id", "me\t1", "p\t1", "p\t2", "p\t3", "me\t4", "me\t5", "q\t9")
    dataset = open_dataset(str(write(inter)))
    case = case_of(dataset, "me", candidate_ids=["4", "5"])
    assert case.moment is None
    (demo,) = pick(dataset, case, k=3, strategy="neighbours", history=3)
    assert (demo.demo_id, demo.history) == ("p:1", ("1",))  # p:2 is at the target's position
    assert dataset.likes.users == 3


def test_the_index_is_read_from_disk_and_built_anew_where_it_is_damaged(own_home: Path, write: Write) -> None:
    rows = [("me", 1, 5, 1), ("me", 2, 5, 9), ("p", 1, 5, 1), ("p", 3, 5, 2)]
    folder = write((HEAD, *("\t".join(map(str, row)) for row in rows)))
    first = open_dataset(str(folder))
    expected = neighbours(first, case_of(first, "me", candidate_ids=["1", "2"]), count=3)
    path = own_home / "likes" / first.dataset_id / "item.npy"
    content = path.read_bytes()
    path.write_bytes(content[:-4] + b"\xff\xff\xff\x7f")
    second = open_dataset(str(folder))
    assert neighbours(second, case_of(second, "me", candidate_ids=["1", "2"]), count=3) == expected
    assert path.read_bytes() == content


@pytest.mark.parametrize("each", [1, 2])
@QUICK
@given(ROWS, st.integers(1, 5))
def test_a_larger_number_keeps_what_a_smaller_picked(
    write: Write, each: int, rows: list[tuple[str, int, int, int]], k: int
) -> None:
    dataset = opened(write, rows)
    for user, interactions in dataset.users():
        if interactions < 2 or len(dataset.catalogue.ids) < 2:
            continue
        case = case_of(dataset, user, candidate_ids=dataset.catalogue.ids)
        for strategy in OTHERS:
            few = pick(dataset, case, k=k, strategy=strategy, history=2, each=each)  # type: ignore[arg-type]
            many = pick(dataset, case, k=k + 2, strategy=strategy, history=2, each=each)  # type: ignore[arg-type]
            assert many[len(many) - len(few) :] == few
