"""Demonstrations that a model picks: the order by hand, ties, and nothing read that was not known before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.cases import case_of
from core.data.dataset import Dataset, open_dataset
from core.data.model_reader import ModelVectors, by_gradient, by_meaning
from core.data.records import Case, Demonstration, Strategy
from core.data.strategies import STRATEGIES, pick
from core.errors import RequestError
from core.seeds import seed_of

Write = Callable[..., Path]
HEAD = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
BY_MODEL: tuple[Strategy, ...] = ("semantic", "gradient")


class TableReader:
    """A reader with vectors from tables; remembers what was asked of it."""

    def __init__(
        self, items: Callable[[str], Sequence[float]], choices: Callable[[Demonstration], Sequence[float]]
    ) -> None:
        self._items, self._choices = items, choices
        self.item_ids: list[str] = []
        self.choices: list[Demonstration] = []

    def item_vectors(self, item_ids: Sequence[str]) -> ModelVectors:
        self.item_ids += item_ids
        return np.array([self._items(item_id) for item_id in item_ids], dtype=np.float32)

    def choice_gradients(self, choices: Sequence[Demonstration]) -> ModelVectors:
        self.choices += choices
        return np.array([self._choices(choice) for choice in choices], dtype=np.float32)


def scattered() -> TableReader:
    """Vectors that depend on nothing but the content."""

    def vector(*parts: object) -> Sequence[float]:
        return np.random.default_rng(seed_of("reader", *parts)).normal(size=4).tolist()

    return TableReader(vector, lambda choice: vector(choice.history, choice.item_id, choice.liked))


def shown(name: str, *items: str, liked: bool = True) -> Demonstration:
    """User `name` chose the last of the items behind the others."""
    return Demonstration(f"{name}:1", name, 1, items[:-1], items[-1], liked, "similar")


def names(demos: Sequence[Demonstration]) -> list[str]:
    return [demo.user_id for demo in demos]


def test_nearest_in_meaning_is_by_the_cosine_of_centred_means() -> None:
    table = {"a": (9, 1), "b": (9, -1), "c": (11, 1), "d": (11, -1), "q": (12, 4)}
    pool = [shown("low", "b", "d"), shown("left", "a", "b"), shown("high", "a", "c"), shown("right", "c", "d")]
    reader = TableReader(table.__getitem__, lambda _: ())
    # The mean of a, b, c, d is (10, 0): the query is (2, 4), the pool (0, -1), (-1, 0), (0, 1), (1, 0).
    assert names(by_meaning(reader, pool, ["q"])) == ["high", "right", "left", "low"]
    # Uncentred, all lie within six degrees of one another and `right` would be nearest to the plain mean.
    assert names(by_meaning(reader, pool, ["b", "d"])) == ["low", "left", "right", "high"], "0 in pool order"
    assert len(reader.item_ids) == len(set(reader.item_ids)) + 4, "each item once a call"


def test_nearest_in_gradient_is_by_the_cosine_with_the_mean_choice() -> None:
    table = {"own1": (2, 0), "own2": (0, 2), "far": (-1, -1), "near": (5, 5), "half": (3, 0)}
    reader = TableReader(lambda _: (), lambda choice: table[choice.user_id])
    pool = [shown(name, "x") for name in ("far", "half", "near")]
    assert names(by_gradient(reader, pool, [shown("own1", "x"), shown("own2", "x")])) == ["near", "half", "far"]


def test_equal_cosines_and_nothing_to_compare_keep_the_pools_order() -> None:
    pool = [shown(name, "x") for name in "cab"]
    same = TableReader(lambda _: (1, 2), lambda _: (1, 2))
    assert names(by_meaning(same, pool, ["q"])) == ["c", "a", "b"], "centred, they are zero"
    assert names(by_gradient(same, pool, pool[:1])) == ["c", "a", "b"]
    rounding = iter([(1.0, 1e-8), (1.0, -1e-8), (1.0, 0.0), (1.0, 0.0)])
    assert names(by_gradient(TableReader(lambda _: (), lambda _: next(rounding)), pool, pool[:1])) == ["c", "a", "b"]
    unread = TableReader(lambda _: (), lambda _: ())
    assert by_meaning(unread, pool, []) == by_gradient(unread, pool, []) == pool
    assert by_meaning(unread, [], ["q"]) == by_gradient(unread, [], pool) == []
    assert unread.item_ids == unread.choices == []


def test_without_a_model_nothing_is_picked(books: Dataset) -> None:
    case = case_of(books, "a")
    for strategy in BY_MODEL:
        assert STRATEGIES[strategy].needs_model
        assert STRATEGIES[strategy].tokens > 0
        with pytest.raises(RequestError, match=f"strategy {strategy} without a model"):
            pick(books, case, k=1, strategy=strategy, history=5)


def test_the_user_is_read_by_latest_likes(books: Dataset) -> None:
    case = case_of(books, "a")  # Liked before moment 40: 1 and 3; 2 was not.
    reader = scattered()
    pick(books, case, k=2, strategy="gradient", history=5, reader=reader)
    own = [(choice.history, choice.item_id, choice.liked) for choice in reader.choices if choice.user_id == "a"]
    assert own == [((), "1", True), (("1",), "3", True)]
    pick(books, case, k=2, strategy="semantic", history=5, reader=reader)
    assert "5" not in reader.item_ids
    assert "10" not in reader.item_ids


INTERACTIONS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(1, 5), st.integers(1, 5), st.integers(1, 6)), min_size=8, max_size=30
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(INTERACTIONS, st.sampled_from("abcd"), st.integers(1, 4), st.integers(0, 3), st.sampled_from(BY_MODEL))
def test_nothing_of_the_moment_or_later_is_read_nor_the_candidates(
    write: Write, rows: list[tuple[str, int, int, int]], user: str, k: int, history: int, strategy: Strategy
) -> None:
    dataset = data_of(write, [*rows, (user, 1, 3, 5), (user, 2, 5, 6)])
    case = case_of(dataset, user, candidate_ids=["1", "2"])
    reader = scattered()
    demos = pick(dataset, case, k=k, strategy=strategy, history=history, reader=reader)
    read = {item for choice in reader.choices for item in (*choice.history, choice.item_id)}
    assert {*reader.item_ids, *read} <= known_before(dataset, case)
    assert all(demo.user_id != user and demo.source == strategy for demo in demos)
    assert len({demo.demo_id for demo in demos}) == len(demos) <= k
    other = replace(case, candidates=case.candidates[::-1], target="2" if case.target != "2" else "1")
    assert pick(dataset, other, k=k, strategy=strategy, history=history, reader=scattered()) == demos
    if case.moment is not None:
        changed = data_of(write, other_future([*rows, (user, 1, 3, 5), (user, 2, 5, 6)], case))
        assert pick(changed, case, k=k, strategy=strategy, history=history, reader=scattered()) == demos


def data_of(write: Write, rows: list[tuple[str, int, int, int]]) -> Dataset:
    return open_dataset(str(write((HEAD, *("\t".join(map(str, row)) for row in rows)))))


def other_future(rows: list[tuple[str, int, int, int]], case: Case) -> list[tuple[str, int, int, int]]:
    """The same rows, but other users meet other items from the case's moment on."""
    assert case.moment is not None
    return [
        (user, 6 - item if user != case.user_id and moment >= case.moment else item, rating, moment)
        for user, item, rating, moment in rows
    ]


