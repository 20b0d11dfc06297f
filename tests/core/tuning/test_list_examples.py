"""Lists to rank: nothing that comes later enters them, and their candidates are those that were asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.data.dataset import Dataset, open_dataset
from core.data.records import Strategy
from core.errors import DataError, RequestError
from core.tuning.examples import Example, Window, examples_in
from core.tuning.list_examples import earlier_of, rankable, with_candidates, with_demonstrations
from tests.core.tuning.conftest import film_rows

STRATEGIES: tuple[Strategy, ...] = ("co_likes", "neighbours", "recent", "mixed", "random", "similar")


@pytest.fixture(scope="module")
def lists(films: Dataset) -> tuple[Example, ...]:
    rows = examples_in(films, Window(), demos=0, history=3, family="next_item")
    return tuple(row for row in rows if row.position < 6)


@pytest.mark.parametrize("place", range(2, 15, 3))
def test_what_comes_later_changes_nothing(
    films: Dataset, films_of: Callable[..., Path], lists: tuple[Example, ...], place: int
) -> None:
    example = lists[place]
    moment = example.timestamp
    assert moment is not None
    asked = (example.user_id, int(example.item_id), moment)
    early = [row for row in film_rows() if float(str(row[3])) < moment or (row[0], row[1], row[3]) == asked]
    before = open_dataset(str(films_of(early)))
    (same,) = (
        row
        for row in examples_in(before, Window(), demos=0, history=3, family="next_item")
        if (row.user_id, row.timestamp, row.item_id) == (example.user_id, moment, example.item_id)
    )
    assert same.history == example.history
    for strategy in STRATEGIES[:4]:
        whole, cut = (
            with_demonstrations(data, row, strategy, count=3, history=3).demos
            for data, row in ((films, example), (before, same))
        )
        assert [(demo.user_id, demo.item_id, demo.history) for demo in whole] == [
            (demo.user_id, demo.item_id, demo.history) for demo in cut
        ]
    if len(before.catalogue.ids) == len(films.catalogue.ids):
        drawn = [
            with_candidates(data, row, count=4, popular=1.0, random=np.random.default_rng(5)).candidates
            for data, row in ((films, example), (before, same))
        ]
        assert drawn[0] == drawn[1]
    before.close()


def test_candidates_are_new_to_the_user_and_the_first_is_the_item_liked_next(
    films: Dataset, lists: tuple[Example, ...]
) -> None:
    for number, example in enumerate(lists):
        row = with_candidates(films, example, count=4, popular=0.5, random=np.random.default_rng(number))
        met = {one.item_id for one in films.history(example.user_id) if (one.timestamp or 0) < (example.timestamp or 0)}
        first, *others = row.candidates
        assert first == example.item_id
        assert len(set(row.candidates)) == len(row.candidates)
        assert not set(others) & met
        assert len(others) == min(3, 8 - len(met | {example.item_id}))


def test_popular_candidates_are_drawn_by_likes_before_the_moment(films: Dataset, lists: tuple[Example, ...]) -> None:
    example = max((row for row in lists if row.position < 4), key=lambda row: row.timestamp or 0)
    likes: dict[str, int] = {}
    for user, _ in films.users():
        for row in films.history(user):
            if (row.timestamp or 0) < (example.timestamp or 0) and films.liked(row):
                likes[row.item_id] = likes.get(row.item_id, 0) + 1
    count = 4000
    random = np.random.default_rng(0)
    drawn = [with_candidates(films, example, count=2, popular=1.0, random=random).candidates[1] for _ in range(count)]
    free = set(drawn)
    total = sum(likes.get(item, 0) for item in free)
    for item in free:
        assert drawn.count(item) / count == pytest.approx(likes.get(item, 0) / total, abs=0.04)


def test_examples_of_users_who_had_met_everything_are_left_out(films: Dataset) -> None:
    every = examples_in(films, Window(), demos=0, history=3, family="next_item")
    kept = rankable(films, every)
    assert 0 < len(kept) < len(every)
    for example in every:
        met = {row.item_id for row in earlier_of(films, example)} | {example.item_id}
        assert (example in kept) == (len(met) < 8)
    with pytest.raises(DataError, match="every user had met every item"):
        rankable(films, [example for example in every if example not in kept])
    with pytest.raises(RequestError, match="had met every item"):
        with_candidates(films, every[-1], count=2, popular=0.0, random=np.random.default_rng(0))
