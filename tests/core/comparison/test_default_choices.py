"""A kept choice is the default for its data; what a person set stays; a command line that repeats a task is whole."""

from __future__ import annotations

import shlex

import choices
from hypothesis import given
from hypothesis import strategies as some
from questions import tasks

from core.analysis.explain.explain_task import Explain
from core.comparison.default_choices import default_choices, sentence_of, with_default_choices, without_explicit
from core.question.case_spec import CaseSpec
from core.question.command_line import CHOSEN_BY_DATA, MATERIAL, command_line

CHOICE = choices.choice()
NONE = choices.choice(most=1)


def test_the_defaults_are_those_of_the_choice_or_the_general_ones() -> None:
    assert default_choices(CHOICE) == {
        "family": "next_item",
        "strategy": "neighbours",
        "demos": 16,
        "order": "nearest_last",
        "each": 1,
        "scoring": "sum",
        "prior": 0.0,
    }
    assert default_choices(NONE)["demos"] == 0
    assert default_choices(None) == {name: getattr(CaseSpec(), name) for name in CHOSEN_BY_DATA}


@given(
    task=tasks(Explain), before=some.sampled_from([None, CHOICE, NONE]), after=some.sampled_from([None, CHOICE, NONE])
)
def test_what_a_person_set_stays(task: Explain, before: object, after: object) -> None:
    fresh = with_default_choices(task.case, before, after)  # type: ignore[arg-type]
    old, new = default_choices(before), default_choices(after)  # type: ignore[arg-type]
    for name in CHOSEN_BY_DATA:
        was = getattr(task.case, name)
        assert fresh.get(name, was) == (new[name] if was == old[name] else was)


def test_explicit_choices_win() -> None:
    left = without_explicit(CHOICE, {"dataset": "/d", "demos": "2", "strategy": "recent"})
    assert left == {"family": "next_item", "order": "nearest_last", "each": 1, "scoring": "sum", "prior": 0.0}


def test_the_sentence_says_which_default_holds() -> None:
    case = CaseSpec(dataset="/data/my films", adapter="recicl")
    assert sentence_of(CHOICE, case).startswith("Chosen on validation lists of this data set: 16 demonstrations")
    assert sentence_of(NONE, case).startswith("On these data no demonstrations help: none are worth their tokens")
    assert sentence_of(None, case).endswith("demolens choose --dataset '/data/my films' --adapter recicl")


@given(task=tasks(Explain))
def test_a_command_that_names_material_names_what_may_have_another_default(task: Explain) -> None:
    words = shlex.split(command_line(task))
    named = any(getattr(task.case, name) != getattr(CaseSpec(), name) for name in MATERIAL)
    if task.case.imported:  # Nothing is kept for finished prompts, whose choices are none of data.
        assert not any(f"--{name}" in words for name in CHOSEN_BY_DATA if name != "scoring")
    else:
        assert not named or all(f"--{name}" in words for name in CHOSEN_BY_DATA)