def known_before(dataset: Dataset, case: Case) -> set[str]:
    """Items that anyone met before the case's moment."""
    if case.moment is None:
        return set(dataset.catalogue.ids)
    query = "SELECT item_id FROM interactions WHERE timestamp < $moment"
    return {row[0] for row in dataset.cursor().execute(query, {"moment": case.moment}).fetchall()}


@pytest.mark.parametrize("strategy", BY_MODEL)
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (("a\t1\t1\t1", "a\t2\t1\t2", "a\t3\t5\t9", "b\t1\t5\t1", "b\t2\t5\t2"), {"b:1"}),  # no likes
        (("a\t1\t5\t1", "a\t3\t5\t9", "b\t2\t5\t1", "b\t4\t1\t2"), {"b:1"}),  # nothing in common
        (("a\t1\t5\t1", "a\t3\t5\t9", "b\t2\t1\t1"), set()),  # others have met one item only
        (("a\t1\t5\t1", "a\t3\t5\t9"), set()),  # nobody else
    ],
)
def test_odd_users_have_what_there_is(
    write: Write, strategy: Strategy, rows: tuple[str, ...], expected: set[str]
) -> None:
    dataset = open_dataset(str(write((HEAD, *rows), None)))
    case = case_of(dataset, "a", candidate_ids=["3", "1"])
    demos = pick(dataset, case, k=4, strategy=strategy, history=5, reader=scattered())
    assert {demo.demo_id for demo in demos} == expected


@pytest.mark.parametrize("strategy", BY_MODEL)
@pytest.mark.parametrize("ratings", [True, False])
def test_without_timestamps_positions_are_the_clock(write: Write, strategy: Strategy, ratings: bool) -> None:
    rows = ["a\t1\t5", "b\t2\t5", "a\t3\t4", "b\t4\t5", "b\t5\t1", "a\t6\t5", "c\t1\t5", "c\t2\t3"]
    head = "user_id\titem_id\trating"
    if not ratings:
        head, rows = "user_id\titem_id", [row.rsplit("\t", 1)[0] for row in rows]
    dataset = open_dataset(str(write((head, *rows), None)))
    case = case_of(dataset, "a")
    demos = pick(dataset, case, k=9, strategy=strategy, history=3, reader=scattered())
    assert demos
    assert all(demo.position < len(case.history) for demo in demos)


def test_one_who_is_everybodys_neighbour_stands_once(write: Write) -> None:
    rows = [f"u{user}\t{item}\t{3 + item % 3}\t{item}" for user in range(4) for item in range(1, 6)]
    rows += [f"all\t{item}\t5\t{item}" for item in range(1, 9)]
    dataset = open_dataset(str(write((HEAD, *rows), None)))
    for user in ("u0", "u3"):
        for strategy in BY_MODEL:
            demos = pick(dataset, case_of(dataset, user), k=8, strategy=strategy, history=2, reader=scattered())
            assert len({demo.demo_id for demo in demos}) == len(demos)
