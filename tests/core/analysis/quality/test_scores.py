"""Energies, cosines and alignment against explicit sums, an explicit feature map and finite differences."""

from __future__ import annotations

import copy
import itertools
import math
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import Pair, language_model, random_prompt
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from core.analysis.quality.score_rows import length_scores, position_scores, random_scores
from core.analysis.quality.scores import (
    Gram,
    _reading_probe,
    alignment,
    gain,
    label_free,
    layer_gram,
    redundancy,
    stability,
    total,
)
from core.analysis.values import TargetScore
from core.errors import ComputeError
from core.lm.loading.load import LanguageModel
from core.lm.scoring.score import Scorer
from core.prompt.spans import Prompt

WITNESS = "quality_test_witness"


def products(gram: Gram) -> np.ndarray:
    return gram.sign * np.exp(gram.log)


def drawn(kv_heads: int = 2, tokens: int = 9, width: int = 4, seed: int = 0, size: float = 1.0) -> Any:
    make = torch.Generator().manual_seed(seed)
    keys, values = (torch.randn(kv_heads, tokens, width, generator=make, dtype=torch.float64) * size for _ in range(2))
    owner = torch.tensor([-1, 0, 0, 1, 1, 1, -1, 2, 2])[:tokens]
    norms = torch.randn(2 * kv_heads, generator=make, dtype=torch.float64)
    return keys, values, owner, norms


