"""A model with an adapter beside its weights is read and fine-tuned as one with the adapter merged."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from adapters import LINEAR, merged_copy, saved_adapter
from references import language_model, random_prompt
from tiny_networks import shape, tiny_network
from transformers import Phi3Config, Phi3ForCausalLM

from core.analysis.dual.material import Material
from core.analysis.dual.tuning import Trainee, random_twin
from core.lm.loading.hashes import weights_sha256

RATE = 0.02


def material() -> Material:
    prompt = random_prompt("yes_no", demos=3)
    return Material(
        instruction=prompt.instruction.token_ids,
        demos=tuple(span.token_ids for span in prompt.demos),
        answers=tuple(range(2, 4) for _ in prompt.demos),
        query=(*prompt.query.token_ids, *prompt.candidates[0].token_ids),
    )


@pytest.fixture(params=["tiny_llama", "tiny_qwen3", "fused"])
def networks(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Any]:
    """With the adapter beside the weights, and merged into them."""
    fused = request.param == "fused"
    plain = tiny_network(Phi3Config(**shape(384)), Phi3ForCausalLM) if fused else request.getfixturevalue(request.param)
    plain = copy.deepcopy(plain).double()
    folder = saved_adapter(plain, tmp_path / "adapter", targets=("qkv_proj", "o_proj") if fused else LINEAR)
    merged = language_model(merged_copy(plain, folder))
    return language_model(plain).with_adapter(str(folder)).network, merged.network


def test_an_epoch_is_that_of_the_merged_model(networks: tuple[Any, Any]) -> None:
    samples = material().samples
    before = weights_sha256(networks[0])
    made, wanted = (Trainee(one).tune(samples, rate=RATE, order=range(3)) for one in networks)
    assert made.loss == pytest.approx(wanted.loss, abs=1e-9)
    start, merged_start = (Trainee(one).copies() for one in networks)
    assert [name.replace(".base_layer", "") for name in made.weights] == [*wanted.weights]
    for (name, weight), (other, same) in zip(made.weights.items(), wanted.weights.items(), strict=True):
        step, expected = weight - start[name], same - merged_start[other]
        assert expected.abs().max() > 1e-6
        torch.testing.assert_close(step.detach(), expected.detach(), atol=1e-9, rtol=1e-6)
    assert weights_sha256(networks[0]) == before


def test_it_reads_as_the_merged_model(networks: tuple[Any, Any]) -> None:
    made = material()
    here, there = (
        Trainee(one).read(made.few_shot, query_length=len(made.query), context=made.context) for one in networks
    )
    for one, other in ((here.outputs, there.outputs), (here.scores, there.scores), (here.queries, there.queries)):
        for layer, expected in zip(one, other, strict=True):
            np.testing.assert_allclose(layer, expected, atol=1e-8)


def test_the_random_control_has_the_plain_shape(networks: tuple[Any, Any]) -> None:
    twin, same = (random_twin(one, 1) for one in networks)
    assert weights_sha256(twin) == weights_sha256(same)
