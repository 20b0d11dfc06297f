"""Which prompts a step sees: every example once an epoch, families half and half, fewer demonstrations at times."""

from __future__ import annotations

from collections import Counter

import pytest

from core.data.dataset import Dataset
from core.errors import DataError
from core.tuning.training.batches import training_set
from core.tuning.training.training_settings import TuningSettings


@pytest.fixture
def plain(tuning: TuningSettings) -> TuningSettings:
    return tuning.model_copy(update={"most_steps": None, "epochs": 2, "dropped": 0.0, "batch": 5})


def test_an_epoch_is_every_example_once_in_a_new_order(plain: TuningSettings, films: Dataset) -> None:
    material = training_set(plain, films)
    training = material.training["yes_no"]
    seen = [example for step in range(material.steps) for _, example in material.batch(step)]
    assert material.steps == -(-2 * len(training) // 5)
    first, second = seen[: len(training)], seen[len(training) : 2 * len(training)]
    assert Counter(map(id, first)) == Counter(map(id, second)) == Counter(map(id, training))
    assert list(map(id, first)) != list(map(id, second))
    assert material.batch(3) == training_set(plain, films).batch(3)
    assert material.batch(3) != training_set(plain.model_copy(update={"seed": 1}), films).batch(3)


def test_training_ends_before_validation_and_validation_before_the_test(plain: TuningSettings, films: Dataset) -> None:
    material = training_set(plain, films)
    train, validation, _ = material.windows
    assert train.until is not None
    assert all((one.timestamp or 0) < train.until for one in material.training["yes_no"])
    assert all(train.until <= (one.timestamp or 0) < (validation.until or 0) for one in material.validation)


def test_two_families_share_every_batch(plain: TuningSettings, films: Dataset) -> None:
    both = plain.model_copy(update={"families": ("yes_no", "next_item"), "most_examples": 9})
    material = training_set(both, films)
    assert {family: len(given) for family, given in material.training.items()} == {"yes_no": 5, "next_item": 4}
    assert Counter(family for family, _ in material.batch(1)) == {"yes_no": 3, "next_item": 2}
    assert all(example.liked for family, example in material.batch(1) if family == "next_item")
    assert material.judged == "yes_no"
    assert material.steps == max(-(-2 * 5 // 3), -(-2 * 4 // 2))


def test_some_prompts_show_fewer_demonstrations_the_latest(plain: TuningSettings, films: Dataset) -> None:
    whole = training_set(plain.model_copy(update={"demos": 4}), films)
    always = training_set(plain.model_copy(update={"demos": 4, "dropped": 1.0, "epochs": 40}), films)
    full = {(one.user_id, one.position): one.demos for one in whole.training["yes_no"]}
    shown = [one for step in range(always.steps) for _, one in always.batch(step)]
    for one in shown:
        given = full[one.user_id, one.position]
        assert one.demos == given[len(given) - len(one.demos) :]
    counts = Counter(len(one.demos) for one in shown if len(full[one.user_id, one.position]) == 4)
    total = sum(counts.values())
    assert all(counts[number] / total == pytest.approx(0.2, abs=0.05) for number in range(5))
    assert all(one.demos == full[one.user_id, one.position] for _, one in whole.batch(0))


def test_one_answer_only_is_told(plain: TuningSettings, films: Dataset) -> None:
    few = plain.model_copy(update={"most_examples": 1, "demos": 0})
    with pytest.raises(DataError, match=r"all 1 answers of the training set are (Yes|No); expected both answers"):
        training_set(few, films)


def test_without_validation_nothing_is_drawn_for_it(plain: TuningSettings, films: Dataset) -> None:
    assert training_set(plain.model_copy(update={"validation_examples": 0}), films).validation == ()
