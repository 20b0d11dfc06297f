"""What a request is about, and what the data could not fill of it."""

from __future__ import annotations

import pytest
from questions import explain_task

from core.analysis.subject import subject_of

TITLES = [f"Planet {place}" for place in range(10)]


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({"candidates": 3, "demos": 7}, []),
        ({"candidates": 5, "demos": 7}, ["Only 3 of the 5 candidates asked for"]),
        ({"candidates": 3, "demos": 9}, ["Only 7 of the 9 demonstrations asked for: this user has no more"]),
        ({"candidates": 3, "demos": 4, "strategy": "similar"}, ["Only 1 of the 4 demonstrations asked for"]),
        ({"candidates": 5, "candidate_ids": ("1", "2"), "demos": 9, "demo_ids": ("1:0",), "strategy": "manual"}, []),
    ],
)
def test_what_the_data_could_not_fill_is_said(planets_of, choices, expected):
    """Of ten planets a user has met eight: with the one chosen next, three can be ranked; seven come before it."""
    with planets_of({"1": 0, "2": -1}, TITLES) as data:
        shortages = subject_of(explain_task(user="1", **choices), data).shortages
    assert all(sentence.startswith(start) for sentence, start in zip(shortages, expected, strict=True))
