"""The dual model of each attention head, checked against the model's own attention.

At query position t with Z the sum of exp(k_j q) over all visible tokens:
attention output = (W0 + dW_1 + ... + dW_K) phi(q), with W0 phi(q) = (Z_T/Z) x zero-shot attention and
dW_k phi(q) = (1/Z) sum_{i in demo k} v_i exp(k_i q). The identity is algebra: the residual checks this code, never the
language model.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from core.analysis.values import Array
from core.errors import RequestError
from core.lm.forward.attention import NAME, Probe
from core.lm.loading.load import LanguageModel
from core.lm.scoring.score import Scorer
from core.prompt.spans import Prompt

ROWS = 64
"""Query rows that the model's own attention works on at once: no map is ever larger than [head, ROWS, token]."""
_WITNESS = "demolens_witness"


@dataclass(frozen=True)
class DualParts:
    """Parts of the attention output at one token of a full prompt.

    `outputs` is [layer, head, part, width] and `masses` [layer, head, part], shares of Z; part k < K is demonstration
    k, part K is W0: all other tokens. At a token inside a demonstration, that demonstration's part is what the token
    reads of its own demonstration so far, and later demonstrations have empty parts.
    """

    outputs: Array
    masses: Array
    sink_masses: Array
    """[layer, head]: share of Z that an attention sink holds, a key without a value; 0 where there is none."""
    residual: Array
    """[layer, head]: ||sum of parts - the model's own attention output|| / ||the model's own||."""
    position: int
    """The token looked at, counted from 0 over the full prompt."""

    @property
    def zero_factor(self) -> Array:
        """Z_T/Z, [layer, head]: what W0 phi(q) is of zero-shot attention over the same keys; a sink counts to Z_T."""
        return self.masses[..., -1] + self.sink_masses


@dataclass(frozen=True)
class Head:
    """One query head at one position, on the CPU in double precision; only tokens it sees are held."""

    layer: int
    number: int
    query: Tensor
    """[width], after the rotation by position."""
    keys: Tensor
    """[token, width], its group's, after the rotation by position."""
    values: Tensor
    """[token, value width]."""
    labels: Tensor
    """[token]: number of the demonstration, or K for every other token."""
    demos: int
    scale: float
    """The kernel is exp(scale k.q)."""
    softcap: float | None
    sink: float | None
    """Logit of the key without a value, if there is one."""
    output: Tensor
    """[value width]: the model's own attention output."""


@dataclass(frozen=True)
class Attention:
    """What one layer's attention works with at one position, on the CPU in double precision."""

    layer: int
    query: Tensor
    """[head, width], after the rotation by position."""
    keys: Tensor
    """[kv_head, token, width], after the rotation by position; `values` alike."""
    values: Tensor
    visible: Tensor
    """Bool [token], by the model's own mask."""
    scale: float
    softcap: float | None
    sinks: Tensor | None
    """[head] logits of keys without a value, or None."""
    output: Tensor
    """[head, width]: the output of the model's own (eager) attention function."""

    def weights(self) -> tuple[Tensor, Tensor]:
        """Share of Z that each token holds, [head, token], and the sink, [head]."""
        heads = self.query.shape[0]
        grouped = self.query.view(self.keys.shape[0], -1, self.query.shape[1])
        logits = (grouped @ self.keys.transpose(1, 2)).view(heads, -1) * self.scale
        if self.softcap is not None:
            logits = torch.tanh(logits / self.softcap) * self.softcap
        logits = logits.masked_fill(~self.visible, -torch.inf)
        sinks = self.sinks if self.sinks is not None else logits.new_full((heads,), -torch.inf)
        log_z = torch.logaddexp(torch.logsumexp(logits, dim=-1), sinks)
        return torch.exp(logits - log_z[:, None]), torch.exp(sinks - log_z)

    def split(self, labels: Tensor, parts: int) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs [head, part, width], masses [head, part] and sink masses [head] by `labels` [token]."""
        weights, sink = self.weights()
        grouped = weights.view(self.keys.shape[0], -1, weights.shape[1])
        tokens = [labels == part for part in range(parts)]
        outputs = [(grouped[..., at] @ self.values[:, at]).flatten(0, 1) for at in tokens]
        return torch.stack(outputs, dim=1), torch.stack([weights[:, at].sum(-1) for at in tokens], dim=1), sink

    def head(self, number: int, labels: Tensor, demos: int) -> Head:
        """One query head on its group's keys and values, without the tokens it cannot see."""
        group = number // (self.query.shape[0] // self.keys.shape[0])
        return Head(
            layer=self.layer,
            number=number,
            query=self.query[number],
            keys=self.keys[group][self.visible],
            values=self.values[group][self.visible],
            labels=labels[self.visible],
            demos=demos,
            scale=self.scale,
            softcap=self.softcap,
            sink=None if self.sinks is None else float(self.sinks[number]),
            output=self.output[number],
        )


def attention_mass(scorer: Scorer, candidate: int) -> Array:
    """Share of attention at the last token that falls on each demonstration, mean over layers and heads, [demo].

    A baseline only: it does not explain recommendations (design note, section 3).
    """
    labels = labels_of(scorer.prompt, candidate)
    probe = Probe(rows=torch.tensor([len(labels) - 1]), label_of=labels, parts=scorer.demos + 1)
    with torch.no_grad():
        scorer.gated(torch.ones(scorer.demos), candidates=[candidate], probe=probe)
    masses = torch.stack([probe.masses[layer][:, 0] for layer in sorted(probe.masses)])
    return np.asarray(masses[..., : scorer.demos].mean(dim=(0, 1)).double().numpy())


