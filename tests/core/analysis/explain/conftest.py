"""The data and the model of whole explanations."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from explained_planets import PLANETS
from references import language_model

from core.data.dataset import Dataset
from core.lm.loading.load import LanguageModel


@pytest.fixture(scope="module")
def planets(planets_of: Any) -> Iterator[Dataset]:
    """Three users over twelve items; user u has met eight of them, the last one first time at moment 80."""
    with planets_of({"u": 0, "v": 3, "w": 6}, PLANETS) as dataset:
        yield dataset


@pytest.fixture(scope="module")
def model(tiny_llama: Any, tiny_tokenizer: Any) -> LanguageModel:
    """The tiny model on its own."""
    return language_model(copy.deepcopy(tiny_llama), tiny_tokenizer)
