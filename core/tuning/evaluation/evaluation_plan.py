"""The plan of an evaluation: its examples, lists and models, and their scores one round at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from core.data.dataset import Dataset
from core.errors import ModelError, RequestError
from core.lm.loading.adapter import adapter_folder
from core.lm.loading.load import LanguageModel
from core.lm.scoring.many import scores_of_prompts, sweep_tokens
from core.metrics.intervals import Floats
from core.prompt.families import FAMILIES, Family
from core.prompt.spans import Prompt
from core.tuning.evaluation.blends import WeightOf, no_weight
from core.tuning.evaluation.evaluate import (
    CandidateList,
    answer_prompts,
    draw_examples,
    draw_lists,
    list_prompts,
)
from core.tuning.evaluation.evaluation_rows import Answers
from core.tuning.evaluation.evaluation_settings import HISTORY, EvaluationSettings
from core.tuning.evaluation.reference_scores import ReferenceScores, questions_of, score_references
from core.tuning.evaluation.ways import (
    ANSWERING,
    FRESH,
    MOST_DEMOS,
    RANKING,
    VARIANT_LABELS,
    AnsweringWay,
    ModelVariant,
)
from core.tuning.examples import Example, Window, split_times
from core.tuning.training.card import Card, later, read_card

ROUND, LISTS = 25, 5
"""Test interactions, and lists, between two looks at the figures."""
PromptGroup = tuple[Family | None, str, ModelVariant]
"""Family of the lists (none: single answers), name of the way, and its model."""
ScoreCache = Callable[[str, object, Callable[[], dict[str, Any]]], dict[str, Any]]
"""`cache(part, content, measure)` returns what `measure` returns, or what it returned before for equal content."""


def uncached(_part: str, _content: object, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Measure anew."""
    return measure()


