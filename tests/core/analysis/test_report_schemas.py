"""What every kind of work really answers fits the schema that is kept for it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from questions import LABELLED
from references import language_model

from core.data.dataset import Dataset
from core.lm.loading.load import LanguageModel
from core.question.command_line import task_of
from core.question.kinds import KINDS
from core.work.job import ROOT

TITLES = (
    "Mercury",
    "Venus",
    "Earth",
    "Mars",
    "Jupiter",
    "Saturn",
    "Uranus",
    "Neptune",
    "Pluto",
    "Ceres",
    "Vesta",
    "Juno",
)
CASE = {"user": "u", "demos": 3, "candidates": 4, "history": 2}
SMALL: dict[str, dict[str, Any]] = {
    "explain": {"budget": 4.0, "faithfulness": 2},
    "quality": {"stability": 2},
    "utility": {"users": 2, "least_history": 7},
    "robustness": {"quick": True, "alpha": 0.1, "dropout": 0.25, "samples": 2},
    "dual": {"features": (16, 64), "draws": 3, "steps": 4},
    "updates": {"repeats": 1},
    "improve": {"k": 2, "pool": 8, "shortlist": 4, "held_out": 2, "negatives": 2, "budget": 8.0},
    "personalise": {"steps": 1, "compare": False},
}
"""Own choices that make a task of a kind small; a kind without any runs as it is."""


@pytest.fixture(scope="module")
def planets(planets_of: Any) -> Iterator[Dataset]:
    """Four users over twelve items."""
    with planets_of({"u": 0, "v": 3, "w": 6, "x": 9}, TITLES, step=2) as dataset:
        yield dataset


@pytest.fixture(scope="module")
def model(tiny_llama: Any, tiny_tokenizer: Any) -> LanguageModel:
    return language_model(copy.deepcopy(tiny_llama), tiny_tokenizer)


@pytest.mark.parametrize("kind", KINDS)
def test_every_answer_fits_its_schema(planets: Dataset, model: LanguageModel, kind: str) -> None:
    schema = json.loads((ROOT / "assets" / "schemas" / f"{kind}.schema.json").read_text(encoding="utf-8"))
    task = task_of(KINDS[kind].task, {**LABELLED, **CASE, **SMALL.get(kind, {})})
    answers = list(KINDS[kind].run(task, dataset=planets, model=model))
    assert answers[-1].stage == "complete"
    for answer in (answers[0], answers[-1]):
        found = json.loads(answer.model_dump_json())
        jsonschema.validate(found, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(found | {"provenance": None}, schema)
