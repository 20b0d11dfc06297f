"""The equivalent gradient against finite differences, sums of its parts, and Captum's integrated gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from references import Pair, random_prompt

from core.analysis.explain.captum_methods import feature_ablation, integrated_gradients
from core.analysis.explain.gradient import gradient_at, learning_rate_path, slopes_at
from core.analysis.explain.methods import METHODS
from core.analysis.values import TargetScore, leave_one_out_masks
from core.errors import ComputeError
from core.lm.loading.load import LanguageModel
from core.lm.scoring.score import Scorer

FAMILIES = ["yes_no", "next_item"]


def target(model: LanguageModel, family: Any, against: int | None = None) -> TargetScore:
    return TargetScore(Scorer(model, random_prompt(family)), 1, against)


def central(worth: Callable[[float], float], step: float = 0.01) -> float:
    """Five-point derivative; transformers' norms round to single precision, so a tiny step would measure noise."""
    near, far = worth(step) - worth(-step), worth(2 * step) - worth(-2 * step)
    return (8 * near - far) / (12 * step)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("gate", [0.5, 1.0])
def test_the_gradient_equals_finite_differences(exact: LanguageModel, family: Any, gate: float) -> None:
    score = target(exact, family)

    def worth(k: int, change: float) -> float:
        gates = torch.full((4,), gate, dtype=torch.float64)
        gates[k] += change
        return float(score.at_gates(gates))

    slopes = [central(partial(worth, k)) for k in range(4)]
    np.testing.assert_allclose(gradient_at(score, gate).values, slopes, rtol=1e-3, atol=1e-3)


def test_one_head_s_part_equals_a_finite_difference_of_that_head_alone(exact: LanguageModel) -> None:
    score = target(exact, "yes_no")
    owner = torch.from_numpy(score.scorer.demo_of_token)
    layer, head, token = 1, 2, int(torch.nonzero(owner == 2)[1])

    def worth(change: float) -> float:
        gates = torch.where(owner >= 0, 0.5, 1.0).double().expand(exact.layers, exact.heads, -1).clone()
        gates[layer, head, token] += change
        return float(score.at_gates(gates))

    assert slopes_at(score, 0.5)[layer, head, token] == pytest.approx(central(worth), rel=1e-2, abs=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_parts_sum_to_the_whole(pair: Pair, family: Any) -> None:
    answer = learning_rate_path(target(pair.model, family), nodes=2)
    np.testing.assert_allclose(answer.by_head.sum(axis=(0, 1)), answer.values, atol=1e-10)
    np.testing.assert_allclose(answer.by_layer.sum(axis=1), answer.values, atol=1e-10)
    np.testing.assert_allclose([tokens.sum() for tokens in answer.by_token], answer.values, atol=1e-10)


def test_the_completeness_gap_shrinks_with_more_nodes(exact: LanguageModel) -> None:
    gaps = [learning_rate_path(target(exact, "next_item"), nodes=nodes).gap for nodes in (3, 48)]
    assert gaps[0] is not None
    assert gaps[1] is not None
    assert abs(gaps[1]) < 0.01 < abs(gaps[0])


def test_a_bent_path_has_the_same_integral(exact: LanguageModel) -> None:
    straight, bent = (learning_rate_path(target(exact, "next_item"), nodes=40, bend=bend).values for bend in (1, 2))
    np.testing.assert_allclose(bent, straight, atol=0.02)


def test_the_gradient_of_a_margin_is_the_difference_of_gradients(pair: Pair) -> None:
    margin = gradient_at(target(pair.model, "next_item", against=3), 0.5).values
    one = gradient_at(target(pair.model, "next_item"), 0.5).values
    other = gradient_at(TargetScore(Scorer(pair.model, random_prompt("next_item")), 3), 0.5).values
    np.testing.assert_allclose(margin, one - other, atol=1e-4)


def test_captum_s_integrated_gradients_is_the_path_at_the_same_nodes(pair: Pair) -> None:
    ours = learning_rate_path(target(pair.model, "yes_no"), nodes=3, gap=False).values
    theirs = integrated_gradients(target(pair.model, "yes_no")).values
    np.testing.assert_allclose(theirs, ours, atol=1e-4)


def test_captum_s_feature_ablation_is_leave_one_out_under_gates(pair: Pair) -> None:
    score = target(pair.model, "yes_no")
    expected = score.full - score.at(leave_one_out_masks(4), "gate")
    theirs = feature_ablation(score).values
    np.testing.assert_allclose(theirs, expected, atol=1e-4)


@pytest.mark.parametrize("method", ["captum_shapley_sampling", "captum_kernel_shap"])
def test_captum_s_sampling_methods_sum_to_the_effect_of_all_gates(pair: Pair, method: Any) -> None:
    score = target(pair.model, "yes_no")
    values = METHODS[method].function(score, budget=40, seed=0).values
    whole = score.full - score.at(np.zeros((1, 4), dtype=bool), "gate")[0]
    assert values.sum() == pytest.approx(whole, abs=1e-3)


def test_no_gradient_is_left_behind(pair: Pair) -> None:
    gradient_at(target(pair.model, "yes_no"), 1.0)
    assert all(parameter.grad is None for parameter in pair.model.network.parameters())
    assert not any(module._forward_hooks for module in pair.model.network.modules())


def test_a_gradient_that_is_not_a_number_is_refused(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    score = target(pair.model, "yes_no")
    real = score.sums_at_gates
    monkeypatch.setattr(score, "sums_at_gates", lambda gates, sums: real(gates, sums) * float("nan"))
    with pytest.raises(ComputeError, match="gradient holds values that are not finite"):
        slopes_at(score, 0.5)


def test_out_of_memory_in_the_backward_pass_says_the_size(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("injected")

    score = target(pair.model, "yes_no")
    monkeypatch.setattr(torch.autograd, "grad", full)
    with pytest.raises(ComputeError, match=rf"out of memory on cpu in the gradient .* {score.scorer.prompt.length} "):
        slopes_at(score, 0.5)
