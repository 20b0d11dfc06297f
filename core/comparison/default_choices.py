"""Which demonstrations are the default for the data, the model and the adapter that a person names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.comparison.comparison_settings import ChoiceSettings
from core.comparison.kept_choice import Choice
from core.question.case_spec import CaseSpec
from core.question.command_line import CHOSEN_BY_DATA, command_of


def default_choices(choice: Choice | None) -> dict[str, Any]:
    """The values of `CHOSEN_BY_DATA` where nobody names them: of the kept choice, else the general defaults."""
    source = CaseSpec() if choice is None else choice
    return {name: getattr(source, name) for name in CHOSEN_BY_DATA}


def with_default_choices(case: CaseSpec, before: Choice | None, after: Choice | None) -> dict[str, Any]:
    """The defaults under `after` of those choices that the case has at the defaults under `before`.

    What a person set to something else stays as it is.
    """
    old, new = default_choices(before), default_choices(after)
    return {name: value for name, value in new.items() if getattr(case, name) == old[name]}


def without_explicit(choice: Choice, choices: Mapping[str, object]) -> dict[str, Any]:
    """The values of a kept choice that `choices`, flat as of a command line, do not name."""
    return {name: value for name, value in default_choices(choice).items() if name not in choices}


def sentence_of(choice: Choice | None, case: CaseSpec) -> str:
    """Which default holds for the data, model and adapter of a case, and why."""
    if choice is None:
        settings = ChoiceSettings(dataset=case.dataset, model=case.model, adapter=case.adapter)
        command = command_of(settings, "choose")
        return f"No demonstrations are chosen for these data and this model yet; the general default holds. {command}"
    return f"Chosen on validation lists of this data set: {choice.sentence}" if choice.demos else choice.sentence