@dataclass(frozen=True)
class EvaluationPlan:
    """The examples and lists of an evaluation, and the models that score them."""

    settings: EvaluationSettings
    dataset: Dataset
    test: Window
    examples: tuple[Example, ...]
    """Empty over data without ratings, where no answer is No."""
    lists: tuple[CandidateList, ...]
    history: int
    """Most titles in each history."""
    models: dict[ModelVariant, LanguageModel]
    """Those that are there, around one copy of the weights."""
    missing: tuple[str, ...]
    """A sentence for each that is not, and for what the data lack."""
    cache: ScoreCache = uncached
    between: Callable[[str], None] = lambda _: None
    """Called with what comes next, in a few words."""
    weight_of: WeightOf = no_weight
    """Of popularity, in blends that are reported beside the models, unless the settings name one."""

    @property
    def rounds(self) -> int:
        """In how many portions the work is done."""
        return max(-(-len(self.examples) // ROUND), -(-len(self.lists) // LISTS))

    def prompts(self, number: int) -> dict[PromptGroup, list[Prompt]]:
        """All prompts of a round, from 0: single answers of every way, and its lists in every family."""
        examples = self.examples[number * ROUND : (number + 1) * ROUND]
        lists = self.lists[number * LISTS : (number + 1) * LISTS]
        groups: dict[PromptGroup, list[Prompt]] = {}
        for way in (way for way in ANSWERING if way.tuned in self.models and examples):
            model = self.models[way.tuned]
            groups[None, way.name, way.tuned] = answer_prompts(model, self.dataset, examples, demos=way.demos)
        for way in (way for way in RANKING if way.tuned in self.models and lists):
            model = self.models[way.tuned]
            for family in families_of(self.dataset):
                prompts = list_prompts(model, self.dataset, lists, family=family, demos=way.demos)
                groups[family, way.name, way.tuned] = prompts
        return groups

    @property
    def weights(self) -> dict[tuple[Family, str], float]:
        """The weight of popularity of each family and way that ranks lists; 0 where nothing is blended."""
        named = self.settings.prior
        return {
            (family, way.name): self.weight_of(self._adapter(way), family, "sum") if named is None else named
            for way in RANKING
            if way.tuned in self.models
            for family in families_of(self.dataset)
        }

    def _adapter(self, way: AnsweringWay) -> str | None:
        """The adapter of a way, as a case names it."""
        return None if way.tuned == "base" else (self.settings.recicl or way.adapter)

    @property
    def tokens(self) -> int:
        """About how many tokens the whole work runs, from its first round."""
        return self.rounds * sum(sweep_tokens(prompts) for prompts in self.prompts(0).values())

    @cached_property
    def references(self) -> ReferenceScores:
        """Scores of the classical references on the same examples and lists; they are fitted on first use."""
        if not self.settings.references:
            return ReferenceScores()
        seed = self.settings.seed
        content = [self.dataset.dataset_id, self.test.since, seed, questions_of(self.examples, self.lists)]

        def fitted() -> dict[str, object]:
            questions = (self.dataset, self.test, self.examples, self.lists, seed)
            return asdict(score_references(*questions, between=self.between))

        return ReferenceScores(**self.cache("references", content, fitted))

    @property
    def notices(self) -> tuple[str, ...]:
        """Which models are missing, and what each reference was fitted on."""
        return (*self.missing, *self.references.notices)


def families_of(dataset: Dataset) -> tuple[Family, ...]:
    """The prompt families that the data can be asked in."""
    return tuple(name for name, row in FAMILIES.items() if dataset.has_ratings or not row.labelled)


def plan_evaluation(
    settings: EvaluationSettings,
    dataset: Dataset,
    model: LanguageModel,
    *,
    cache: ScoreCache = uncached,
    between: Callable[[str], None] = lambda _: None,
    weight_of: WeightOf = no_weight,
) -> EvaluationPlan:
    """The test of the settings, and the models that are there; `model` may have any adapter or none.

    Raises `ModelError` for an adapter of the settings that cannot be used, `DataError` for data without timestamps,
    and `RequestError` when an adapter was tuned on interactions of the test or the test has no example.
    """
    *_, test = split_times(dataset, share=settings.share)
    models, missing = _models(settings, model)
    history = _history(settings, _checked_cards(models, dataset, test))
    draw = {"history": history, "seed": settings.seed}
    examples: tuple[Example, ...] = ()
    if dataset.has_ratings:
        examples = draw_examples(dataset, test, count=settings.interactions, demos=MOST_DEMOS, **draw)
    else:
        notice = f"The data set {dataset.name} has no ratings, or only equal ones, so only next_item is measured."
        missing.append(notice)
    ranked = {"count": settings.ranked, "candidates": settings.candidates, "demos": FRESH}
    lists: tuple[CandidateList, ...] = ()
    try:
        lists = draw_lists(dataset, test, families=families_of(dataset), **ranked, **draw)
    except RequestError as error:
        if not examples:
            raise
        missing.append(f"No list is ranked: {error}.")
    return EvaluationPlan(
        settings=settings,
        dataset=dataset,
        test=test,
        examples=examples,
        lists=lists,
        history=history,
        models=models,
        missing=tuple(missing),
        cache=cache,
        between=between,
        weight_of=weight_of,
    )


def _models(settings: EvaluationSettings, model: LanguageModel) -> tuple[dict[ModelVariant, LanguageModel], list[str]]:
    """The base model and it with each adapter, and a sentence for each shipped one that cannot be used."""
    models: dict[ModelVariant, LanguageModel] = {}
    missing: list[str] = []
    adapters: dict[ModelVariant, str | None] = {"base": None, "tallrec": settings.tallrec, "recicl": settings.recicl}
    for tuned in VARIANT_LABELS:
        try:
            models[tuned] = model.with_adapter(None if tuned == "base" else adapters[tuned] or tuned)
        except ModelError as error:
            if adapters[tuned] is not None:
                raise
            missing.append(f"{VARIANT_LABELS[tuned]} is not measured: {error}.")
    return models, missing


def _checked_cards(
    models: Mapping[ModelVariant, LanguageModel], dataset: Dataset, test: Window
) -> dict[ModelVariant, Card]:
    """Cards of the adapters that have one; raises `RequestError` where one was tuned on the test."""
    folders = {tuned: adapter_folder(model.adapter) for tuned, model in models.items() if model.adapter is not None}
    cards = {tuned: card for tuned, folder in folders.items() if (card := read_card(folder)) is not None}
    for tuned, card in cards.items():
        if card.dataset_id == dataset.dataset_id and later(card.validation_until, test.since):
            raise RequestError(
                f"{VARIANT_LABELS[tuned]} was tuned on interactions of the test",
                expected="one tuned on what lies before it",
            )
    return cards


def _history(settings: EvaluationSettings, cards: Mapping[ModelVariant, Card]) -> int:
    """Most titles in each history: of the settings, else of RecICL's card."""
    usual = cards["recicl"].settings.history if "recicl" in cards else HISTORY
    return usual if settings.history is None else settings.history


@dataclass
class EvaluationScores:
    """Scores so far: of single answers by way, of lists by (family, way)."""

    answers: dict[str, list[float]] = field(default_factory=dict)
    ranked: dict[tuple[Family, str], list[list[float]]] = field(default_factory=dict)
    tokens: int = 0
    seconds: float = 0.0
    """Of the forward passes, when they were made."""

    def add(self, plan: EvaluationPlan, number: int) -> None:
        """Score a round, or take its scores from the cache."""
        for (family, name, tuned), prompts in plan.prompts(number).items():
            plan.between(name if family is None else f"{name}, lists, {family}")
            record = scores_of(plan.models[tuned], prompts, plan.cache)
            self.tokens += record["tokens"]
            self.seconds += record["seconds"]
            if family is None:
                self.answers.setdefault(name, []).extend(row[0] for row in record["scores"])
            else:
                self.ranked.setdefault((family, name), []).extend(record["scores"])

    def answered(self, plan: EvaluationPlan) -> Answers:
        """Single answers of models and references so far."""
        count = max(map(len, self.answers.values()), default=0)
        scores = {name: np.array(rows) for name, rows in self.answers.items()}
        if count:
            scores |= {name: np.array(rows[:count]) for name, rows in plan.references.answers.items()}
        return Answers(plan.examples[:count], scores)

    def lists_so_far(
        self, plan: EvaluationPlan
    ) -> tuple[tuple[CandidateList, ...], dict[tuple[Family | None, str], Floats]]:
        """The lists ranked so far, and their scores [list, candidate] by models and references."""
        count = max(map(len, self.ranked.values()), default=0)
        scores: dict[tuple[Family | None, str], Floats] = {key: np.array(rows) for key, rows in self.ranked.items()}
        if count:
            scores |= {(None, name): np.array(rows[:count]) for name, rows in plan.references.lists.items()}
        return plan.lists[:count], scores


def scores_of(model: LanguageModel, prompts: Sequence[Prompt], cache: ScoreCache) -> dict[str, Any]:
    """Under `scores` those of one model, [prompt, candidate] in nats; `tokens` run, and `seconds`."""

    def measure() -> dict[str, Any]:
        start = time.perf_counter()
        scores, cost = scores_of_prompts(model, prompts)
        return {"scores": scores.tolist(), "tokens": cost.tokens, "seconds": time.perf_counter() - start}

    return cache("scores", [model.model_id, model.dtype, ids_of(prompts)], measure)


def ids_of(prompts: Sequence[Prompt]) -> list[object]:
    """What a model reads of each prompt: the tokens of the prefix and of every candidate, and those of the answers."""
    return [
        [
            [token for span in prompt.prefix for token in span.token_ids],
            [list(span.token_ids) for span in prompt.candidates],
            prompt.answer_ids,
        ]
        for prompt in prompts
    ]
