"""Choices of a tuning run: refused in one sentence, and compared by what they change."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import RequestError
from core.question.checked import checked
from core.tuning.training.training_settings import FREE, TuningSettings

IDS = {"dataset_id": "d", "model_id": "m"}


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"demos": "33"}, "tune: demos is '33'; expected less than or equal to 32"),
        ({"history": "-1"}, "tune: history is '-1'; expected greater than or equal to 0"),
        ({"families": []}, "tune: families is"),
        ({"families": ["yes_no", "yes_no"]}, "tune: families names yes_no twice"),
        ({"families": ["yes_no", "next_item"], "batch": 1}, "tune: a batch of one prompt cannot be shared"),
        ({"learning_rate": "nan"}, "tune: learning_rate is 'nan'"),
        ({"clip": "inf"}, "tune: clip is 'inf'"),
        ({"share": "1"}, "tune: share is '1'"),
        ({"rank": "0"}, "tune: rank is '0'"),
        ({"method": "qlora"}, "tune: method is 'qlora'; expected 'lora' or 'full'"),
        ({"method": "full", "adapter": "recicl"}, "tune: only method lora can begin from an adapter"),
        ({"steps": "3"}, "tune: an unknown choice 'steps'"),
    ],
)
def test_a_wrong_choice_is_one_sentence(choices: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError) as found:
        checked(TuningSettings, "tune", choices)
    assert str(found.value).startswith(said)


def test_every_choice_is_described() -> None:
    assert all(field.description for field in TuningSettings.model_fields.values())


def test_a_run_is_the_same_when_only_its_pauses_differ() -> None:
    key = TuningSettings().key(**IDS)
    assert TuningSettings(minutes=5, checkpoint_every=7, keep="last").key(**IDS) == key
    assert {"minutes", "checkpoint_every", "keep"} == FREE
    changes: dict[str, Any] = {
        "demos": 3, "seed": 1, "rank": 4, "families": ("next_item",), "half": False, "most_steps": 9
    }  # fmt: skip
    keys = {TuningSettings(**{name: value}).key(**IDS) for name, value in changes.items()}
    assert len(keys - {key}) == len(changes)
    assert TuningSettings().key(dataset_id="other", model_id="m") != key
    assert TuningSettings().key(dataset_id="d", model_id="other") != key


def test_the_first_difference_is_told() -> None:
    assert TuningSettings().apart_from(TuningSettings(minutes=1)) is None
    assert TuningSettings(demos=2).apart_from(TuningSettings(demos=8, seed=1)) == "demos 8, not 2"
