"""Item mean and popularity by hand, and what every reference may see of the data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from planted import Row, opened, two_tastes

from core.data.dataset import Dataset
from core.errors import RequestError
from core.tuning.classical.factorisation import matrix_factorisation
from core.tuning.classical.references import PRIOR, item_mean, popularity, training_rows
from core.tuning.classical.sasrec import Shape, sasrec
from core.tuning.examples import Window

ROWS: list[Row] = [
    ("b", "x", 5, 10), ("b", "y", 2, 20), ("a", "x", 4, 30), ("a", "z", 1, 30), ("c", "x", 3, 40), ("c", "y", 5, 50),
]  # fmt: skip
WHOLE = Window()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEMOLENS_HOME", str(tmp_path_factory.mktemp("home")))
        yield tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def rated(home: Path) -> Dataset:
    return opened(home / "rated", ROWS)


def test_the_table_holds_the_window_only_by_user_and_time(rated: Dataset) -> None:
    rows = training_rows(rated, Window(since=20, until=50))
    assert (rows.users, rows.items) == (("a", "b", "c"), ("x", "y", "z"))
    told = [(rows.users[u], rows.items[i], bool(y), t) for u, i, y, t in zip(
        rows.user, rows.item, rows.liked, rows.timestamp, strict=True)]  # fmt: skip
    assert told == [("a", "x", True, 30), ("a", "z", False, 30), ("b", "y", False, 20), ("c", "x", False, 40)]
    assert len(training_rows(rated, WHOLE).liked) == 6
    assert training_rows(rated, Window(until=30)).users == ("b",)


def test_the_item_mean_is_the_share_of_likes_drawn_to_the_whole(rated: Dataset) -> None:
    found = item_mean(rated, Window(until=50)).scores("nobody", (), ["x", "y", "z", "unknown"])
    overall = 2 / 5
    expected = [(2 + PRIOR * overall) / (3 + PRIOR), PRIOR * overall / (1 + PRIOR), PRIOR * overall / (1 + PRIOR), 0.4]
    assert found == pytest.approx(expected)


def test_popularity_counts_whatever_the_answer(rated: Dataset) -> None:
    assert popularity(rated, Window(until=50)).scores("b", (), ["z", "x", "unknown", "y"]).tolist() == [1, 3, 0, 1]


@pytest.mark.parametrize("build", [item_mean, popularity, matrix_factorisation, sasrec])
def test_an_empty_window_is_refused(rated: Dataset, build: object) -> None:
    with pytest.raises(RequestError, match="no interaction lies in the training window"):
        build(rated, Window(until=10))  # type: ignore[operator]


def test_one_answer_only_is_refused_where_answers_are_needed(rated: Dataset) -> None:
    for build in (item_mean, matrix_factorisation):
        with pytest.raises(RequestError, match="the training window holds only likes; expected both answers for"):
            build(rated, Window(until=20))
    assert popularity(rated, Window(until=20)).scores("b", (), ["x"]) == [1]


def test_data_without_ratings_or_times(home: Path) -> None:
    plain = opened(home / "plain", [(user, item, None, None) for user, item, *_ in ROWS])
    for build in (item_mean, matrix_factorisation):
        with pytest.raises(RequestError, match=r"no ratings.*expected ratings for .*; popularity and SASRec need none"):
            build(plain, WHOLE)
    assert popularity(plain, WHOLE).scores("a", (), ["x"]) == [3]
    found = sasrec(plain, WHOLE, shape=Shape(width=4, epochs=2)).scores("a", ["x"], ["y", "z", "unknown"])
    assert np.isfinite(found).all()
    with pytest.raises(RequestError, match="no timestamps to cut at; expected a training window without ends"):
        popularity(plain, Window(until=3))


def test_nothing_from_outside_the_window_is_seen(home: Path) -> None:
    """Turning every later answer round changes no score of any reference."""
    rows = two_tastes()
    cut = 200.0
    turned = [(u, i, r if t is not None and t < cut else 6 - (r or 0), t) for u, i, r, t in rows]
    first, second = opened(home / "first", rows), opened(home / "second", turned)
    items = sorted({item for _, item, *_ in rows})
    for build in (item_mean, popularity):
        plain, other = (build(data, Window(until=cut)).scores("u1", ("i3",), items) for data in (first, second))
        assert np.array_equal(plain, other)
    before = [training_rows(data, Window(until=cut)) for data in (first, second)]
    for name in ("user", "item", "liked", "timestamp"):
        assert np.array_equal(*(getattr(rows, name) for rows in before))


def test_the_latest_tenth_is_by_time_or_by_place(home: Path) -> None:
    timed = training_rows(opened(home / "timed", two_tastes()), WHOLE)
    assert timed.recent.sum() == pytest.approx(len(timed.user) / 10, abs=1)
    assert timed.timestamp[timed.recent].min() > timed.timestamp[~timed.recent].max()
    plain = training_rows(opened(home / "places", [(u, i, r, None) for u, i, r, _ in two_tastes()]), WHOLE)
    assert plain.recent.sum() == 24  # 16 rows a user: the last of them, as 15 >= 0.9 * 16
    assert plain.recent[15::16].all()
