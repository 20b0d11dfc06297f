"""Small explanations of three users over twelve items, for tests of whole runs."""

from __future__ import annotations

from typing import Any

from questions import explain_task

from core.analysis.explain.explain_run import explain
from core.analysis.explain.explain_task import Explain
from core.analysis.explain.explanation import Explanation
from core.data.dataset import Dataset
from core.lm.loading.load import LanguageModel

PLANETS = (
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
    "Eris",
    "Vesta",
)


def small(**choices: Any) -> Explain:
    """A question with three demonstrations and five candidates."""
    return explain_task(**{"user": "u", "demos": 3, "candidates": 5, "history": 2, "budget": 6.0, **choices})


def last(task: Explain, planets: Dataset, model: LanguageModel) -> Explanation:
    """The complete explanation."""
    return list(explain(task, dataset=planets, model=model))[-1]
