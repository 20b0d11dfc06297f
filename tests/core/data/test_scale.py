"""What numbers beside interactions mean: shares and thresholds are counted here by hand or by a plain loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.dataset import Dataset, open_dataset
from core.data.scale import Scale, scale_of

Write = Callable[..., Path]


def scale(ratings: Sequence[float], *, label: bool = False) -> Scale:
    counts = sorted(Counter(ratings).items())
    return scale_of(np.array([value for value, _ in counts]), np.array([n for _, n in counts]), label=label)


STARS = [5.0, 4.0, 3.0, 2.0, 1.0, 5.0, 4.0, 4.0, 3.0, 5.0, 2.0]  # six of eleven are at least 4


@pytest.mark.parametrize("stray", [[55.0], [10.0], [1e9], [500.0] * 1])
def test_one_stray_value_moves_no_threshold(stray: list[float]) -> None:
    found = scale(STARS + stray)
    assert (found.threshold, found.top, found.above) == (4.0, 5.0, (stray[0], 1))
    assert (found.liked, found.interactions) == (7, 12)


def test_one_in_two_hundred_is_a_stray_and_one_in_fifty_is_the_scale() -> None:
    assert scale(STARS * 36 + [10.0] * 2).threshold == 4.0
    assert scale(STARS * 36 + [10.0] * 8).threshold == 8.0


@pytest.mark.parametrize(
    ("ratings", "unrated"),
    [
        ([0, 0, 0, 1, 2, 3, 4, 5], ((0.0, 3),)),  # Goodreads, Book-Crossing
        ([-1, -1, 7, 8, 9, 10], ((-1.0, 2),)),  # Anime
        ([-1, 0, 1, 3, 5], ((-1.0, 1), (0.0, 1))),
        ([99, 99, -9.5, 0, 3.25, 9.75], ((99.0, 2),)),  # Jester
        ([-1, 0.5, 3, 4.5], ((-1.0, 1),)),
        ([0, 0.5, 3, 4.5], ()),  # a scale that begins at one half may begin at 0
        ([0, 10, 50, 100], ()),
        ([0, 1], ()),
        ([-1, 1], ()),
        ([-1, 0, 1], ()),
        ([-2, -1, 0, 1, 2], ()),
        ([1, 2, 3, 4, 5], ()),
        ([0] * 30 + [1, 2, 3, 4, 5] * 4 + [55], ((0.0, 30),)),
    ],
)
def test_special_values_are_not_rated(ratings: list[float], unrated: tuple[tuple[float, int], ...]) -> None:
    found = scale(ratings)
    assert sorted(found.unrated) == sorted(unrated)
    assert found.interactions == len(ratings) - sum(number for _, number in unrated)


def test_the_zero_of_a_label_is_a_no() -> None:
    assert scale([0, 1, 2, 3], label=True).unrated == ()
    assert scale([0, 1, 2, 3]).unrated == ((0.0, 1),)


@pytest.mark.parametrize(
    ("plays", "threshold", "liked"),
    [
        ([1, 3, 7, 12, 40, 90_000] * 4, 12.0, 12),  # shared/cases/counts
        ([1] * 70 + [2] * 20 + list(range(3, 23)), 2.0, 40),
        ([0.1, 0.2, 5.5, 300.0, 12.0], 12.0, 2),
    ],
)
def test_of_counts_the_upper_half_is_liked(plays: list[float], threshold: float, liked: int) -> None:
    found = scale(plays)
    assert (found.counts, found.threshold, found.liked) == (True, threshold, liked)


@pytest.mark.parametrize("top", [1, 5, 10, 100])
def test_scales_are_no_counts(top: int) -> None:
    found = scale([top * part for part in (0.2, 0.4, 0.6, 0.8, 1.0)] * 5)
    assert (found.counts, found.threshold, found.liked, found.interactions) == (False, 0.8 * top, 10, 25)


def test_rare_clicks_stay_likes() -> None:
    found = scale([0.0] * 995 + [1.0] * 5)
    assert (found.threshold, found.liked, found.interactions) == (0.8, 5, 1000)


@given(st.lists(st.sampled_from([1.0, 2.0, 3.0, 4.0, 5.0]), min_size=2, max_size=60))
def test_likes_are_those_from_the_threshold_on(ratings: list[float]) -> None:
    found = scale(ratings)
    assert found.rated is (len(set(ratings)) > 1)
    if found.rated:
        assert found.liked == sum(1 for rating in ratings if rating >= found.threshold)
        assert found.interactions == len(ratings)


# ---- in a data set


def opened(write: Write, column: str, cells: Sequence[object]) -> Dataset:
    rows = (f"u\t{place}\t{cell}\t{place}" for place, cell in enumerate(cells))
    return open_dataset(str(write((f"user_id:token\titem_id:token\t{column}\ttimestamp:float", *rows), None)))


@pytest.mark.parametrize("column", ["label:float", "Label:float", "LABEL", "RATING:float"])
def test_label_is_read_as_yes_and_no(write: Write, column: str) -> None:
    dataset = opened(write, column, [1, 0, 0, 1, 0])
    assert [dataset.liked(each) for each in dataset.history("u")] == [True, False, False, True, False]
    assert all(dataset.is_rated(each) for each in dataset.history("u"))
    name = column.partition(":")[0].capitalize()
    assert dataset.notices[0] == (
        f"{name} runs from 0 to 1; an item counts as liked from 0.8 on: 40 % of 5 rated interactions."
    )
    assert dataset.meaning["rating_column"] == name.lower()
    assert dataset.meaning["like_share"] == 0.4


def test_not_rated_is_neither_yes_nor_no(write: Write) -> None:
    dataset = opened(write, "rating:float", [5, 0, 3, 0, 4, 1])
    met = dataset.history("u")
    assert [each.rating for each in met] == [5, None, 3, None, 4, 1]
    assert [dataset.is_rated(each) for each in met] == [True, False, True, False, True, True]
    assert dataset.notices[:2] == (
        "Rating runs from 1 to 5; an item counts as liked from 4 on: 50 % of 4 rated interactions.",
        "2 interactions have rating 0, read as not rated, and count neither as liked nor as disliked.",
    )


def test_rating_comes_before_label_and_unused_columns_are_named(write: Write) -> None:
    inter = ("USER_ID:token\tItem_ID:token\tlabel:float\tRating:float\tsession:token\tTimeStamp:float",)
    item = ("item_id:token\ttitle:token_seq\tprice:float\tyear:token", "1\tDune\t3\t1965")
    dataset = open_dataset(str(write((*inter, "a\t1\t0\t5\ts\t1", "a\t2\t1\t1\ts\t2"), item)))
    assert dataset.meaning["rating_column"] == "rating"
    assert dataset.meaning["unused_columns"] == ["label", "session", "price", "year"]
    assert dataset.notices[-2:] == (
        "Columns of books.inter that are not used: 'label', 'session'.",
        "Columns of books.item that are not used: 'price', 'year'.",
    )


def test_a_stray_value_and_counts_are_said(write: Write) -> None:
    assert opened(write, "rating", [*STARS, 55]).notices[:2] == (
        "Rating runs from 1 to 5; an item counts as liked from 4 on: 58 % of 12 rated interactions.",
        "1 interaction lies above 5 (rating up to 55), which sets no scale.",
    )
    assert opened(write, "rating", [1, 3, 7, 12, 40, 90_000]).notices[0] == (
        "Rating runs from 1 to 90000 with 7 in the middle, so it is read as a count; an item counts as liked from 12"
        " on: 50 % of 6 rated interactions."
    )
