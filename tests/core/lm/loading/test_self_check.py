"""A model is taken only where a forest of segments gives what plain passes of the same network give."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from families import small_network
from references import language_model, random_prompt
from transformers import PreTrainedTokenizerFast

from core.cli import command
from core.errors import ModelError
from core.lm.loading.load import load
from core.lm.loading.self_check import LIMIT, WINDOW, proven
from core.lm.scoring.score import Scorer


def saved(kind: str, tokenizer: PreTrainedTokenizerFast, folder: Path, **more: Any) -> str:
    small_network(kind, **more).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("kind", ["stablelm", "nemotron"])
def test_layers_that_drop_arguments_read_forests_all_the_same(
    kind: str, tiny_transformers_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    proof = load(saved(kind, tiny_transformers_tokenizer, tmp_path), device="cpu").proof
    assert proof is not None
    assert max(proof.packed, proof.remembered, proof.gate_one, proof.gate_zero) < 1e-5


def test_a_recurrent_state_that_runs_through_branches_is_refused(
    tiny_transformers_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    folder = saved("falcon_h1", tiny_transformers_tokenizer, tmp_path)
    with pytest.raises(ModelError, match="falcon_h1, branches packed into one pass") as refused:
        load(folder, device="cpu")
    assert str(refused.value).startswith(folder)
    words = ["explain", "--user", "12", "--demos", "2", "--model", folder]
    assert command.status_of(lambda: command.app(words, standalone_mode=False)) == 2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rounding_to_16_bits_hides_nothing_and_refuses_nobody(dtype: torch.dtype) -> None:
    """Experts are chosen anew by the last bit, so logits of the same passes differ by half their spread in 16 bits."""
    proof = proven(small_network("hunyuan_v1_moe").to(dtype), where="here")
    assert max(proof.packed, proof.remembered, proof.gate_one, proof.gate_zero) < 2e-5
    with pytest.raises(ModelError, match="differ from plain passes"):
        proven(small_network("plbart").to(dtype), where="here")


def test_the_first_layers_decide_only_where_they_hold_every_kind_of_layer() -> None:
    late = ["full_attention"] * 5 + ["conv"]
    proven(small_network("lfm2", num_hidden_layers=6, layer_types=late[:5] + late[:1]), where="here")
    with pytest.raises(ModelError, match="lfm2"):
        proven(small_network("lfm2", num_hidden_layers=6, layer_types=late), where="here")


def test_windows_longer_than_what_is_measured_are_crossed_all_the_same() -> None:
    network = small_network("gemma2", sliding_window=512)
    for module in network.modules():
        if hasattr(module, "sliding_window"):
            module.sliding_window = None  # a family that forgets to hand its window on
    with pytest.raises(ModelError, match="gemma2"):
        proven(network, where="here")


def test_the_network_itself_stays_as_it_is() -> None:
    network = small_network("gemma2", sliding_window=512)
    before, sizes = copy.deepcopy(network), network.config.to_dict()
    proof = proven(network, where="here")
    assert proof.limit == LIMIT
    assert WINDOW < 512
    assert network.config.to_dict() == sizes
    assert [getattr(layer.self_attn, "sliding_window", None) for layer in network.model.layers] == [
        getattr(layer.self_attn, "sliding_window", None) for layer in before.model.layers
    ]
    assert all(torch.equal(one, other) for one, other in zip(network.parameters(), before.parameters(), strict=True))


def test_gradients_of_values_narrower_than_keys_are_slopes() -> None:
    scorer = Scorer(language_model(small_network("minicpm3", v_head_dim=4).double()), random_prompt("next_item"))
    gates = torch.tensor([0.3, 0.9, 0.5, 0.7], dtype=torch.float64, requires_grad=True)
    scorer.gated(gates)[0].backward()
    assert gates.grad is not None
    for demo in range(4):  # its norms are in single precision: a smaller step would measure their rounding
        step = 2e-3 * torch.nn.functional.one_hot(torch.tensor(demo), 4)
        with torch.no_grad():
            slope = (scorer.gated(gates + step)[0] - scorer.gated(gates - step)[0]) / 4e-3
        torch.testing.assert_close(gates.grad[demo], slope, atol=1e-3, rtol=1e-3)
