"""AUC, UAUC and their bootstrap over users, held against counts of pairs and plain loops."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.metrics.binary import auc, over_users, uauc

ROWS = st.lists(st.tuples(st.integers(-3, 3), st.booleans(), st.sampled_from("abcd")), min_size=1, max_size=30)


def pairs_won(scores: Sequence[float], liked: Sequence[bool]) -> float:
    """The definition: the share of (liked, not liked) pairs in the right order, ties half."""
    pairs = [
        (a, b) for a, x in zip(scores, liked, strict=True) if x for b, y in zip(scores, liked, strict=True) if not y
    ]
    return sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs) if pairs else math.nan


@given(ROWS)
def test_auc_is_the_share_of_pairs_in_the_right_order(rows: list[tuple[int, bool, str]]) -> None:
    scores, liked, _ = map(list, zip(*rows, strict=True))
    assert auc(scores, liked) == pytest.approx(pairs_won(scores, liked), nan_ok=True)


@given(ROWS)
def test_uauc_is_the_mean_of_the_users_who_have_one(rows: list[tuple[int, bool, str]]) -> None:
    each = []
    for user in sorted({user for *_, user in rows}):
        own = [(score, answer) for score, answer, other in rows if other == user]
        each.append(pairs_won([score for score, _ in own], [answer for _, answer in own]))
    each = [value for value in each if not math.isnan(value)]
    scores, liked, users = map(list, zip(*rows, strict=True))
    value, counted = uauc(scores, liked, users)
    assert counted == len(each)
    assert value == pytest.approx(np.mean(each) if each else math.nan, nan_ok=True)


def test_one_answer_only_has_no_auc() -> None:
    assert math.isnan(auc([1, 2], [True, True]))
    assert math.isnan(auc([], []))
    assert uauc([1, 2], [True, True], ["a", "a"]) == pytest.approx((math.nan, 0), nan_ok=True)


def test_infinite_scores_are_the_ends_and_nan_is_refused() -> None:
    assert auc([math.inf, 0, -math.inf], [True, False, False]) == 1
    with pytest.raises(ValueError, match="score 1 is nan"):
        auc([0, math.nan], [True, False])
    with pytest.raises(ValueError, match="scores for"):
        auc([0, 1], [True])
    with pytest.raises(ValueError, match="1 users for 2 rows"):
        over_users({"a": [0, 1]}, [True, False], ["u"])


def planted(users: int = 40, each: int = 6, seed: int = 1) -> tuple[np.ndarray, np.ndarray, list[str]]:
    random = np.random.default_rng(seed)
    liked = random.random(users * each) < 0.55
    scores = np.round(random.normal(size=users * each) + liked, 1)
    return scores, liked, [f"u{row // each}" for row in range(users * each)]


@pytest.mark.parametrize("measure", ["auc", "uauc"])
def test_every_draw_is_the_measure_of_the_rows_of_the_drawn_users(measure: str) -> None:
    """The weights are held against a plain loop that copies the drawn users' rows, each copy a user of its own."""
    scores, liked, users = planted(users=12)
    found = over_users({"a": scores}, liked, users, measure=measure, draws=25, seed=3)  # type: ignore[arg-type]
    names = list(dict.fromkeys(users))
    times = np.random.default_rng(3).multinomial(len(names), np.full(len(names), 1 / len(names)), size=25)
    for draw, counts in enumerate(times):
        rows, people = [], []
        for name, count in zip(names, counts, strict=True):
            for copy in range(count):
                own = [row for row, user in enumerate(users) if user == name]
                rows += own
                people += [f"{name} {copy}"] * len(own)
        expected = auc(scores[rows], liked[rows]) if measure == "auc" else uauc(scores[rows], liked[rows], people)[0]
        assert found.draws["a"][draw] == pytest.approx(expected)


def test_differences_are_paired() -> None:
    """Two systems that differ by a constant have equal AUC in every draw, so the difference is 0 without width."""
    scores, liked, users = planted()
    found = over_users({"a": scores, "b": scores + 7, "c": -scores}, liked, users)
    assert found.difference("a", "b") == (0, 0, 0)
    low = found.interval("a")
    assert low.low < low.value < low.high
    assert found.values["c"] == pytest.approx(1 - found.values["a"])
    assert found.difference("a", "c").value == pytest.approx(2 * found.values["a"] - 1)
    gain = found.combination({"a": 1, "b": -1, "c": -1})
    assert gain.value == pytest.approx(-found.values["c"])
    assert gain.low == pytest.approx(-found.interval("c").high)


def test_the_interval_is_as_wide_as_theory_says() -> None:
    """With one row per user the standard error of a random AUC is sqrt((m + n + 1) / (12 m n)) (Mann and Whitney)."""
    random = np.random.default_rng(0)
    liked = np.arange(1_000) < 400
    found = over_users({"a": random.normal(size=1_000)}, liked, [str(row) for row in range(1_000)])
    expected = math.sqrt(1_001 / (12 * 400 * 600))
    assert np.std(found.draws["a"]) == pytest.approx(expected, rel=0.15)
    at = replace(found, level=0.9).interval("a")
    assert at.high - at.low == pytest.approx(2 * 1.645 * expected, rel=0.2)


def test_the_same_seed_gives_the_same_draws_in_portions_too(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, liked, users = planted()
    whole = over_users({"a": scores}, liked, users, draws=50, seed=9)
    monkeypatch.setattr("core.metrics.intervals.CELLS", 7 * len(scores))
    parted = over_users({"a": scores}, liked, users, draws=50, seed=9)
    assert np.array_equal(whole.draws["a"], parted.draws["a"])
    assert not np.array_equal(whole.draws["a"], over_users({"a": scores}, liked, users, draws=50, seed=8).draws["a"])


@pytest.mark.parametrize("measure", ["auc", "uauc"])
def test_too_few_users_have_a_figure_and_no_interval(measure: str) -> None:
    found = over_users({"a": [0, 1]}, [False, True], ["u", "u"], measure=measure)  # type: ignore[arg-type]
    assert found.interval("a") == pytest.approx((1, math.nan, math.nan), nan_ok=True)
    found = over_users({"a": []}, [], [], measure=measure)  # type: ignore[arg-type]
    assert found.interval("a") == pytest.approx((math.nan, math.nan, math.nan), nan_ok=True)
    found = over_users({"a": [0, 1, 2]}, [True] * 3, ["u", "v", "w"], measure=measure)  # type: ignore[arg-type]
    assert found.interval("a") == pytest.approx((math.nan, math.nan, math.nan), nan_ok=True)


def test_a_thousand_rows_of_five_systems_take_little_time() -> None:
    random = np.random.default_rng(0)
    users = [str(number) for number in random.integers(0, 150, 1_200)]
    systems = {str(place): random.normal(size=1_200) for place in range(5)}
    begun = time.process_time()
    over_users(systems, random.random(1_200) < 0.5, users)
    assert time.process_time() - begun < 5
