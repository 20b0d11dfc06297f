"""What may be known at an interaction's moment: held against plain loops, with ties, and with the future changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from core.data.dataset import Dataset, open_dataset
from core.data.records import Demonstration
from core.errors import DataError, RequestError
from core.tuning.examples import Example, Window, examples_in, periods, prompt_of, split_times

BY_HAND = [
    ("a", 0, 5, 10), ("a", 1, 1, 20), ("a", 2, 4, 20), ("a", 3, 2, 30), ("a", 4, 5, 40),
    ("b", 0, 1, 15), ("b", 5, 5, 45),
]  # fmt: skip
K, TITLES = 2, 2


@pytest.fixture(scope="module")
def hand(tuning_home: Path, films_of: Callable[..., Path]) -> Dataset:
    return open_dataset(str(films_of(BY_HAND)))


def demo(position: int, item: str, liked: bool, *history: str) -> Demonstration:
    return Demonstration(f"a:{position}", "a", position, history, item, liked, "recent")


def test_an_example_by_hand(hand: Dataset) -> None:
    found = examples_in(hand, Window(since=30), demos=K, history=TITLES)
    assert [(one.user_id, one.position) for one in found] == [("a", 3), ("a", 4), ("b", 1)]
    assert found[0] == Example(
        user_id="a",
        position=3,
        timestamp=30.0,
        item_id="3",
        liked=False,
        history=("0", "2"),
        demos=(demo(1, "1", False, "0"), demo(2, "2", True, "0")),
    )
    assert found[1].demos == (demo(2, "2", True, "0"), demo(3, "3", False, "0", "2"))
    assert found[2].history == ()  # b liked nothing before
    assert [one.liked for one in found[2].demos] == [False]


def test_an_equal_moment_is_not_before(hand: Dataset) -> None:
    second, third = examples_in(hand, Window(20, 21), demos=K, history=TITLES)
    assert second.demos == third.demos == (demo(0, "0", True),)
    assert second.history == third.history == ("0",)


def test_next_item_asks_for_and_shows_liked_items_only(hand: Dataset) -> None:
    found = examples_in(hand, Window(since=30), demos=K, history=TITLES, family="next_item")
    assert [(one.user_id, one.item_id, one.liked) for one in found] == [("a", "4", True), ("b", "5", True)]
    assert [one.item_id for one in found[0].demos] == ["0", "2"]
    assert found[1].demos == ()


def test_a_users_first_interaction_has_nothing_before_it(hand: Dataset) -> None:
    first = examples_in(hand, Window(), demos=K, history=TITLES)[0]
    assert (first.position, first.history, first.demos) == (0, (), ())


rows = some.lists(
    some.tuples(some.sampled_from("abcdef"), some.integers(0, 7), some.sampled_from([1, 5]), some.integers(1, 6)),
    min_size=30,
    max_size=70,
    unique_by=lambda row: (row[0], row[1], row[3]),
).filter(lambda found: len({row[3] for row in found}) > 1 and len({row[2] for row in found}) > 1)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows, family=some.sampled_from(["yes_no", "next_item"]))
def test_everything_shown_lies_strictly_before(
    tuning_home: Path, films_of: Callable[..., Path], rows: list[Any], family: Any
) -> None:
    dataset = open_dataset(str(films_of(rows)))
    met = {user: dataset.history(user) for user in {row[0] for row in rows}}

    def before(user: str, moment: float | None, *, liked_only: bool) -> list[Any]:
        return [one for one in met[user] if one.timestamp < moment and (one.rating == 5 or not liked_only)]

    try:
        found = examples_in(dataset, Window(), demos=K, history=TITLES, family=family)
    finally:
        dataset.close()
    asked = [one for user in met for one in met[user] if family == "yes_no" or one.rating == 5]
    assert len(found) == len(asked)
    for one in found:
        query = met[one.user_id][one.position]
        assert (one.item_id, one.liked, one.timestamp) == (query.item_id, query.rating == 5, query.timestamp)
        liked = [known.item_id for known in before(one.user_id, one.timestamp, liked_only=True)]
        assert list(one.history) == liked[-TITLES:]
        shown = before(one.user_id, one.timestamp, liked_only=family == "next_item")[-K:]
        assert [known.position for known in one.demos] == [known.position for known in shown]
        for demonstration, known in zip(one.demos, shown, strict=True):
            earlier = before(one.user_id, known.timestamp, liked_only=True)
            assert list(demonstration.history) == [item.item_id for item in earlier][-TITLES:]
            assert demonstration.liked == (known.rating == 5)


def test_the_future_changes_nothing(tuning_home: Path, films_of: Callable[..., Path]) -> None:
    changed = [
        (user, 7 - item, 6 - rating, at + 5) if at >= 30 else (user, item, rating, at)
        for user, item, rating, at in BY_HAND
    ]
    first, other = (open_dataset(str(films_of(given))) for given in (BY_HAND, changed))
    until = Window(until=30)
    assert examples_in(first, until, demos=K, history=TITLES) == examples_in(other, until, demos=K, history=TITLES)


def test_windows_part_all_interactions_in_order_of_time(films: Dataset) -> None:
    windows = split_times(films, share=0.8, validation=0.25)
    counts = [len(examples_in(films, window, demos=0, history=0)) for window in windows]
    assert sum(counts) == films.size["interactions"]
    assert windows[0].since is None
    assert windows[2].until is None
    assert [one.until for one in windows[:2]] == [one.since for one in windows[1:]]
    assert windows[2].since == films.time_cut(0.8)
    assert counts[2] / sum(counts) == pytest.approx(0.2, abs=0.1)
    for window, before in zip(windows, (None, windows[0], windows[1]), strict=True):
        if before is not None:
            moments = [one.timestamp for one in examples_in(films, before, demos=0, history=0)]
            assert max(moment for moment in moments if moment is not None) < (window.since or 0)


def test_periods_have_about_equal_numbers_and_no_gap(films: Dataset) -> None:
    whole = split_times(films)[2]
    parts = periods(films, whole, 3)
    counts = [len(examples_in(films, part, demos=0, history=0)) for part in parts]
    assert (parts[0].since, parts[-1].until) == (whole.since, whole.until)
    assert [one.until for one in parts[:-1]] == [one.since for one in parts[1:]]
    assert sum(counts) == len(examples_in(films, whole, demos=0, history=0))
    assert max(counts) - min(counts) <= 6  # what shares a timestamp stays together


def test_equal_timestamps_make_fewer_periods(tuning_home: Path, films_of: Callable[..., Path]) -> None:
    dataset = open_dataset(str(films_of([("a", item, 5 - 4 * (item % 2), 10 + (item == 7)) for item in range(8)])))
    assert len(periods(dataset, Window(), 4)) == 2


def test_a_limit_draws_by_the_seed(films: Dataset) -> None:
    whole = examples_in(films, Window(), demos=1, history=1)
    drawn = examples_in(films, Window(), demos=1, history=1, limit=10, seed=3)
    assert drawn == examples_in(films, Window(), demos=1, history=1, limit=10, seed=3)
    assert drawn != examples_in(films, Window(), demos=1, history=1, limit=10, seed=4)
    places = [whole.index(one) for one in drawn]
    assert len(places) == 10
    assert places == sorted(places)
    assert examples_in(films, Window(), demos=1, history=1, limit=10_000) == whole


def test_without_timestamps_positions_are_the_clock(tuning_home: Path, films_of: Callable[..., Path]) -> None:
    dataset = open_dataset(str(films_of([row[:3] for row in BY_HAND], columns=["rating:float"])))
    found = examples_in(dataset, Window(), demos=1, history=9)[3]
    assert (found.history, [one.position for one in found.demos], found.timestamp) == (("0", "2"), [2], None)
    with pytest.raises(DataError, match="has no timestamps"):
        split_times(dataset)
    with pytest.raises(DataError, match="has no timestamps"):
        examples_in(dataset, Window(until=3), demos=1, history=1)


def test_what_nobody_rated_is_neither_asked_nor_shown(tuning_home: Path, films_of: Callable[..., Path]) -> None:
    dataset = open_dataset(str(films_of([("a", 0, "", 1), ("a", 1, 5, 2), ("a", 2, "", 3), ("a", 3, 1, 4)])))
    found = examples_in(dataset, Window(), demos=5, history=5)
    assert [one.item_id for one in found] == ["1", "3"]
    assert [[shown.item_id for shown in one.demos] for one in found] == [[], ["1"]]
    assert [one.position for one in found] == [1, 3]


def test_data_without_ratings_can_only_foretell_the_next_item(tuning_home: Path, films_of: Callable[..., Path]) -> None:
    dataset = open_dataset(str(films_of([(u, i, at) for u, i, _, at in BY_HAND], columns=["timestamp:float"])))
    with pytest.raises(RequestError, match=r"has no ratings.*expected family next_item"):
        examples_in(dataset, Window(), demos=1, history=1)
    found = examples_in(dataset, Window(), demos=1, history=1, family="next_item")
    assert len(found) == len(BY_HAND)
    assert all(one.liked for one in found)


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"demos": -1, "history": 0}, "-1 demonstrations"),
        ({"demos": 0, "history": -1}, "-1 titles"),
        ({"demos": 0, "history": 0, "limit": 0}, "0 examples"),
    ],
)
def test_numbers_out_of_range_are_refused(hand: Dataset, choices: dict[str, int], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        examples_in(hand, Window(), **choices)


def test_an_empty_stretch_of_time_is_refused(hand: Dataset) -> None:
    with pytest.raises(DataError, match="no interaction with a rating of the data set films lies in time from 900"):
        examples_in(hand, Window(since=900), demos=0, history=0)
    with pytest.raises(DataError, match="no interaction lies in the stretch"):
        periods(hand, Window(since=900), 2)
    with pytest.raises(RequestError, match="0 periods"):
        periods(hand, Window(), 0)
    with pytest.raises(RequestError, match="shares 1"):
        split_times(hand, share=1.0)


@pytest.fixture
def prompts(hand: Dataset, tiny_tokenizer: Any) -> Callable[..., Any]:
    example = examples_in(hand, Window(since=40), demos=K, history=TITLES)[0]
    return lambda family, **more: prompt_of(example, hand, tiny_tokenizer, family=family, **more)


def test_a_prompt_shows_the_example(prompts: Any) -> None:
    prompt = prompts("yes_no")
    text = "".join(span.text for span in (*prompt.prefix, *prompt.candidates))
    assert text == (
        "Predict from what a user liked whether the user will like another movie. Answer Yes or No.\n"
        "The user liked: Alien\nWill the user like the movie Fargo?\nAnswer: Yes\n"
        "The user liked: Alien; Fargo\nWill the user like the movie Aliens?\nAnswer: No\n"
        "The user liked: Alien; Fargo\nWill the user like the movie Toy Story?\nAnswer:"
    )
    assert prompts("next_item").candidates[0].text == " Toy Story"


def test_a_prompt_takes_other_candidates_and_a_context(prompts: Any) -> None:
    assert [one.text for one in prompts("next_item", candidates=("5", "6")).candidates] == [" The Matrix", " Big"]
    whole = prompts("yes_no")
    assert len(prompts("yes_no", context=whole.length - 1).demos) <= K
    assert prompts("yes_no", context=whole.length - 1).cut != ()


def test_every_user_and_item_is_asked_for(films: Dataset) -> None:
    found = examples_in(films, Window(), demos=0, history=0)
    assert Counter(one.user_id for one in found) == {user: 12 for user, _ in films.users()}
