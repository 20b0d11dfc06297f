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
from core.tuning.examples import Example, Window, examples_in, split_times
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
    validation: tuple[Example, ...]
    """Of family `judged`; empty without validation."""

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
        """The prompts of a step, counted from 0; every family is a stream of permutations, one per epoch."""
        prompts: list[tuple[Family, Example]] = []
        for family, take in self.takes.items():
            prompts += [(family, self._drawn(family, place)) for place in range(step * take, (step + 1) * take)]
        return prompts

    def _drawn(self, family: Family, place: int) -> Example:
        """The example at a place of the family's stream, with the number of demonstrations drawn for it."""
        rows = self.training[family]
        epoch, index = divmod(place, len(rows))
        example = rows[self._order(family, epoch)[index]]
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
    limits = _shares(settings)
    draw = partial(examples_in, dataset, demos=settings.demos, history=settings.history, seed=settings.seed)
    training = {family: draw(windows[0], limit=limits[family], family=family) for family in settings.families}
    examples = TrainingSet(settings, dataset.dataset_id, windows, training, ())
    if FAMILIES[examples.judged].labelled:
        _check_answers(training[examples.judged], settings)
    if settings.validation_examples == 0:
        return examples
    validation = draw(windows[1], limit=settings.validation_examples, family=examples.judged)
    return replace(examples, validation=validation)


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