def dual_parts(
    model: LanguageModel,
    prompt: Prompt,
    candidate: int = 0,
    *,
    position: int = -1,
    see: Callable[[Attention, Tensor], None] = lambda _attention, _outputs: None,
) -> DualParts:
    """Dual-model parts at one token of `candidate`'s full prompt, with the residual, for every layer and head.

    One pass of the network under its own attention. `position` counts the full prompt's tokens from 0, or from the
    end where it is negative. `see` is given each layer's attention and its parts' outputs [head, part, width] as the
    layer runs; what it raises ends the pass. Only one layer's keys and values are held at a time. Raises
    `RequestError` for a position that the prompt does not have.
    """
    labels, parts = labels_of(prompt, candidate), len(prompt.demos) + 1
    at = position_in(len(labels), position)
    rows: dict[int, tuple[Tensor, Tensor, Tensor, Tensor]] = {}

    def look(attention: Attention) -> None:
        outputs, masses, sinks = attention.split(labels, parts)
        error = torch.linalg.vector_norm(outputs.sum(dim=1) - attention.output, dim=-1)
        size = torch.linalg.vector_norm(attention.output, dim=-1).clamp_min(1e-12)
        rows[attention.layer] = (outputs, masses, sinks, error / size)
        see(attention, outputs)

    own_attention(model.network, ids_of(prompt, candidate), at, look)
    outputs, masses, sinks, residual = (
        np.stack([rows[layer][field].numpy() for layer in sorted(rows)]) for field in range(4)
    )
    return DualParts(outputs, masses, sinks, residual, at)


def position_in(tokens: int, position: int) -> int:
    """`position`, negative from the end, as a number from 0; raises `RequestError` where there is no such token."""
    if not -tokens <= position < tokens:
        raise RequestError(
            f"token {position} of a prompt of {tokens} tokens",
            expected=f"a number from 0 to {tokens - 1}, or from -{tokens} to -1",
            where="position",
        )
    return position % tokens


def ids_of(prompt: Prompt, candidate: int) -> list[int]:
    """Token ids of `candidate`'s full prompt."""
    spans = (*prompt.prefix, prompt.candidates[candidate])
    return [token for span in spans for token in span.token_ids]


def labels_of(prompt: Prompt, candidate: int) -> Tensor:
    """Number of the demonstration that each token of `candidate`'s full prompt belongs to, K for none, [token]."""
    spans, demos = (*prompt.prefix, prompt.candidates[candidate]), len(prompt.demos)
    return torch.tensor([span.index if span.kind == "demo" else demos for span in spans for _ in span.token_ids])


@dataclass(frozen=True)
class _Mask:
    """The mask that the model asks for, built for a few rows at a time."""

    choices: dict[str, Any]

    def rows(self, start: int, stop: int) -> Tensor | None:
        """Additive mask [1, 1, rows, token]."""
        mask: Tensor | None = eager_mask(**{**self.choices, "q_length": stop - start, "q_offset": start})
        return mask


def own_attention(network: Any, token_ids: list[int], at: int, look: Callable[[Attention], None]) -> None:
    """Run `token_ids` under the network's own (eager) attention function and mask, `ROWS` rows at a time.

    `look` is called with each layer's attention at token `at`; what it raises ends the pass, and the network is left
    with our attention in any case.
    """

    def witness(module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, **rest: Any) -> tuple[Tensor, None]:
        eager = sys.modules[module.__module__].eager_attention_forward
        output = query.new_empty(1, query.shape[2], query.shape[1], value.shape[3])
        for start in range(0, query.shape[2], ROWS):
            stop = min(start + ROWS, query.shape[2])
            rows = mask.rows(start, stop)
            output[:, start:stop] = eager(module, query[:, :, start:stop], key, value, rows, **rest)[0]
            if start <= at < stop:
                all_tokens = torch.ones(key.shape[2], dtype=torch.bool)
                visible = all_tokens if rows is None else rows[0, 0, at - start] == 0
                look(_attention(module, query[0, :, at], key[0], value[0], visible, output[0, at], rest))
        return output, None

    AttentionInterface.register(_WITNESS, witness)
    AttentionMaskInterface.register(_WITNESS, lambda **choices: _Mask(choices))
    network.set_attn_implementation(_WITNESS)
    try:
        with torch.no_grad():
            network(input_ids=torch.tensor([token_ids], device=network.device), use_cache=False, logits_to_keep=1)
    finally:
        network.set_attn_implementation(NAME)


def _attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, visible: Tensor, output: Tensor, rest: dict[str, Any]
) -> Attention:
    scale, sinks = rest.get("scaling"), rest.get("s_aux")
    return Attention(
        layer=int(module.layer_idx),
        query=_exact(query),
        keys=_exact(key),
        values=_exact(value),
        visible=visible.cpu(),
        scale=float(scale) if scale is not None else query.shape[-1] ** -0.5,
        softcap=rest.get("softcap"),
        sinks=None if sinks is None else _exact(sinks),
        output=_exact(output),
    )


def _exact(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().double()
