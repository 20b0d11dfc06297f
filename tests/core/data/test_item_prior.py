"""Likes are counted strictly before a moment: what comes later, or at the same time, changes nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from planted import Row, opened

from core.data.cases import case_of
from core.data.dataset import Dataset
from core.data.item_prior import likes_before, log_popularity

ROWS: list[Row] = [
    ("a", "x", 5.0, 10.0),
    ("a", "y", 4.0, 20.0),
    ("b", "x", 5.0, 20.0),
    ("b", "z", 1.0, 25.0),
    ("c", "x", 5.0, 30.0),
    ("c", "y", 5.0, 30.0),
    ("a", "z", 5.0, 30.0),
    ("b", "y", 5.0, 40.0),
    ("d", "w", 5.0, 41.0),
    ("d", "z", 5.0, 42.0),
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Dataset]:
    dataset = opened(tmp_path / "data", ROWS)
    yield dataset
    dataset.close()


def test_likes_are_counted_by_hand(data: Dataset) -> None:
    """User a chooses z at 30: x was liked at 10 and 20, y at 20 (and at 30, too late), z only disliked, w never."""
    case = case_of(data, "a", candidate_ids=("x", "y", "z", "w"))
    assert likes_before(data, case).tolist() == [2, 1, 0, 0]
    np.testing.assert_array_equal(log_popularity(data, case), [math.log(3), math.log(2), 0.0, 0.0])


def test_without_timestamps_positions_come_before(tmp_path: Path) -> None:
    dataset = opened(tmp_path / "untimed", [(user, item, rating, None) for user, item, rating, _ in ROWS])
    case = case_of(dataset, "a", candidate_ids=("x", "y", "z", "w"))
    assert len(case.history) == 2
    assert likes_before(dataset, case).tolist() == [3, 2, 1, 1]
    shorter = replace(case, history=case.history[:1])
    assert likes_before(dataset, shorter).tolist() == [3, 0, 0, 1]
    assert likes_before(dataset, shorter, positions=2).tolist() == likes_before(dataset, case).tolist()
    dataset.close()


PLACES = some.tuples(some.integers(0, 5), some.integers(0, 5), some.sampled_from([1.0, 5.0]), some.integers(0, 9))


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=some.lists(PLACES, min_size=12, max_size=40, unique_by=lambda row: row[:2]))
def test_data_cut_at_the_moment_count_the_same(
    drawn: list[tuple[int, int, float, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows: list[Row] = [(f"u{user}", f"i{item}", rating, float(time)) for user, item, rating, time in drawn]
    rows += [("me", "i0", 5.0, 0.0), ("me", "i1", 5.0, 1.0), ("me", "i5", 5.0, 5.0), ("me", "i2", 5.0, 9.0)]
    rows += [("dull", f"i{item}", 1.0, 0.0) for item in range(6)]  # Every item is in the data, whatever is cut.
    whole = opened(tmp_path_factory.mktemp("all") / "data", rows)
    case = replace(case_of(whole, "me", candidate_ids=("i0", "i1", "i2", "i3", "i4", "i5")), moment=5.0)
    counted = [sum(row[1] == item and row[2] == 5.0 and row[3] < 5.0 for row in rows) for item in case.candidates]
    assert likes_before(whole, case).tolist() == counted
    cut = opened(tmp_path_factory.mktemp("cut") / "data", [row for row in rows if (row[3] or 0.0) < 5.0])
    assert likes_before(cut, case).tolist() == counted
    whole.close()
    cut.close()
