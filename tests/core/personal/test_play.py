"""A play knows the interactions whose answer is known, in their order."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.data.dataset import open_dataset
from core.personal.personalise_task import PersonaliseTask
from core.personal.play import play_of, window
from core.question.case_spec import CaseSpec


def test_what_is_not_rated_is_not_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    rows = [("u", n, rating, n) for n, rating in enumerate([3, 5, 0, 1, 0, 4, 2])]
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    lines = ["\t".join(map(str, row)) for row in (*rows, ("v", 8, 3, 1), ("v", 9, 3, 2))]
    titles = ["item_id:token\tmovie_title:token_seq", *(f"{n}\tFilm {n}" for n in range(10))]
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "films.inter").write_text("\n".join([header, *lines]) + "\n")
    (folder / "films.item").write_text("\n".join(titles) + "\n")
    dataset = open_dataset(str(folder))
    play = play_of(PersonaliseTask(case=CaseSpec(user="u", candidates=3), steps=2), dataset)
    assert [(row.item_id, row.liked, row.demo_id) for row in play.interactions] == [
        ("0", False, "u:0"),
        ("1", True, "u:1"),
        ("3", False, "u:3"),
        ("5", True, "u:5"),
    ]
    assert play.start == 2
    assert [row.item_id for row in play.rated] == ["0", "1", "3", "5"]
    assert [row.item_id for row in play.case_at(2).history] == ["0", "1", "2"]  # met, and never shown or asked for
    dataset.close()


@pytest.mark.parametrize(
    ("count", "demos", "places"),
    [
        (0, 4, []),
        (3, 4, [0, 1, 2]),
        (4, 4, [0, 1, 2, 3]),
        (7, 4, [0, 1, 2, 3, 4, 5, 6]),
        (8, 4, [4, 5, 6, 7]),
        (9, 4, [4, 5, 6, 7, 8]),
        (5, 1, [4]),
        (5, 0, []),
    ],
)
def test_the_window_grows_to_2k_less_1_then_drops_k(count: int, demos: int, places: list[int]) -> None:
    assert list(window(count, demos)) == places


@given(count=some.integers(0, 200), demos=some.integers(1, 32))
def test_the_window_shows_the_latest_k_and_at_most_k_less_1_more(count: int, demos: int) -> None:
    shown = window(count, demos)
    assert min(count, demos) <= len(shown) <= 2 * demos - 1
    assert not shown or shown[-1] == count - 1
