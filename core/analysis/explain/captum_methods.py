"""Captum's attribution methods on the vector of gates: a differentiable function of K numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analysis.explain.ablation import AblationAnswer
from core.analysis.values import Meter, TargetScore

Attribute = Callable[[Callable[[Tensor], Tensor], Tensor, int], Tensor]
"""Contributions [1, demo] of a function of gates [setting, demo], at gates 1, with so many settings at most."""
STEPS = 3
"""Gauss-Legendre nodes of integrated gradients."""


def _attribution(score: TargetScore, method: Attribute, *, budget: float = 2.0, seed: int = 0) -> AblationAnswer:
    """Contributions [demo] in nats by one of Captum's methods, from gates 1 against gates 0.

    Captum calls the model once per setting of the gates and remembers none; the cost says so. Sampling methods draw
    about as many settings as fit in `budget` passes.
    """
    meter = Meter(score.scorer)
    ones = torch.ones(1, score.demos)
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")  # captum's own deprecations; its numbers are checked by our tests
        torch.manual_seed(seed)
        values = method(_of_gates(score), ones, max(2, int(budget)))
    return AblationAnswer(values.detach().numpy().astype(np.float64)[0], meter.read())


def _of_gates(score: TargetScore) -> Callable[[Tensor], Tensor]:
    def forward(gates: Tensor) -> Tensor:
        rows = []
        for row in gates:
            rows.append(score.at_gates(row.to(score.scorer.model.device, torch.float32)).cpu())
            if row.requires_grad:
                score.scorer.counted_backward(score.candidates)
        return torch.stack(rows)

    return forward


def _integrated_gradients(forward: Callable[[Tensor], Tensor], ones: Tensor, _: int) -> Tensor:
    from captum.attr import IntegratedGradients

    path: Any = IntegratedGradients(forward)
    result: Tensor = path.attribute(
        ones, baselines=torch.zeros_like(ones), n_steps=STEPS, method="gausslegendre", internal_batch_size=1
    )
    return result


def _feature_ablation(forward: Callable[[Tensor], Tensor], ones: Tensor, _: int) -> Tensor:
    from captum.attr import FeatureAblation

    with torch.no_grad():
        result: Tensor = FeatureAblation(forward).attribute(ones, baselines=0)
    return result


def _shapley_sampling(forward: Callable[[Tensor], Tensor], ones: Tensor, budget: int) -> Tensor:
    from captum.attr import ShapleyValueSampling

    with torch.no_grad():
        samples = max(1, budget // ones.shape[1])
        result: Tensor = ShapleyValueSampling(forward).attribute(ones, baselines=0, n_samples=samples)
    return result


def _kernel_shap(forward: Callable[[Tensor], Tensor], ones: Tensor, budget: int) -> Tensor:
    from captum.attr import KernelShap

    with torch.no_grad():
        samples = max(budget, ones.shape[1] + 2)
        result: Tensor = KernelShap(forward).attribute(ones, baselines=0, n_samples=samples)
    return result


def integrated_gradients(score: TargetScore) -> AblationAnswer:
    """Captum's integrated gradients over the gates."""
    return _attribution(score, _integrated_gradients)


def feature_ablation(score: TargetScore) -> AblationAnswer:
    """Captum's feature ablation: each gate closed alone."""
    return _attribution(score, _feature_ablation)


def shapley_value_sampling(score: TargetScore, *, budget: float, seed: int) -> AblationAnswer:
    """Captum's Shapley value sampling over the gates."""
    return _attribution(score, _shapley_sampling, budget=budget, seed=seed)


def kernel_shap(score: TargetScore, *, budget: float, seed: int) -> AblationAnswer:
    """Captum's kernel SHAP over the gates."""
    return _attribution(score, _kernel_shap, budget=budget, seed=seed)
