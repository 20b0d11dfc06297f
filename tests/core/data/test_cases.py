"""A case holds what was known before its moment, and the target among its candidates exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.cases import case_of, eligible_users
from core.data.dataset import Dataset, open_dataset
from core.errors import DataError, DemoLensError, RequestError

Write = Callable[..., Path]
HEAD = "user_id\titem_id\trating\ttimestamp"


def test_the_last_interaction_is_the_target(books: Dataset) -> None:
    case = case_of(books, "a")
    assert (case.dataset_id, case.user_id, case.split, case.seed) == (books.dataset_id, "a", "last", 0)
    assert (case.target, case.moment) == ("4", 40.0)
    assert [each.item_id for each in case.history] == ["1", "2", "3"]
    assert sorted(case.candidates) == ["10", "4", "5"]  # a met 1 2 3 4; only 5 and 10 are left to sample


def test_the_time_cut_takes_the_first_at_or_after_it(books: Dataset) -> None:
    case = case_of(books, "a", split="time")  # the cut is 30
    assert (case.target, case.moment) == ("3", 30.0)
    assert [each.item_id for each in case.history] == ["1", "2"]
    assert case_of(books, "c", split="time").target == "1"


def test_interactions_of_the_targets_own_second_are_no_history(write: Write) -> None:
    dataset = open_dataset(str(write((HEAD, "a\t1\t5\t1", "a\t2\t4\t7", "a\t3\t3\t7", "b\t1\t2\t9"))))
    case = case_of(dataset, "a")
    assert case.target == "3"
    assert [each.item_id for each in case.history] == ["1"]
    assert eligible_users(dataset) == ["a"]
    assert case_of(dataset, "b").history == ()


def test_a_user_not_active_after_the_cut_is_named(write: Write) -> None:
    rows = [f"b\t{n}\t{n % 5}\t{n}" for n in range(10, 30)]
    dataset = open_dataset(str(write((HEAD, "a\t1\t5\t1", "a\t2\t5\t2", *rows))))
    with pytest.raises(DataError, match="user 'a' has no interaction at or after the time cut"):
        case_of(dataset, "a", split="time")
    assert eligible_users(dataset, "time") == ["b"]
    assert eligible_users(dataset, "last", limit=1) == ["a"]


def test_given_candidates_keep_their_order(books: Dataset) -> None:
    assert case_of(books, "a", candidate_ids=["10", "4", "2"]).candidates == ("10", "4", "2")
    without = case_of(books, "a", candidate_ids=["10", "5"])
    assert (without.candidates, without.target) == (("10", "5"), "4")


@pytest.mark.parametrize(
    ("choices", "kind", "message"),
    [
        ({"candidate_ids": ["1", "1"]}, RequestError, "candidate '1' is given twice"),
        ({"candidate_ids": ["1", "77"]}, DataError, "candidate '77' is not an item of books"),
        ({"candidate_ids": ["1"]}, RequestError, "only 1 candidate is given; expected 2 or more"),
        ({"candidate_ids": []}, RequestError, "no candidate is given"),
        ({"candidates": 1}, RequestError, "1 candidates; expected 2 or more"),
        ({"user": "zz"}, DataError, "user 'zz' is not in the data set books"),
    ],
)
def test_what_cannot_be_ranked_is_refused(
    books: Dataset, choices: dict[str, object], kind: type[DemoLensError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        case_of(books, **({"user": "a"} | choices))  # type: ignore[arg-type]


def test_a_user_who_met_everything_cannot_be_ranked(write: Write) -> None:
    dataset = open_dataset(str(write((HEAD, "a\t1\t5\t1", "a\t2\t4\t2"), None)))
    with pytest.raises(DataError, match="user 'a' has met every item"):
        case_of(dataset, "a")


def test_popular_items_are_drawn_more_often(write: Write) -> None:
    rows = [f"u{n}\tpop\t{n % 5}\t{n}" for n in range(60)] + [f"v{n}\trare{n}\t3\t{n}" for n in range(20)]
    dataset = open_dataset(str(write((HEAD, "a\tx\t5\t1", *rows), None)))
    drawn = {
        sampling: Counter(
            item
            for seed in range(100)
            for item in case_of(dataset, "a", candidates=3, sampling=sampling, seed=seed).candidates
        )["pop"]
        for sampling in ("uniform", "popularity")
    }
    assert drawn["uniform"] < 30  # expected 100 * 2 / 21
    assert drawn["popularity"] > 80  # expected above 100 * 60 / 80


INTERACTIONS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(1, 9), st.integers(1, 5), st.integers(1, 6)), min_size=4, max_size=25
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    INTERACTIONS,
    st.integers(2, 12),
    st.sampled_from(["last", "time"]),
    st.sampled_from(["uniform", "popularity"]),
    st.integers(0, 3),
)
def test_properties_of_every_case(
    write: Write, rows: list[tuple[str, int, int, int]], n: int, split: str, sampling: str, seed: int
) -> None:
    dataset = open_dataset(str(write((HEAD, *("\t".join(map(str, row)) for row in rows)))))
    if split == "time" and not dataset.has_time:
        return
    eligible = set(eligible_users(dataset, split))  # type: ignore[arg-type]
    for user, _ in dataset.users():
        choices = {"split": split, "candidates": n, "sampling": sampling, "seed": seed}
        if {each.item_id for each in dataset.history(user)} == set(dataset.catalogue.ids):
            continue  # refused, as another test shows
        if split == "time" and not any((each.timestamp or 0) >= dataset.time_cut() for each in dataset.history(user)):
            assert user not in eligible
            continue
        case = case_of(dataset, user, **choices)  # type: ignore[arg-type]
        assert case == case_of(dataset, user, **choices)  # type: ignore[arg-type]
        assert Counter(case.candidates)[case.target] == 1
        assert len(set(case.candidates)) == len(case.candidates) <= n
        met = {each.item_id for each in dataset.history(user)}
        assert met & set(case.candidates) == {case.target}
        assert (user in eligible) is (len(case.history) > 0)
        assert [each.position for each in case.history] == list(range(len(case.history)))
        if case.moment is not None:
            assert all(each.timestamp is not None and each.timestamp < case.moment for each in case.history)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.permutations(range(8)))
def test_the_case_does_not_depend_on_row_order(write: Write, order: list[int]) -> None:
    rows = [f"{'ab'[n % 2]}\t{n}\t{n % 5}\t{n}" for n in range(8)]
    item = [f"{n}\tTitle {n}" for n in range(30)]
    first = open_dataset(str(write((HEAD, *rows), ("item_id\ttitle", *item))))
    other = open_dataset(str(write((HEAD, *(rows[n] for n in order)), ("item_id\ttitle", *reversed(item)))))
    assert case_of(first, "a", candidates=6) == case_of(other, "a", candidates=6)
