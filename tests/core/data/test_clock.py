"""Timestamps of any unit become seconds; expected times are those of the calendar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.data.dataset import Dataset, open_dataset

Write = Callable[..., Path]
TIMES = [datetime(2019, 3, day, 12, tzinfo=UTC).timestamp() for day in (1, 2, 3)]


def opened(write: Write, times: Sequence[float | int]) -> Dataset:
    rows = (f"u\t{place}\t{at}" for place, at in enumerate(times))
    return open_dataset(str(write(("user_id\titem_id\ttimestamp", *rows), None)))


def times_of(dataset: Dataset) -> list[float | None]:
    return [met.timestamp for met in dataset.history("u")]


@pytest.mark.parametrize(
    ("unit", "parts"), [("milliseconds", 1000), ("microseconds", 1000_000), ("nanoseconds", 1000_000_000)]
)
def test_units_are_read_and_named(write: Write, unit: str, parts: int) -> None:
    dataset = opened(write, [int(at) * parts for at in TIMES])
    assert times_of(dataset) == TIMES
    assert dataset.notices[0] == f"Timestamps of books.inter are read as {unit}."
    assert dataset.dataset_id == opened(write, TIMES).dataset_id


def test_mixed_units_are_read_each_in_its_own(write: Write) -> None:
    dataset = opened(write, [TIMES[0], int(TIMES[1]) * 1000, TIMES[2]])
    assert times_of(dataset) == TIMES
    assert dataset.notices[0] == (
        "1 timestamp is in milliseconds, unlike the others (seconds); each is read in its own unit."
    )
    mostly = opened(write, [int(TIMES[0]) * 1000, TIMES[1], int(TIMES[2]) * 1000])
    assert times_of(mostly) == TIMES
    assert mostly.dataset_id == dataset.dataset_id


def test_year_9999_is_flagged_and_comes_last(write: Write) -> None:
    last = 253_402_300_799  # 9999-12-31 23:59:59, which as milliseconds would be 1978
    dataset = opened(write, [last, *TIMES])
    assert times_of(dataset) == [*TIMES, float(last)]
    assert dataset.notices[0] == ("1 timestamp is in the future, likely not the real time; the data put it last.")


def test_times_before_1970_are_times(write: Write) -> None:
    war = datetime(1939, 9, 1, tzinfo=UTC).timestamp()
    dataset = opened(write, [0, -3, war, 86_400.5])
    assert times_of(dataset) == [war, -3.0, 0.0, 86_400.5]
    assert dataset.has_time


def test_missing_times_among_dates_are_flagged(write: Write) -> None:
    dataset = opened(write, [TIMES[0], -1, TIMES[1], 0, TIMES[2]])
    assert times_of(dataset) == [-1.0, 0.0, *TIMES]
    assert dataset.notices[0] == "2 timestamps are 0 or -1, likely a missing time; the data put them first."


def test_an_order_stays_an_order(write: Write) -> None:
    dataset = opened(write, [0, 1, 2, 1000])
    assert times_of(dataset) == [0.0, 1.0, 2.0, 1000.0]
    assert not any("timestamp" in notice.lower() for notice in dataset.notices)
