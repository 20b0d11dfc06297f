"""The runs of this room: a comparison on later lists, and a race on validation lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from core.comparison.arm import COMPARED, Arm, arms_of
from core.comparison.choose import Race
from core.comparison.compared_lists import later_lists, validation_lists_of
from core.comparison.comparison import StrategyComparison, comparison_of
from core.comparison.comparison_settings import HISTORY, ChoiceSettings
from core.comparison.kept_choice import Choice, choice_of
from core.comparison.list_outcomes import ListOutcomes
from core.data.dataset import Dataset
from core.data.records import Case
from core.errors import RequestError
from core.lm.loading.load import LanguageModel
from core.prompt.families import FAMILIES
from core.question.command_line import command_of
from core.tuning.evaluation.blends import WeightOf, no_weight
from core.tuning.evaluation.evaluation_plan import ScoreCache, uncached
from core.tuning.evaluation.evaluation_settings import EvaluationSettings

ROUND = 5
"""Lists between two looks at the figures."""


def compare(
    settings: EvaluationSettings,
    dataset: Dataset,
    model: LanguageModel,
    *,
    made_by: str,
    adapter: str | None = None,
    cache: ScoreCache = uncached,
    between: Callable[[str], None] = lambda _: None,
    weight_of: WeightOf = no_weight,
) -> Iterator[StrategyComparison]:
    """Every strategy with `settings.demos` demonstrations on later lists; the figures after every `ROUND` lists."""
    history = HISTORY if settings.history is None else settings.history
    lists = later_lists(
        dataset,
        count=settings.ranked,
        candidates=settings.candidates,
        history=history,
        share=settings.share,
        seed=settings.seed,
    )
    arms = arms_of(FAMILIES, COMPARED, (settings.demos,), adapter=adapter)
    outcomes = ListOutcomes(
        dataset, {adapter: model}, history, settings.dataset, settings.model, cache=cache, between=between
    )
    period = "after the cut in time" if dataset.has_time else "each user's last interaction"
    named = settings.prior
    weights = weight_of if named is None else lambda _adapter, _family, _scoring: named
    yield from compared(outcomes, arms, lists, period=period, seed=settings.seed, made_by=made_by, weight_of=weights)


def compared(
    outcomes: ListOutcomes,
    arms: Sequence[Arm],
    lists: Sequence[Case],
    *,
    period: str,
    seed: int,
    made_by: str,
    weight_of: WeightOf = no_weight,
) -> Iterator[StrategyComparison]:
    """The figures of arms after every `ROUND` lists. Raises `RequestError` where there is no list."""
    if not lists:
        raise RequestError("no list to rank", expected="later liked interactions of users with earlier ones")
    for stop in range(ROUND, len(lists) + ROUND, ROUND):
        some = lists[:stop]
        outcomes.measure(arms, some)
        yield comparison_of(outcomes, arms, some, period=period, seed=seed, made_by=made_by, weight_of=weight_of)


def choose(
    settings: ChoiceSettings,
    dataset: Dataset,
    model: LanguageModel,
    *,
    cache: ScoreCache = uncached,
    between: Callable[[str], None] = lambda _: None,
) -> Choice:
    """The default demonstrations of a data set for a model, by a race on validation lists.

    Raises `DataError` for data without timestamps or without later lists.
    """
    lists = validation_lists_of(settings, dataset)
    outcomes = ListOutcomes(
        dataset, {settings.adapter: model}, settings.history, settings.dataset, settings.model, cache, between
    )
    race = Race(outcomes, lists, settings.seed, settings.adapter)
    race.run(settings.families, settings.strategies, settings.numbers)
    return choice_of(
        race.rows(),
        dataset_id=dataset.dataset_id,
        dataset_name=dataset.name,
        model=settings.model,
        model_id=model.model_id,
        history=settings.history,
        candidates=settings.candidates,
        command=command_of(settings, "choose"),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
