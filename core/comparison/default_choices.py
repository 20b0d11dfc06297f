"""Which demonstrations are the default for the data, the model and the adapter that a person names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.comparison.comparison_settings import ChoiceSettings
from core.comparison.kept_choice import Choice, kept_choice
from core.errors import DemoLensError
from core.lm.loading.adapter import adapter_folder
from core.prompt.families import Family
from core.question.case_spec import CaseSpec, Scoring
from core.question.command_line import CHOSEN_BY_DATA, command_of
from core.tuning.evaluation.blends import WeightOf
from core.tuning.training.card import read_card


def stated_prior(adapter: str | None) -> float:
    """The weight of popularity that an adapter's card states; 0 without an adapter, a card or a weight."""
    try:
        card = None if adapter is None else read_card(adapter_folder(adapter))
    except DemoLensError:
        return 0.0
    return 0.0 if card is None else card.prior


def weights_for(dataset_id: str, model: str) -> WeightOf:
    """The weight of popularity that is kept for these data and a model with any adapter, for the family and scoring
    that it was fitted for; where none was fitted, the one that the adapter's card states."""

    def weight_of(adapter: str | None, family: Family, scoring: Scoring) -> float:
        choice = kept_choice(dataset_id, model, adapter)
        if choice is None or choice.blend is None:
            return stated_prior(adapter)
        return choice.prior if (choice.family, choice.scoring) == (family, scoring) else 0.0

    return weight_of


def default_choices(choice: Choice | None, stated: float = 0.0) -> dict[str, Any]:
    """The values of `CHOSEN_BY_DATA` where nobody names them: of the kept choice, else the general defaults.

    Where no weight of popularity was fitted for the choice it is the one that an adapter's card has `stated`.
    """
    source = CaseSpec() if choice is None else choice
    values = {name: getattr(source, name) for name in CHOSEN_BY_DATA}
    return values if choice is not None and choice.blend is not None else values | {"prior": stated}


def with_default_choices(
    case: CaseSpec, before: Choice | None, after: Choice | None, *, stated: tuple[float, float] = (0.0, 0.0)
) -> dict[str, Any]:
    """The defaults under `after` of those choices that the case has at the defaults under `before`.

    What a person set to something else stays as it is; `stated` are the weights of popularity on the cards of the
    adapters before and after.
    """
    old, new = (default_choices(*pair) for pair in zip((before, after), stated, strict=True))
    return {name: value for name, value in new.items() if getattr(case, name) == old[name]}


def without_explicit(choice: Choice | None, choices: Mapping[str, object], stated: float = 0.0) -> dict[str, Any]:
    """The default values that `choices`, flat as of a command line, do not name; without a kept choice only a weight of
    popularity that a card has `stated`."""
    values = default_choices(choice, stated)
    if choice is None:
        values = {"prior": stated} if stated else {}
    return {name: value for name, value in values.items() if name not in choices}


def sentence_of(choice: Choice | None, case: CaseSpec, stated: float = 0.0) -> str:
    """Which default holds for the data, model and adapter of a case, and why; `stated` as in `default_choices`."""
    sentence = _demonstrations(choice, case)
    if not stated or (choice is not None and choice.blend is not None):
        return sentence
    return f"Popularity has weight {stated:g}, as the card of {case.adapter} states. {sentence}"


def _demonstrations(choice: Choice | None, case: CaseSpec) -> str:
    if choice is None:
        settings = ChoiceSettings(dataset=case.dataset, model=case.model, adapter=case.adapter)
        command = command_of(settings, "choose")
        return f"No demonstrations are chosen for these data and this model yet; the general default holds. {command}"
    return f"Chosen on validation lists of this data set: {choice.sentence}" if choice.demos else choice.sentence
