"""The explicit dual model against exact softmax attention and against closed forms of gradient descent."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import language_model, random_prompt

from core.analysis.dual.features import (
    Kernel,
    descend,
    directions,
    errors,
    explicit,
    kernel_of,
    minimum,
)
from core.analysis.dual.parts import Attention, Head, dual_parts, labels_of
from core.errors import Cancelled


def head(*, width: int = 8, tokens: int = 30, demos: int = 3, spread: float = 1.0, **more: Any) -> Head:
    """Gaussian keys, values and query; the first third of the tokens lies outside the demonstrations."""
    rng = np.random.default_rng(5)

    def normal(*size: int) -> torch.Tensor:
        return torch.from_numpy(rng.standard_normal(size))

    query, keys, values = normal(width) * spread, normal(tokens, width) * spread + 0.7, normal(tokens, 5)
    labels = torch.from_numpy(rng.integers(0, demos, tokens)) if demos else torch.zeros(tokens, dtype=torch.long)
    labels[: tokens // 3] = demos
    sizes: dict[str, Any] = {"scale": width**-0.5, "softcap": None, "sink": None}
    return Head(0, 0, query, keys, values, labels, demos, output=torch.zeros(5), **{**sizes, **more})


def kernel(**choices: Any) -> Kernel:
    found = kernel_of(head(**choices))
    assert found is not None
    return found


@pytest.mark.parametrize("sink", [None, 2.0])
def test_the_kernel_s_output_is_softmax_attention(sink: float | None) -> None:
    """Neither the scale's two halves nor the keys' mean taken away changes it."""
    raw = head(sink=sink)
    weights = torch.exp(raw.scale * raw.keys @ raw.query)
    z = weights.sum() + (0.0 if sink is None else math.exp(sink))
    found = kernel_of(raw)
    assert found is not None
    torch.testing.assert_close(found.output, (weights / z) @ raw.values, atol=1e-12, rtol=0)
    torch.testing.assert_close(found.keys.mean(dim=0), torch.zeros(8, dtype=torch.float64), atol=1e-12, rtol=0)


def test_soft_capped_logits_have_no_exponential_kernel() -> None:
    assert kernel_of(head(softcap=5.0)) is None


def test_it_is_the_head_of_a_real_model(tiny_qwen3: Any, tiny_gemma3: Any) -> None:
    for network in (tiny_qwen3, tiny_gemma3):
        prompt, seen = random_prompt("yes_no"), []

        def see(attention: Attention, _: Any, into: list[Head] = seen, of: Any = prompt) -> None:
            into.append(attention.head(2, labels_of(of, 0), 4))

        parts = dual_parts(language_model(network), prompt, see=see)
        for one in seen:
            found = kernel_of(one)
            assert found is not None
            np.testing.assert_allclose(found.output, parts.outputs[one.layer, 2].sum(axis=0), atol=1e-12)


@pytest.mark.parametrize("count", [3, 8, 21])
def test_directions_are_orthogonal_in_blocks_and_as_long_as_normal_vectors(count: int) -> None:
    drawn = directions(8, count, np.random.default_rng(0))
    assert drawn.shape == (count, 8)
    for block in drawn.split(8):
        inner = (block @ block.T).numpy()
        np.testing.assert_allclose(inner, np.diag(np.diag(inner)), atol=1e-12)
    many = directions(8, 8_000, np.random.default_rng(1))
    assert float(many.square().sum(1).mean()) == pytest.approx(8.0, abs=5 * 4 / math.sqrt(8_000))
    np.testing.assert_allclose(many.T @ many / 8_000, np.eye(8), atol=0.06)


def test_features_estimate_the_kernel_without_bias() -> None:
    """The mean over 400 draws of phi(k).phi(q) is exp(k.q), within five standard errors."""
    small = kernel(spread=0.5)
    rng = np.random.default_rng(2)
    found = []
    for _ in range(400):
        dual = explicit(small, 16, rng)
        shrunk = dual.phi(small.keys) @ dual.phi_query
        found.append((shrunk * math.exp(dual.key_shift + dual.query_shift)).numpy())
    apart = np.mean(found, axis=0) - torch.exp(small.keys @ small.query).numpy()
    assert np.all(np.abs(apart) <= 5 * np.std(found, axis=0) / 20)


@pytest.mark.parametrize("spread", [1.0, 60.0])
@pytest.mark.parametrize("rate", [0.01, 1.0, 7.0])
def test_one_step_of_gradient_descent_adds_every_demonstration_s_update(spread: float, rate: float) -> None:
    """Also where exp(k.q) itself would overflow."""
    dual = explicit(kernel(spread=spread), 64, np.random.default_rng(3))
    first, second = descend(dual, steps=1, rate=rate)
    expected = dual.start() + sum(dual.update(label) for label in range(3))
    assert torch.equal(first.weights, dual.start())
    size = float(expected.abs().max())
    assert math.isfinite(size)
    assert float((second.weights - expected).abs().max()) <= 1e-10 * max(size, 1.0)


def test_updates_are_the_definition_written_out() -> None:
    """dW_k = (1/Z) sum v_i phi(k_i)^T with features as defined, unshrunk, up to exp(query_shift)."""
    small = kernel()
    dual = explicit(small, 32, np.random.default_rng(4))
    z = torch.exp(small.keys @ small.query).sum()
    for label in range(4):
        expected = torch.zeros(5, 32, dtype=torch.float64)
        for key, value, own in zip(small.keys, small.values, small.labels, strict=True):
            if own == label:
                phi = torch.exp(dual.directions @ key - key @ key / 2) / math.sqrt(32)
                expected += torch.outer(value, phi) / z
        torch.testing.assert_close(dual.update(label) * math.exp(-dual.query_shift), expected, atol=1e-12, rtol=1e-9)


def test_plain_loss_falls_by_the_same_amount_for_ever() -> None:
    dual = explicit(kernel(), 64, np.random.default_rng(5))
    steps = list(descend(dual, steps=6, rate=0.5))
    update = sum(dual.update(label) for label in range(3))
    falls = -np.diff([step.loss for step in steps])
    np.testing.assert_allclose(falls, float((update * update).sum()) / 0.5, rtol=1e-9)
    torch.testing.assert_close(steps[6].weights, dual.start() + 6 * update, rtol=1e-10, atol=1e-12)
    assert minimum(dual, decay=0.0) is None


@pytest.mark.parametrize("decay", [0.05, 0.5, 1.0])
def test_with_decay_descent_runs_to_the_closed_form_minimum(decay: float) -> None:
    """W_n = (1 - alpha)^n W0 + (1 - (1 - alpha)^n) sum dW / alpha, and no step raises the loss."""
    dual = explicit(kernel(), 64, np.random.default_rng(6))
    steps = list(descend(dual, steps=40, decay=decay))
    lowest = minimum(dual, decay=decay)
    assert lowest is not None
    torch.testing.assert_close(lowest, sum(dual.update(label) for label in range(3)) / decay)
    for number in (1, 7, 40):
        left = (1 - decay) ** number
        torch.testing.assert_close(
            steps[number].weights, left * dual.start() + (1 - left) * lowest, rtol=1e-9, atol=1e-12
        )
    losses = np.array([step.loss for step in steps])
    assert np.all(np.diff(losses) <= 1e-12 * np.abs(losses[1:]))
    torch.testing.assert_close(steps[1].weights, (1 - decay) * dual.start() + decay * lowest, rtol=1e-9, atol=1e-12)
    at = lowest.clone().requires_grad_(True)
    (sum(dual.losses(at, rate=1.0)) + decay / 2 * at.square().sum()).backward()
    assert float(at.grad.abs().max()) <= 1e-9 * float(lowest.abs().max())


def test_the_error_falls_as_one_over_the_root_of_the_features() -> None:
    counts = np.array([64, 256, 1_024, 4_096])
    middle = [np.median(errors(kernel(spread=0.6), int(m), draws=20, seed="slope")) for m in counts]
    slope = np.polyfit(np.log(counts), np.log(middle), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.15)
    assert middle[-1] < 0.1


def test_without_demonstrations_the_start_weights_are_the_prediction() -> None:
    empty = kernel(demos=0)
    dual = explicit(empty, 4_096, np.random.default_rng(7))
    *_, last = descend(dual, steps=3)
    assert torch.equal(last.weights, dual.start())
    assert dual.error(last.weights) < 0.2


def test_draws_depend_on_the_seed_alone_and_can_be_stopped() -> None:
    one = errors(kernel(), 32, draws=3, seed=1)
    np.testing.assert_array_equal(one, errors(kernel(), 32, draws=3, seed=1))
    assert np.all(one != errors(kernel(), 32, draws=3, seed=2))
    assert len(set(one)) == 3

    def stop() -> None:
        raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        errors(kernel(), 32, draws=3, seed=1, between=stop)


@given(st.floats(0.01, 1.0))
@settings(max_examples=10, deadline=None)
def test_a_softened_head_is_attention_with_smaller_logits(factor: float) -> None:
    plain = kernel(sink=1.0)
    weights = torch.exp(factor * (plain.keys @ plain.query))
    expected = weights @ plain.values / (weights.sum() + math.exp(factor * plain.sink))
    torch.testing.assert_close(plain.softened(factor).output, expected, atol=1e-12, rtol=0)


def test_the_exponent_says_how_wrong_one_kernel_value_is() -> None:
    """One token: the relative variance of phi(k).phi(q) over independent directions is exp(|k + q|^2) - 1 over m."""
    one = replace(kernel(), keys=torch.full((1, 8), 0.2).double(), query=torch.full((8,), 0.15).double())
    assert one.exponent == pytest.approx(8 * 0.35**2)
    dual = explicit(one, 40_000, np.random.default_rng(8))
    each = dual.phi(one.keys)[0] * dual.phi_query
    assert float(each.var() / each.mean() ** 2) == pytest.approx(math.exp(one.exponent) - 1, rel=0.1)
