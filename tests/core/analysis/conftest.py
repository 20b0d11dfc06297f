"""Every supported kind of attention as a pair: the untouched network, and its copy behind our attention."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from references import Pair, language_model

from core.lm.load import LanguageModel


@pytest.fixture(scope="session", params=["tiny_llama", "tiny_qwen3", "tiny_gemma2", "tiny_gemma3"])
def pair(request: pytest.FixtureRequest) -> Pair:
    network = request.getfixturevalue(request.param)
    reference = copy.deepcopy(network)
    reference.set_attn_implementation("eager")
    return Pair(reference, language_model(copy.deepcopy(network)))


@pytest.fixture(scope="session")
def exact(tiny_llama: Any) -> LanguageModel:
    """A Llama in double precision, for finite differences."""
    return language_model(copy.deepcopy(tiny_llama).double())
