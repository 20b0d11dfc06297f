"""The dual model of each attention head, checked against the model's own attention.

At query position t with Z the sum of exp(k_j q) over all visible tokens:
attention output = (W0 + dW_1 + ... + dW_K) phi(q), with W0 phi(q) = (Z_T/Z) x zero-shot attention and
dW_k phi(q) = (1/Z) sum_{i in demo k} v_i exp(k_i q). The identity is algebra: the residual checks this code, never the
language model.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from core.analysis.values import Array
from core.lm.attention import NAME, Probe
from core.lm.load import LanguageModel
from core.lm.score import Scorer
from core.prompt.spans import Prompt

_WITNESS = "demolens_witness"


@dataclass(frozen=True)
class DualParts:
    """Parts of the attention output at the last token of a full prompt.

    `outputs` is [layer, head, part, width] and `masses` [layer, head, part]; part k < K is demonstration k, part K is
    W0: all other tokens, whose mass is Z_T/Z.
    """

    outputs: Array
    masses: Array
    residual: Array
    """[layer, head]: ||sum of parts - the model's own attention output|| / ||the model's own||."""


def attention_mass(scorer: Scorer, candidate: int) -> Array:
    """Share of attention at the last token that falls on each demonstration, mean over layers and heads, [demo].

    A baseline only: it does not explain recommendations (design note, section 3).
    """
    probe = _probe(scorer.prompt, candidate)
    with torch.no_grad():
        scorer.gated(torch.ones(scorer.demos), candidates=[candidate], probe=probe)
    masses = torch.stack([probe.masses[layer][:, 0] for layer in sorted(probe.masses)])
    return np.asarray(masses[..., : scorer.demos].mean(dim=(0, 1)).double().numpy())


def dual_parts(model: LanguageModel, prompt: Prompt, candidate: int = 0) -> DualParts:
    """Dual-model parts at the last token of `candidate`'s full prompt, with the residual per layer and head."""
    scorer = Scorer(model, prompt)
    probe = _probe(prompt, candidate)
    with torch.no_grad():
        scorer.gated(torch.ones(scorer.demos), candidates=[candidate], probe=probe)
    layers = sorted(probe.outputs)
    outputs = torch.stack([probe.outputs[layer][:, 0] for layer in layers])
    masses = torch.stack([probe.masses[layer][:, 0] for layer in layers])
    own = _own_attention(model.network, _ids(prompt, candidate))
    error = torch.linalg.vector_norm(outputs.sum(dim=2) - own, dim=-1)
    residual = error / torch.linalg.vector_norm(own, dim=-1).clamp_min(1e-12)
    return DualParts(_array(outputs), _array(masses), _array(residual))


def _array(tensor: Tensor) -> Array:
    return np.asarray(tensor.double().numpy())


def _ids(prompt: Prompt, candidate: int) -> list[int]:
    spans = (*prompt.prefix, prompt.candidates[candidate])
    return [token for span in spans for token in span.token_ids]


def _probe(prompt: Prompt, candidate: int) -> Probe:
    spans = (*prompt.prefix, prompt.candidates[candidate])
    demos = len(prompt.demos)
    label = [span.index if span.kind == "demo" else demos for span in spans for _ in span.token_ids]
    return Probe(rows=torch.tensor([len(label) - 1]), label_of=torch.tensor(label), parts=demos + 1)


def _own_attention(network: Any, token_ids: list[int]) -> Tensor:
    """The model's own (eager) attention output at the last token, [layer, head, width]."""
    seen: dict[int, Tensor] = {}

    def witness(module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, **rest: Any) -> tuple[Tensor, Any]:
        output, weights = sys.modules[module.__module__].eager_attention_forward(
            module, query, key, value, mask, **rest
        )
        seen[int(module.layer_idx)] = output[0, -1].float().cpu()
        return output, weights

    AttentionInterface.register(_WITNESS, witness)
    AttentionMaskInterface.register(_WITNESS, eager_mask)
    network.set_attn_implementation(_WITNESS)
    try:
        with torch.no_grad():
            network(input_ids=torch.tensor([token_ids], device=network.device), use_cache=False, logits_to_keep=1)
    finally:
        network.set_attn_implementation(NAME)
    return torch.stack([seen[layer] for layer in sorted(seen)])