def double_loop(keys: Any, values: Any, owner: Any, norms: Any, scale: float, demos: int) -> np.ndarray:
    """Sum over query heads of (1/Z^2) sum_{i in a, j in b} (v_i.v_j) exp(scale k_i.k_j), term by term."""
    sums = np.zeros((demos, demos))
    group = len(norms) // len(keys)
    for head, norm in enumerate(norms.tolist()):
        k, v = keys[head // group].double().numpy(), values[head // group].double().numpy()
        for i, j in itertools.product(range(len(owner)), repeat=2):
            if owner[i] >= 0 and owner[j] >= 0:
                sums[owner[i], owner[j]] += v[i] @ v[j] * math.exp(scale * (k[i] @ k[j]) - 2 * norm)
    return sums


def test_a_layer_s_gram_is_the_double_sum() -> None:
    keys, values, owner, norms = drawn()
    gram = layer_gram(keys, values, owner, 3, scale=0.5, norms=norms)
    np.testing.assert_allclose(products(gram), double_loop(keys, values, owner, norms, 0.5, 3), rtol=1e-10)
    np.testing.assert_allclose(np.exp(gram.energy), np.diag(products(gram)), rtol=1e-12)


def test_the_energy_is_the_squared_norm_of_a_sum_of_outer_products() -> None:
    """phi as the Taylor features x^n / sqrt(n!), whose products add up to exp(x.y): finite, and exact to rounding."""
    keys, values, owner, norms = drawn(kv_heads=1, width=2, size=0.8)

    def phi(x: np.ndarray) -> np.ndarray:
        powers = [np.ones(1)]
        for degree in range(1, 14):
            powers.append(np.kron(powers[-1], x) / math.sqrt(degree))
        return np.concatenate(powers)

    features = [phi(key) for key in keys[0].numpy() * math.sqrt(0.5)]
    updates = [
        sum(np.outer(values[0, i].numpy(), features[i]) for i in range(len(owner)) if owner[i] == k) for k in range(3)
    ]
    one_over_z = np.exp(-2 * norms.numpy()).sum()
    expected = np.array([[one_over_z * float((a * b).sum()) for b in updates] for a in updates])
    gram = layer_gram(keys, values, owner, 3, scale=0.5, norms=norms)
    np.testing.assert_allclose(products(gram), expected, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.floats(0.01, 60.0))
def test_the_gram_is_symmetric_and_positive_semidefinite_at_any_size_of_keys(seed: int, size: float) -> None:
    keys, values, owner, norms = drawn(seed=seed, size=size)
    cosines = total([layer_gram(keys, values, owner, 3, scale=0.5, norms=norms)]).cosines
    np.testing.assert_array_equal(cosines, cosines.T)
    np.testing.assert_allclose(np.diag(cosines), 1.0)
    assert np.linalg.eigvalsh(cosines).min() > -1e-9


def test_keys_too_long_for_floating_point_still_have_an_energy() -> None:
    keys, values, owner, norms = drawn()
    gram = layer_gram(keys * 40, values, owner, 3, scale=0.5, norms=norms)
    assert np.isfinite(gram.energy).all()
    assert gram.energy.max() > 710, "exp of this is no double"


def test_scales_that_cancel_leave_the_cosines_alone() -> None:
    keys, values, owner, norms = drawn()
    plain = layer_gram(keys, values, owner, 3, scale=0.5, norms=norms)
    louder = layer_gram(keys, values * 7, owner, 3, scale=0.5, norms=norms + 3)
    np.testing.assert_allclose(louder.cosines, plain.cosines, rtol=1e-10)
    np.testing.assert_allclose(louder.energy, plain.energy + 2 * math.log(7) - 6, rtol=1e-10)
    halved = layer_gram(keys * 2, values, owner, 3, scale=0.125, norms=norms)
    np.testing.assert_allclose(halved.log, plain.log, rtol=1e-10)


def test_equal_keys_and_values_are_wholly_redundant() -> None:
    keys, values, _, norms = drawn(tokens=6)
    keys[:, 2:4], values[:, 2:4] = keys[:, 0:2], values[:, 0:2]
    owner = torch.tensor([0, 0, 1, 1, 2, 2])
    cosines = layer_gram(keys, values, owner, 3, scale=0.5, norms=norms).cosines
    assert cosines[0, 1] == pytest.approx(1.0, abs=1e-12)
    largest, nearest = redundancy(cosines)
    assert largest[:2] == pytest.approx([1.0, 1.0], abs=1e-12)
    assert nearest[:2] == [1, 0]


def test_layers_add_up_with_their_signs() -> None:
    grams = [layer_gram(*drawn(seed=seed)[:3], 3, scale=0.5, norms=drawn(seed=seed)[3]) for seed in range(4)]
    np.testing.assert_allclose(products(total(grams)), sum(products(gram) for gram in grams), rtol=1e-9)


def test_redundancy_of_one_or_of_nothing_is_undefined() -> None:
    alone, nobody = redundancy(np.ones((1, 1)))
    assert np.isnan(alone).all()
    assert nobody == [None]
    values, nearest = redundancy(np.empty((0, 0)))
    assert len(values) == len(nearest) == 0
    unseen, other = redundancy(np.array([[1.0, -0.5, np.nan], [-0.5, 1.0, np.nan], [np.nan] * 3]))
    np.testing.assert_array_equal(unseen, [-0.5, -0.5, np.nan])
    assert other == [1, 0, None]


def witnessed(reference: Any, prompt: Prompt) -> list[dict[str, Any]]:
    """Query at the last token of the prefix, keys and values of every layer, as the untouched network has them."""
    network, seen = copy.deepcopy(reference), []

    def witness(module: Any, query: Any, key: Any, value: Any, mask: Any, **rest: Any) -> Any:
        seen.append({"query": query[0, :, -1], "keys": key[0], "values": value[0], "rest": rest})
        return sys.modules[module.__module__].eager_attention_forward(module, query, key, value, mask, **rest)

    AttentionInterface.register(WITNESS, witness)
    AttentionMaskInterface.register(WITNESS, eager_mask)
    network.set_attn_implementation(WITNESS)
    with torch.no_grad():
        network(torch.tensor([[token for span in prompt.prefix for token in span.token_ids]]), use_cache=False)
    return seen


def test_one_pass_gives_the_double_sum_over_layers_and_heads(pair: Pair) -> None:
    """Rotation by position, shared keys, windows, norms on keys and caps, each from the untouched network."""
    prompt = random_prompt("yes_no")
    whole = np.zeros((4, 4))
    owner = np.array([span.index if span.kind == "demo" else -1 for span in prompt.prefix for _ in span.token_ids])
    for layer in witnessed(pair.reference, prompt):
        scale, cap = layer["rest"]["scaling"], layer["rest"].get("softcap")
        window = layer["rest"].get("sliding_window") or len(owner)
        seen = np.arange(len(owner)) > len(owner) - 1 - window
        group = len(layer["query"]) // len(layer["keys"])
        keys = layer["keys"].double().repeat_interleave(group, 0)
        scores = scale * torch.einsum("hw,htw->ht", layer["query"].double(), keys)
        scores = scores if cap is None else cap * torch.tanh(scores / cap)
        norms = torch.logsumexp(scores[:, torch.from_numpy(seen)], dim=1)
        visible = np.where(seen, owner, -1)
        whole += double_loop(layer["keys"], layer["values"], visible, norms, scale, 4)
    scorer = Scorer(pair.model, prompt)
    found = label_free(scorer)
    assert scorer.cost.forwards == 1
    assert scorer.cost.tokens == len(owner)
    np.testing.assert_allclose(products(found.gram), whole, rtol=2e-4, atol=1e-5 * np.abs(whole).max())
    assert found.capped == (pair.reference.config.model_type == "gemma2")


def test_demonstrations_behind_every_window_have_no_effect(tiny_gemma2: Any) -> None:
    network = copy.deepcopy(tiny_gemma2)
    network.config.layer_types = ["sliding_attention"] * 2
    for layer in network.model.layers:
        layer.attention_type = "sliding_attention"
        layer.self_attn.sliding_window = 8
        layer.self_attn.is_sliding = True
    found = label_free(Scorer(language_model(network), random_prompt("yes_no")))
    assert 0 in found.unseen
    assert np.isnan(found.gram.cosines[0]).all()
    assert np.isneginf(found.gram.energy[0])


def test_identical_demonstrations_at_different_positions_have_a_cosine(pair: Pair) -> None:
    """Equal words are not equal keys: the rotation by position turns them, so the cosine is defined, and below 1."""
    prompt = random_prompt("yes_no")
    twice = replace(prompt, demos=(prompt.demos[0], replace(prompt.demos[0], index=1), *prompt.demos[2:]))
    cosines = label_free(Scorer(pair.model, twice)).gram.cosines
    assert np.isfinite(cosines).all()
    assert 0 < cosines[0, 1] < 1


def test_no_demonstrations_have_an_empty_gram(pair: Pair) -> None:
    found = label_free(Scorer(pair.model, random_prompt("yes_no", demos=0)))
    assert found.gram.cosines.shape == (0, 0)
    assert found.gram.energy.shape == (0,)


def test_running_out_of_memory_is_said_with_the_size(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("injected")

    monkeypatch.setattr("core.analysis.quality.scores.run", full)
    with pytest.raises(ComputeError, match=r"out of memory on cpu in one pass over \d+ tokens"):
        label_free(Scorer(pair.model, random_prompt("yes_no")))


# ---- with a target


def nudged(model: LanguageModel, score: TargetScore, layer: int, rows: list[int], push: torch.Tensor) -> float:
    """The target score when `push` [row, heads x width] is added to a layer's attention output at `rows`."""

    def add(_: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        output = inputs[0].clone()
        output[0, rows] += push.to(output.dtype)
        return (output, *inputs[1:])

    handle = model.network.model.layers[layer].self_attn.o_proj.register_forward_pre_hook(add)
    try:
        with torch.no_grad():
            return float(score.at_gates(torch.ones(score.demos, dtype=torch.float64)))
    finally:
        handle.remove()


@pytest.mark.parametrize(("family", "against"), [("yes_no", None), ("yes_no", 3), ("next_item", None)])
def test_the_slope_is_the_change_of_score_along_the_demonstration_s_part(
    exact: LanguageModel, family: Any, against: int | None
) -> None:
    prompt = random_prompt(family)
    score = TargetScore(Scorer(exact, prompt), 1, against)
    answer = alignment(score)
    probe = _reading_probe(score, {})
    with torch.no_grad():
        score.scorer.gated(torch.ones(4), candidates=score.candidates, probe=probe)
    prefix = sum(len(span.token_ids) for span in prompt.prefix)
    first = prefix + len(prompt.candidates[1].token_ids) - 1
    rows = [prefix - 1] if family == "next_item" else [first]
    if against is not None:
        rows.append(first + len(prompt.candidates[against].token_ids))
    assert probe.rows.tolist() == rows
    for layer, demo in itertools.product(range(exact.layers), (0, 2)):
        part = probe.outputs[layer][:, :, demo].double().transpose(0, 1).flatten(1)
        step = 1e-2
        far, near = (
            nudged(exact, score, layer, rows, size * part) - nudged(exact, score, layer, rows, -size * part)
            for size in (2 * step, step)
        )
        assert answer.slopes[demo, layer] == pytest.approx((8 * near - far) / (12 * step), rel=1e-2, abs=1e-4)


def test_alignment_is_a_cosine_over_all_layers_and_within_each(pair: Pair) -> None:
    answer = alignment(TargetScore(Scorer(pair.model, random_prompt("next_item")), 0))
    assert answer.values.shape == (4,)
    assert answer.by_layer.shape == (4, pair.model.layers)
    assert np.nanmax(np.abs(answer.by_layer)) <= 1 + 1e-9
    assert np.array_equal(np.sign(answer.values), np.sign(answer.slopes.sum(axis=1)))
    assert answer.spent.backwards == 1
    assert answer.spent.passes == pytest.approx(3.0, rel=0.15)


def test_the_alignment_with_a_swapped_margin_is_the_opposite(pair: Pair) -> None:
    prompt = random_prompt("next_item")
    one = alignment(TargetScore(Scorer(pair.model, prompt), 1, 3)).values
    other = alignment(TargetScore(Scorer(pair.model, prompt), 3, 1)).values
    np.testing.assert_allclose(one, -other, atol=1e-4)


def test_gain_is_one_gradient_or_refined_with_intervals(pair: Pair) -> None:
    prompt = random_prompt("yes_no")
    quick = gain(TargetScore(Scorer(pair.model, prompt), 1))
    assert quick.low is None
    assert quick.spent.backwards == 1
    assert quick.spent.passes == pytest.approx(3.0, rel=0.15)
    refined = gain(TargetScore(Scorer(pair.model, prompt), 1), method="default", budget=8)
    assert refined.low is not None
    assert refined.high is not None
    assert np.all((refined.low <= refined.values) & (refined.values <= refined.high))
    np.testing.assert_allclose(refined.gradient, quick.values, atol=1e-5)


def test_stability_counts_only_perturbations_that_left_the_demonstration_in() -> None:
    nan = math.nan
    gains = np.array([1.0, -2.0, 0.5, 0.0])
    perturbed = [np.array([0.1, 0.1, nan, 1.0]), np.array([2.0, -1.0, nan, 0.0]), np.array([-0.1, nan, nan, 1.0])]
    shares, counts = stability(gains, perturbed)
    np.testing.assert_allclose(shares, [2 / 3, 1 / 2, nan, nan])
    np.testing.assert_array_equal(counts, [3, 2, 0, 3])
    none, zero = stability(gains, [])
    assert np.isnan(none).all()
    assert not zero.any()


def test_the_floors_know_only_seed_length_and_place() -> None:
    prompt = random_prompt("yes_no")
    np.testing.assert_array_equal(length_scores(prompt), [len(span.token_ids) for span in prompt.demos])
    np.testing.assert_array_equal(random_scores(5, "u", 1), random_scores(5, "u", 1))
    assert not np.array_equal(random_scores(5, "u", 1), random_scores(5, "u", 2))
    assert len(random_scores(0)) == 0
    np.testing.assert_array_equal(position_scores(prompt), range(len(prompt.demos)))
