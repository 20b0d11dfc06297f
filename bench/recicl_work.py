"""What part `recicl` asks, who answers it, and the answers themselves, one round at a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from bench.cases import CANDIDATES, Bench
from bench.recicl_records import ids_of, kept
from bench.recicl_references import asked_of, referred
from bench.records import Record
from core.data.dataset import Dataset
from core.errors import ModelError
from core.lm.adapter import adapter_folder
from core.lm.load import LanguageModel
from core.lm.many import sweep_tokens
from core.prompt.spans import Family, Prompt
from core.tuning.evaluation.evaluate import (
    FAMILIES,
    Floats,
    Listed,
    answer_prompts,
    drawn,
    list_prompts,
    listed,
    scored,
)
from core.tuning.evaluation.summary import Answers
from core.tuning.evaluation.ways import ANSWERING, FRESH, MOST_DEMOS, RANKING, TUNED, Tuned
from core.tuning.examples import Example, Window, split_times
from core.tuning.training.card import Card, later, read_card

ROUND = 25
"""Test interactions between two looks at the figures."""
PER_LIST = 5
"""Test interactions for every list that is ranked: 200 lists for 1,000."""
HISTORY = 3
"""Titles in each history where no adapter's card says how many it was tuned with."""
Asking = tuple[Family | None, str, Tuned]
"""Family of the lists (none: single answers), name of the way, and its model."""


@dataclass(frozen=True)
class Work:
    """What is asked, and who answers."""

    dataset: Dataset
    seed: int
    test: Window
    asked: tuple[Example, ...]
    lists: tuple[Listed, ...]
    history: int
    """Most titles in each history."""
    models: dict[Tuned, LanguageModel]
    """Those that are there, around one copy of the weights."""
    missing: tuple[str, ...]
    """A sentence for each that is not."""

    @property
    def rounds(self) -> int:
        """In how many portions the work is done."""
        return -(-len(self.asked) // ROUND)

    def prompts(self, number: int) -> dict[Asking, list[Prompt]]:
        """All prompts of a round, from 0: single answers of every way, and its lists in both families."""
        per = ROUND // PER_LIST
        asked, lists = self.asked[number * ROUND : (number + 1) * ROUND], self.lists[number * per : (number + 1) * per]
        found: dict[Asking, list[Prompt]] = {}
        for way in (way for way in ANSWERING if way.tuned in self.models):
            model = self.models[way.tuned]
            found[None, way.name, way.tuned] = answer_prompts(model, self.dataset, asked, demos=way.demos)
        for way in (way for way in RANKING if way.tuned in self.models and lists):
            model = self.models[way.tuned]
            for family in FAMILIES:
                prompts = list_prompts(model, self.dataset, lists, family=family, demos=way.demos)
                found[family, way.name, way.tuned] = prompts
        return found

    @property
    def tokens(self) -> int:
        """About how many tokens the whole work runs, from its first round."""
        return self.rounds * sum(sweep_tokens(prompts) for prompts in self.prompts(0).values())

    @cached_property
    def references(self) -> Record:
        """Scores of the classical references on everything that is asked, and what each of them saw."""
        content = [self.dataset.dataset_id, self.test.since, self.seed, asked_of(self.asked, self.lists)]
        return kept("references", content, lambda: referred(self.dataset, self.test, self.asked, self.lists, self.seed))

    @property
    def notices(self) -> tuple[str, ...]:
        """Which models are missing, and what each reference saw."""
        return (*self.missing, *(f"{name} saw {needs}." for name, needs in self.references["needs"].items()))


def planned(bench: Bench, count: int) -> Work:
    """`count` test interactions, a fifth as many lists, and the models that are there.

    Leaves with a sentence when an adapter was tuned on interactions of the test.
    """
    *_, test = split_times(bench.dataset)
    models: dict[Tuned, LanguageModel] = {}
    missing = []
    for tuned in TUNED:
        try:
            models[tuned] = bench.model.with_adapter(None if tuned == "base" else tuned)
        except ModelError as error:
            missing.append(f"{TUNED[tuned]} is not measured: {error}.")
    cards = {tuned: card for tuned, model in models.items() if (card := _card(model)) is not None}
    for tuned, card in cards.items():
        if card.dataset_id == bench.dataset.dataset_id and later(card.validation_until, test.since):
            raise SystemExit(f"bench: {TUNED[tuned]} was tuned on interactions of the test, so nothing can be measured")
    draw = {"history": cards["recicl"].settings.history if "recicl" in cards else HISTORY, "seed": bench.seed}
    lists = max(1, count // PER_LIST)
    return Work(
        dataset=bench.dataset,
        seed=bench.seed,
        test=test,
        asked=drawn(bench.dataset, test, count=count, demos=MOST_DEMOS, **draw),
        lists=listed(bench.dataset, test, count=lists, candidates=CANDIDATES, demos=FRESH, **draw),
        history=draw["history"],
        models=models,
        missing=tuple(missing),
    )


def _card(model: LanguageModel) -> Card | None:
    return None if model.adapter is None else read_card(adapter_folder(model.adapter))


@dataclass
class Found:
    """Scores so far: of single answers by way, of lists by (family, way)."""

    answers: dict[str, list[float]] = field(default_factory=dict)
    ranked: dict[tuple[Family, str], list[list[float]]] = field(default_factory=dict)
    tokens: int = 0
    seconds: float = 0.0
    """Of the forward passes, when they were made."""

    def add(self, work: Work, number: int) -> None:
        """Measure a round, or take it from its records."""
        for (family, name, tuned), prompts in work.prompts(number).items():
            record = scores_of(work.models[tuned], prompts)
            self.tokens += record["tokens"]
            self.seconds += record["seconds"]
            if family is None:
                self.answers.setdefault(name, []).extend(row[0] for row in record["scores"])
            else:
                self.ranked.setdefault((family, name), []).extend(record["scores"])

    def answered(self, work: Work) -> Answers:
        """Single answers of models and references so far."""
        count = max(map(len, self.answers.values()), default=0)
        scores = {name: np.array(found) for name, found in self.answers.items()}
        scores |= {name: np.array(found[:count]) for name, found in work.references["answers"].items()}
        return Answers(work.asked[:count], scores)

    def listed(self, work: Work) -> tuple[tuple[Listed, ...], dict[tuple[Family | None, str], Floats]]:
        """The lists ranked so far, and their scores [list, candidate] by models and references."""
        count = max(map(len, self.ranked.values()), default=0)
        scores: dict[tuple[Family | None, str], Floats] = {key: np.array(rows) for key, rows in self.ranked.items()}
        scores |= {(None, name): np.array(rows[:count]) for name, rows in work.references["lists"].items()}
        return work.lists[:count], scores


def scores_of(model: LanguageModel, prompts: Sequence[Prompt]) -> Record:
    """Scores [prompt, candidate] of one model, tokens run and seconds."""

    def measure() -> Record:
        start = time.perf_counter()
        scores, cost = scored(model, prompts)
        return {"scores": scores.tolist(), "tokens": cost.tokens, "seconds": time.perf_counter() - start}

    return kept("scores", [model.model_id, model.dtype, ids_of(prompts)], measure)
