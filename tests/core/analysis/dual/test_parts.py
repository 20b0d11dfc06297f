"""The dual model's parts against the network's own eager attention, on five architectures and on the sample model."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from questions import explain_task
from references import Pair, language_model, random_prompt
from tiny_networks import shape, tiny_network
from transformers import GptOssConfig, GptOssForCausalLM

from core.analysis.dual import parts as parts_module
from core.analysis.dual.parts import Attention, attention_mass, dual_parts, ids_of, labels_of, position_in
from core.analysis.setting import set_up
from core.data.dataset import open_dataset
from core.errors import Cancelled, RequestError
from core.lm.forward.attention import NAME, Probe
from core.lm.loading.load import load
from core.lm.scoring.score import Scorer


@pytest.fixture(scope="session")
def tiny_gpt_oss(tiny_transformers_tokenizer: Any) -> Any:
    """Attention sinks that hold a good share, and a sliding window in the first layer."""
    sizes = shape(
        len(tiny_transformers_tokenizer),
        sliding_window=8,
        num_local_experts=4,
        num_experts_per_tok=2,
        layer_types=["sliding_attention", "full_attention"],
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
    )
    network = tiny_network(GptOssConfig(**sizes), GptOssForCausalLM)
    for layer in network.model.layers:
        layer.self_attn.sinks.data.add_(2.0)
    return network


@pytest.fixture(scope="session", params=["tiny_llama", "tiny_qwen3", "tiny_gemma2", "tiny_gemma3", "tiny_gpt_oss"])
def pair(request: pytest.FixtureRequest) -> Pair:
    """Grouped heads and RoPE in all; QK-norm in the second and fourth, soft capping and windows in the third."""
    network = request.getfixturevalue(request.param)
    reference = copy.deepcopy(network)
    reference.set_attn_implementation("eager")
    return Pair(reference, language_model(copy.deepcopy(network)))


def read(pair: Pair, prompt: Any, **choices: Any) -> list[Attention]:
    seen: list[Attention] = []
    dual_parts(pair.model, prompt, see=lambda attention, _: seen.append(attention), **choices)
    return seen


def into_projection(reference: Any, token_ids: list[int]) -> torch.Tensor:
    """What the untouched network puts into each layer's output projection, [layer, token, head x width]."""
    caught: list[torch.Tensor] = []
    hooks = [
        layer.self_attn.o_proj.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0][0]))
        for layer in reference.model.layers
    ]
    with torch.no_grad():
        reference(torch.tensor([token_ids]), use_cache=False)
    for hook in hooks:
        hook.remove()
    return torch.stack(caught)


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
@pytest.mark.parametrize("position", [0, 9, 20, -2, -1])
def test_parts_add_up_to_the_model_s_own_attention_output(pair: Pair, family: Any, position: int) -> None:
    """At any position, in the instruction, inside a demonstration and in the query."""
    prompt = random_prompt(family)
    parts = dual_parts(pair.model, prompt, candidate=1, position=position)
    assert parts.residual.shape == (pair.model.layers, pair.model.heads)
    assert float(parts.residual.max()) <= 1e-5
    np.testing.assert_allclose(parts.masses.sum(axis=-1) + parts.sink_masses, 1.0, atol=1e-12)
    untouched = into_projection(pair.reference, ids_of(prompt, 1))[:, position].double().numpy()
    np.testing.assert_allclose(parts.outputs.sum(axis=2).reshape(untouched.shape), untouched, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("position", [-1, -3])
def test_the_start_weights_are_zero_shot_attention_over_the_same_keys_times_their_mass(
    pair: Pair, position: int
) -> None:
    """W0 phi(q) = (Z_T/Z) x attention that is left when the demonstrations' keys are struck out, sink included."""
    prompt = random_prompt("yes_no")
    parts = dual_parts(pair.model, prompt, position=position)
    others = (labels_of(prompt, 0) == 4).numpy()
    for layer in read(pair, prompt, position=position):
        for number in range(pair.model.heads):
            group = number // (pair.model.heads // layer.keys.shape[0])
            keep = others & layer.visible.numpy()
            logits = layer.scale * (layer.keys[group].numpy()[keep] @ layer.query[number].numpy())
            if layer.softcap is not None:
                logits = layer.softcap * np.tanh(logits / layer.softcap)
            held = np.exp(logits)
            z = held.sum() + (0.0 if layer.sinks is None else np.exp(float(layer.sinks[number])))
            zero_shot = held @ layer.values[group].numpy()[keep] / z
            factor = parts.zero_factor[layer.layer, number]
            np.testing.assert_allclose(parts.outputs[layer.layer, number, -1], factor * zero_shot, atol=1e-12)


def test_in_the_first_layer_that_is_what_a_gate_of_zero_leaves(pair: Pair) -> None:
    prompt, labels = random_prompt("yes_no"), labels_of(random_prompt("yes_no"), 0)
    parts = dual_parts(pair.model, prompt)
    probe = Probe(rows=torch.tensor([len(labels) - 1]), label_of=labels, parts=5)
    with torch.no_grad():
        Scorer(pair.model, prompt).gated(torch.zeros(4), candidates=[0], probe=probe)
    zero_shot = probe.outputs[0][:, 0, -1].numpy()
    np.testing.assert_allclose(parts.outputs[0, :, -1], parts.zero_factor[0, :, None] * zero_shot, atol=1e-5)


def test_without_demonstrations_all_is_start_weights(pair: Pair) -> None:
    parts = dual_parts(pair.model, random_prompt("yes_no", demos=0))
    assert parts.outputs.shape[2] == 1
    np.testing.assert_allclose(parts.zero_factor, 1.0, atol=1e-12)
    assert float(parts.residual.max()) <= 1e-5


def test_inside_a_demonstration_it_reads_its_own_beginning_and_nothing_later(pair: Pair) -> None:
    prompt = random_prompt("yes_no")
    at = labels_of(prompt, 0).tolist().index(2) + 2
    masses = dual_parts(pair.model, prompt, position=at).masses
    assert np.all(masses[..., 2] > 0)
    assert np.all(masses[..., 3] == 0)


@pytest.mark.parametrize("kind", ["tiny_gemma2", "tiny_gpt_oss"])
def test_a_window_hides_early_demonstrations_from_its_layers_only(kind: str, request: pytest.FixtureRequest) -> None:
    masses = dual_parts(language_model(request.getfixturevalue(kind)), random_prompt("yes_no")).masses
    assert np.all(masses[0, :, 0] == 0)
    assert np.all(masses[1, :, 0] > 0)


def test_sinks_hold_a_share_of_the_normaliser(tiny_gpt_oss: Any) -> None:
    parts = dual_parts(language_model(tiny_gpt_oss), random_prompt("yes_no"))
    assert parts.sink_masses.max() > 0.05
    assert parts.masses.sum(axis=-1).max() < 1


def test_rows_at_a_time_change_nothing(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = dual_parts(pair.model, random_prompt("yes_no"))
    monkeypatch.setattr(parts_module, "ROWS", 7)
    few = dual_parts(pair.model, random_prompt("yes_no"))
    np.testing.assert_allclose(few.outputs, whole.outputs, atol=1e-5)


def test_one_head_alone_gives_the_same_output(pair: Pair) -> None:
    prompt = random_prompt("yes_no")
    parts = dual_parts(pair.model, prompt)
    for layer in read(pair, prompt):
        head = layer.head(3, labels_of(prompt, 0), 4)
        assert len(head.keys) == int(layer.visible.sum())
        weights = layer.weights()[0][3, layer.visible]
        np.testing.assert_allclose(weights @ head.values, parts.outputs[layer.layer, 3].sum(axis=0), atol=1e-12)


def test_checking_leaves_the_network_with_our_attention(pair: Pair) -> None:
    dual_parts(pair.model, random_prompt("yes_no"))
    assert pair.model.network.config._attn_implementation == NAME


def test_so_does_a_check_that_is_broken_off(pair: Pair) -> None:
    def see(attention: Attention, outputs: torch.Tensor) -> None:
        raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        dual_parts(pair.model, random_prompt("yes_no"), see=see)
    assert pair.model.network.config._attn_implementation == NAME


@given(st.integers(1, 9_000), st.integers(-10_000, 10_000))
def test_a_position_is_one_of_the_prompt_s_tokens_or_refused(tokens: int, position: int) -> None:
    if -tokens <= position < tokens:
        assert range(tokens)[position] == position_in(tokens, position)
    else:
        with pytest.raises(RequestError, match=f"token {position} of a prompt of {tokens} tokens; expected"):
            position_in(tokens, position)


def test_attention_mass_is_the_parts_mean_share(pair: Pair) -> None:
    prompt = random_prompt("yes_no")
    mass = attention_mass(Scorer(pair.model, prompt), 0)
    np.testing.assert_allclose(mass, dual_parts(pair.model, prompt).masses[..., :4].mean(axis=(0, 1)), atol=1e-5)


@pytest.mark.sample
@pytest.mark.slow
def test_on_the_sample_parts_add_up_at_every_kind_of_position() -> None:
    model = load("sample")
    prompt = set_up(explain_task(demos=3, candidates=4, history=3), open_dataset("sample"), model).prompt
    inside = labels_of(prompt, 0).tolist().index(1) + 3
    for position in (inside, -1):
        parts = dual_parts(model, prompt, position=position)
        assert parts.residual.shape == (model.layers, model.heads)
        assert float(parts.residual.max()) <= 1e-5
