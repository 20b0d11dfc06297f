"""A dual model changed as the query and the candidates read it: weight decay, negative samples, noise, random gates.

Demonstrations are run once, unchanged, and remembered; only rows outside them read the changed keys and values. So P
changed models share the whole prefix, and each costs the query and its candidates alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.lm.forward.output_head import wide
from core.seeds import generator


@dataclass(frozen=True)
class DualChange:
    """One changed dual model: ((1 - alpha) W0 + sum_k g_k dW'_k) phi(q), over the normaliser of the changed weights.

    dW'_k = (1/Z') sum_{i in demo k} v'_i phi(k'_i)^T with Z' = sum_{j in no demo} phi(k_j)·phi(q) +
    sum_k g_k sum_{i in demo k} phi(k'_i)·phi(q). W0 sums over every token outside the demonstrations, the reading row's
    own segment included (design note, sections 2 and 3).
    """

    alpha: float = 0.0
    """Weight decay, in [0, 1): the values of W0 are multiplied by 1 - alpha, their share of Z' stays."""
    beta: float = 0.0
    """Negative samples, in [0, 1]: v'_i is v_i less beta times the mean value of all other demonstrations' tokens."""
    sigma: float = 0.0
    """Noise, in [0, 1]: Gaussian, on every demonstration key (after RoPE) and value, with a standard deviation of
    sigma times the root mean square of that token's own key or value in that key-value head."""
    gates: tuple[float, ...] | None = None
    """Learning rates g_k >= 0 of the demonstrations, [demo]; None means 1 everywhere."""
    seed: int = 0
    """Of the noise: equal seeds give equal noise in a layer, whatever else is in the pass."""


def changed(
    change: DualChange, layer: int, keys: Tensor, values: Tensor, demo_of: Tensor
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Keys and values [kv_head, token, width] as changed rows read them, and log gates [token] to add to the scores.

    `demo_of` [token] numbers each token's demonstration, -1 for none. Noise and negative samples are both made from
    the untouched keys and values. Without gates the third answer is None.
    """
    inside = (demo_of >= 0).to(keys.device)
    new_keys, new_values = keys, values
    if change.alpha:
        new_values = torch.where(inside[:, None], values, values * (1 - change.alpha))
    if change.beta:
        new_values = new_values - change.beta * _mean_of_others(values, demo_of.to(keys.device))
    if change.sigma:
        new_keys = new_keys + change.sigma * _noise(keys, inside, change.seed, layer, "keys")
        new_values = new_values + change.sigma * _noise(values, inside, change.seed, layer, "values")
    if change.gates is None:
        return new_keys, new_values, None
    rates = torch.tensor([*change.gates, 1.0])[demo_of]
    return new_keys, new_values, torch.log(rates).to(keys.device)


def _mean_of_others(values: Tensor, demo_of: Tensor) -> Tensor:
    """For each demonstration token the mean value of the other demonstrations' tokens, 0 for all other tokens and
    where there is no other demonstration; [kv_head, token, width]."""
    inside = demo_of >= 0
    owner = demo_of[inside]
    counts = torch.bincount(owner)
    if int((counts > 0).sum()) < 2:
        return torch.zeros_like(values)
    inner = wide(values[:, inside])
    sums = inner.new_zeros(inner.shape[0], len(counts), inner.shape[2]).index_add_(1, owner, inner)
    others = (sums.sum(dim=1, keepdim=True) - sums) / (len(owner) - counts)[:, None]
    result = torch.zeros_like(values)
    result[:, inside] = others[:, owner].to(values.dtype)
    return result


def _noise(tensor: Tensor, inside: Tensor, seed: int, layer: int, kind: str) -> Tensor:
    """Standard normals times the root mean square of each demonstration token, 0 elsewhere; [kv_head, token, width]."""
    inner = wide(tensor[:, inside])
    draws = torch.from_numpy(generator("dual noise", seed, layer, kind).standard_normal(inner.shape, dtype="float32"))
    result = torch.zeros_like(tensor)
    result[:, inside] = (draws.to(inner) * inner.square().mean(dim=-1, keepdim=True).sqrt()).to(tensor.dtype)
    return result
