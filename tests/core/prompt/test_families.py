"""The rows of the prompt families."""

from __future__ import annotations

from typing import get_args

import pytest

from core.prompt.families import FAMILIES, Family
from core.prompt.template import template_for


@pytest.mark.parametrize("family", get_args(Family))
def test_every_family_has_a_row_and_templates_with_and_without_codes(family: Family) -> None:
    row = FAMILIES[family]
    assert row.name == family
    assert row.words
    for codes in (False, True):
        assert ("{answer}" in template_for(family, codes=codes).demo) == row.labelled


def test_a_demonstration_says_yes_or_no_where_it_is_labelled() -> None:
    assert {name: (row.answer(True), row.answer(False)) for name, row in FAMILIES.items()} == {
        "yes_no": ("Yes", "No"),
        "next_item": (None, None),
    }


def test_only_titles_are_scored_in_several_ways() -> None:
    assert [name for name, row in FAMILIES.items() if row.calibrates("calibrated")] == ["next_item"]
    assert not any(row.calibrates("sum") for row in FAMILIES.values())
