"""The training and validation examples of a run, and their order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from core.data.dataset import Dataset
from core.errors import DataError
from core.prompt.families import FAMILIES, Family
from core.seeds import generator
from core.tuning.examples import Example, Window, check_answerable, examples_in, split_times
from core.tuning.list_examples import rankable
from core.tuning.training.answer_tokens import answer_counts
from core.tuning.training.training_settings import TuningSettings


@dataclass(frozen=True)
class TrainingSet:
    """The examples of a run and their order, which follows from the settings alone."""

    settings: TuningSettings
    dataset_id: str
    windows: tuple[Window, Window, Window]
    """Training, validation and test."""
    training: Mapping[Family, tuple[Example, ...]]
    """Those of lists are liked ones without demonstrations, in every family."""
    validation: tuple[Example, ...]
    """Of family `judged`, liked ones only where lists are ranked; empty without validation."""

    @property
    def judged(self) -> Family:
        """The family of the validation examples: one with labels, where there is one."""
        families = self.settings.families
        return next((family for family in families if FAMILIES[family].labelled), families[0])

    @property
    def takes(self) -> dict[Family, int]:
        """Prompts of each family in a batch."""
        first, *others = self.settings.families
        half = self.settings.batch // 2
        return {first: self.settings.batch - half, others[0]: half} if others else {first: self.settings.batch}

    @property
    def steps(self) -> int:
        """Steps of the whole schedule: until every family was gone through `epochs` times, or `most_steps`."""
        needed = max(
            math.ceil(self.settings.epochs * len(self.training[family]) / take) for family, take in self.takes.items()
        )
        return min(needed, self.settings.most_steps or needed)

    def batch(self, step: int) -> list[tuple[Family, Example]]:
        """The prompts of a step, counted from 0, with the numbers of demonstrations drawn for them."""
        return [(family, self._drawn(family, place, example)) for family, place, example in self.rows(step)]

    def rows(self, step: int) -> list[tuple[Family, int, Example]]:
        """The examples of a step with their places; every family is a stream of permutations, one per epoch."""
        rows: list[tuple[Family, int, Example]] = []
        for family, take in self.takes.items():
            for place in range(step * take, (step + 1) * take):
                epoch, index = divmod(place, len(self.training[family]))
                rows.append((family, place, self.training[family][self._order(family, epoch)[index]]))
        return rows

    def _drawn(self, family: Family, place: int, example: Example) -> Example:
        """The example with the number of demonstrations drawn for its place."""
        epoch, index = divmod(place, len(self.training[family]))
        random = generator(self.dataset_id, "demonstrations", self.settings.seed, family, epoch, index)
        if random.random() >= self.settings.dropped:
            return example
        left_out = len(example.demos) - int(random.integers(0, len(example.demos) + 1))
        return replace(example, demos=example.demos[left_out:])

    def _order(self, family: Family, epoch: int) -> list[int]:
        random = generator(self.dataset_id, "order", self.settings.seed, family, epoch)
        order: list[int] = random.permutation(len(self.training[family])).tolist()
        return order


def training_set(settings: TuningSettings, dataset: Dataset) -> TrainingSet:
    """The examples that the settings ask for.

    Raises the errors of `core.tuning.examples`, and `DataError` where all answers to learn from are the same.
    """
    windows = split_times(dataset, share=settings.share, validation=settings.validation)
    limits, ranked = _shares(settings), settings.loss == "list"
    demos = 0 if ranked else settings.demos  # Those of a list are picked when its prompt is written.
    draw = partial(examples_in, dataset, demos=demos, history=settings.history, seed=settings.seed)
    if ranked:
        check_answerable(dataset, settings.families)
    training = {
        family: draw(windows[0], limit=limits[family], family="next_item" if ranked else family)
        for family in settings.families
    }
    if ranked:
        training = {family: rankable(dataset, rows) for family, rows in training.items()}
    examples = TrainingSet(settings, dataset.dataset_id, windows, training, ())
    if FAMILIES[examples.judged].labelled and not ranked:
        _check_answers(training[examples.judged], settings)
    if settings.validation_examples == 0:
        return examples
    judged = "next_item" if ranked else examples.judged
    validation = draw(windows[1], limit=settings.validation_examples, family=judged)
    return replace(examples, validation=rankable(dataset, validation) if ranked else validation)


def _shares(settings: TuningSettings) -> dict[Family, int | None]:
    """Most training examples of each family."""
    first, *others = settings.families
    most = settings.most_examples
    if not others:
        return {first: most}
    return {first: most and max(1, most - most // 2), others[0]: most and max(1, most // 2)}


def _check_answers(training: tuple[Example, ...], settings: TuningSettings) -> None:
    yes, no = answer_counts(training, settings.loss)
    if not yes or not no:
        raise DataError(
            f"all {yes + no} answers of the training set are {'Yes' if yes else 'No'}",
            expected="both answers to learn from; more examples, or family next_item",
        )
