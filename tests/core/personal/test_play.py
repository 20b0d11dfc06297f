"""A play knows the interactions whose answer is known, in their order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.data.dataset import open_dataset
from core.personal.personalise_task import PersonaliseTask
from core.personal.play import play_of
from core.question.case_spec import CaseSpec


def test_what_is_not_rated_is_not_played(tuning_home: Path, films_of: Any) -> None:
    rows = [("u", n, rating, n) for n, rating in enumerate([3, 5, 0, 1, 0, 4, 2])]
    dataset = open_dataset(str(films_of([*rows, ("v", 8, 3, 1), ("v", 9, 3, 2)])))
    play = play_of(PersonaliseTask(case=CaseSpec(user="u", candidates=3), steps=2), dataset)
    assert [(met.item_id, met.liked, met.demo_id) for met in play.met] == [
        ("0", False, "u:0"),
        ("1", True, "u:1"),
        ("3", False, "u:3"),
        ("5", True, "u:5"),
    ]
    assert play.start == 2
    assert [met.item_id for met in play.case.history] == ["0", "1", "3", "5"]
