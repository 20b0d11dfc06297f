"""Captum's attribution methods on the vector of gates: a differentiable function of K numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from core.analysis.explain.ablation import AblationAnswer
from core.analysis.values import Meter, TargetScore

CaptumMethod = Literal[
    "captum_integrated_gradients", "captum_feature_ablation", "captum_shapley_sampling", "captum_kernel_shap"
]
STEPS = 3
"""Gauss-Legendre nodes of integrated gradients."""


def captum_attribution(score: TargetScore, method: CaptumMethod, *, budget: float, seed: int) -> AblationAnswer:
    """Contributions [demo] in nats by one of Captum's methods, from gates 1 against gates 0.

    Captum calls the model once per setting of the gates and remembers none; the cost says so. Sampling methods draw
    about as many settings as fit in `budget` passes.
    """
    meter = Meter(score.scorer)
    ones = torch.ones(1, score.demos)
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")  # captum's own deprecations; its numbers are checked by our tests
        torch.manual_seed(seed)
        values = _METHODS[method](_of_gates(score), ones, max(2, int(budget)))
    return AblationAnswer(values.detach().numpy().astype(np.float64)[0], None, None, meter.read())


def _of_gates(score: TargetScore) -> Callable[[Tensor], Tensor]:
    def forward(gates: Tensor) -> Tensor:
        rows = []
        for row in gates:
            rows.append(score.at_gates(row.to(score.scorer.model.device, torch.float32)).cpu())
            if row.requires_grad:
                score.scorer.counted_backward(len(score.candidates))
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


_METHODS: dict[CaptumMethod, Callable[[Callable[[Tensor], Tensor], Tensor, int], Tensor]] = {
    "captum_integrated_gradients": _integrated_gradients,
    "captum_feature_ablation": _feature_ablation,
    "captum_shapley_sampling": _shapley_sampling,
    "captum_kernel_shap": _kernel_shap,
}
