"""Attention over a forest of segments, with a learning rate ("gate") on every demonstration token.

One function in transformers' attention registry serves every model that uses the shared interface. The gate g of a
key multiplies exp(score) for every row outside the key's demonstration, in numerator and normaliser alike: in the dual
model of a head, dW_k becomes g_k dW_k. g = 1 is the untouched model, g = 0 removes the demonstration with every
position kept.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from core.errors import ComputeError, ModelError
from core.lm.forward.dual_change import DualChange, changed
from core.lm.forward.forest import Forest
from core.lm.forward.output_head import wide, widen

NAME = "demolens"
_POSITIONS = ("position_ids", "cache_position")
"""Tensors that layers hand on to attention though queries and keys have taken them in."""


@dataclass
class Probe:
    """What to write down at some rows while a forest runs; filled layer by layer, owned by the caller.

    `label_of` gives each of all tokens a part number (demonstration k, or K for everything else).
    """

    rows: Tensor
    """New rows to look at, [rows]; each must belong to a segment outside every demonstration."""
    label_of: Tensor
    parts: int
    outputs: dict[int, Tensor] = field(default_factory=dict)
    """layer -> [head, row, part, width]: sum of attention-weighted values of the part's tokens."""
    masses: dict[int, Tensor] = field(default_factory=dict)
    """layer -> [head, row, part]: share of the normaliser Z that the part's tokens hold."""
    norms: dict[int, Tensor] = field(default_factory=dict)
    """layer -> [head, row]: ln Z."""
    tap: Callable[[Attended], None] | None = None
    """Called with each layer's attention as it ran, after the layer has been written down."""


@dataclass
class Pass:
    """Everything attention needs for one forward pass; see `running`."""

    forest: Forest
    gates: Tensor | None = None
    """[layer or 1, head or 1, all tokens], >= 0; None means 1 everywhere."""
    keep: bool = False
    probe: Probe | None = None
    """Looks at rows that read the untouched dual model only."""
    changes: Sequence[DualChange] = ()
    """The changed dual models that segments of the forest name by index."""
    keys: dict[int, Tensor] = field(default_factory=dict)
    """layer -> [kv_head, new tokens, width], filled when `keep`."""
    values: dict[int, Tensor] = field(default_factory=dict)
    on_device: dict[tuple[int, int | None], tuple[Tensor, Tensor | slice, Tensor]] = field(default_factory=dict)
    """(block, window) -> additive mask [rows, keys], key indices and inside flags on the model's device."""
    layers: set[int] = field(default_factory=set)
    """Layers whose attention has run."""


_PASS: ContextVar[Pass | None] = ContextVar("the forest pass that runs in this thread", default=None)


@contextlib.contextmanager
def running(forest_pass: Pass) -> Iterator[None]:
    """Attention in this thread reads the forest of `forest_pass`.

    Not an argument of the network: the layers of some families (StableLM, Nemotron) drop arguments they do not know.
    """
    before = _PASS.set(forest_pass)
    try:
        yield
    finally:
        _PASS.reset(before)


@dataclass(frozen=True)
class Attended:
    """One layer's attention over a forest, as tensors a gradient can flow through."""

    layer: int
    keys: Tensor
    """[kv_head, all tokens, width], after the rotation by position; `values` alike."""
    values: Tensor
    output: Tensor
    """[head, new rows, width of a value], before the output projection."""
    form: Form
    window: int | None
    """Tokens that a row sees at most, itself included; None: all before it."""


@dataclass(frozen=True)
class Form:
    """How a layer turns queries and keys into weights."""

    scale: float
    softcap: float | None
    sinks: Tensor | None
    """[head] logits of keys without a value, or None."""


def prepare(network: Any) -> None:
    """Make `network` use this attention and give its logits in single precision.

    Raises `ModelError` for a family without the shared attention interface.
    """
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    family = getattr(network.config, "model_type", type(network).__name__)
    try:
        network.set_attn_implementation(NAME)
    except ValueError as error:
        raise ModelError(
            f"the model family {family} does not take a registered attention function",
            expected="a family such as Llama, Qwen, Gemma, Mistral or Phi",
        ) from error
    if network.config._attn_implementation != NAME:
        raise ModelError(
            f"the model family {family} kept its own attention", expected="one that uses the shared interface"
        )
    widen(network)


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **rest: Any,
) -> tuple[Tensor, None]:
    """Attention output [batch, rows, head, width] from query [batch, head, rows, width], keys and values unrepeated.

    Outside `running` this is ordinary attention under `attention_mask`; within it, batch is 1. Raises `ComputeError`
    for a layer that attends by more than positions, keys and values, or a second time in one pass.
    """
    forest_pass = _PASS.get()
    form = Form(scaling if scaling is not None else query.shape[-1] ** -0.5, softcap, s_aux)
    if forest_pass is None:
        return _ordinary(query, key, value, attention_mask, form), None
    layer = int(module.layer_idx)
    _check_layer(forest_pass, layer, attention_mask, rest)
    if forest_pass.keep:
        forest_pass.keys[layer], forest_pass.values[layer] = key[0].detach(), value[0].detach()
    if torch.is_autocast_enabled(query.device.type):  # Rotation leaves queries and keys wide, as values never are.
        query, key = query.to(value.dtype), key.to(value.dtype)
    memory = forest_pass.forest.memory
    all_keys = torch.cat([memory.keys[layer], key[0]], dim=1) if memory.segments else key[0]
    all_values = torch.cat([memory.values[layer], value[0]], dim=1) if memory.segments else value[0]
    views = [_view(forest_pass, number, sliding_window, query) for number in range(len(forest_pass.forest.blocks))]
    gates = _layer_gates(forest_pass, layer, query.shape[1])
    changes = [block.change for block in forest_pass.forest.blocks]
    untouched = [view for view, change in zip(views, changes, strict=True) if change is None]
    output = _attended(query[0], all_keys, all_values, gates, untouched, form)
    for number, change in enumerate(changes):
        if change is not None:
            output[:, views[number][0]] = _attended(
                *_as_changed(forest_pass, number, layer, query[0], all_keys, all_values, gates, views[number]), form
            )
    if forest_pass.probe is not None:
        with torch.autocast(query.device.type, enabled=False):
            _look(forest_pass.probe, layer, query[0], all_keys, all_values, gates, views, form)
        if forest_pass.probe.tap is not None:
            forest_pass.probe.tap(Attended(layer, all_keys, all_values, output, form, sliding_window))
    return output.transpose(0, 1).unsqueeze(0).contiguous(), None


def _check_layer(forest_pass: Pass, layer: int, mask: Tensor | None, rest: dict[str, Any]) -> None:
    """Refuse what a forest cannot follow: a mask or a choice of keys of the layer's own, a second attention."""
    if mask is not None and mask.numel() > 1:
        raise ComputeError(f"layer {layer} has a mask of its own", expected="masks that follow from positions alone")
    extra = next((name for name, value in rest.items() if isinstance(value, Tensor) and name not in _POSITIONS), None)
    if extra is not None:
        raise ComputeError(f"the attention of layer {layer} reads {extra}", expected="queries, keys and values alone")
    if layer in forest_pass.layers:
        raise ComputeError(f"layer {layer} attends more than once", expected="one attention in each layer")
    forest_pass.layers.add(layer)


def _attended(
    query: Tensor, keys: Tensor, values: Tensor, gates: Tensor | None, views: list[BlockView], form: Form
) -> Tensor:
    """Attention [head, rows, width]; fused where nothing needs the scores themselves."""
    if gates is None and form.softcap is None and form.sinks is None and not torch.is_grad_enabled():
        return _fast(query, keys, values, views, form)
    return gated(query, keys, values, gates, views, form)


BlockView = tuple[slice, Tensor | slice, Tensor, Tensor]
"""Rows of a block, its keys, its additive mask [rows, keys], and which keys lie inside the rows' demonstration."""


def _view(forest_pass: Pass, number: int, window: int | None, like: Tensor) -> BlockView:
    block = forest_pass.forest.blocks[number]
    if (number, window) not in forest_pass.on_device:
        visible = block.visible if window is None else block.visible & (block.distance < window)
        mask = torch.zeros(visible.shape, dtype=like.dtype).masked_fill_(~visible, -math.inf)
        keys = block.keys if isinstance(block.keys, slice) else block.keys.to(like.device)
        forest_pass.on_device[number, window] = (mask.to(like.device), keys, block.inside.to(like.device))
    mask, keys, inside = forest_pass.on_device[number, window]
    return block.rows, keys, mask, inside


def _as_changed(
    forest_pass: Pass,
    number: int,
    layer: int,
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    gates: Tensor | None,
    view: BlockView,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, list[BlockView]]:
    """What `_attended` is to be given for one block that reads a changed dual model: its own rows and keys alone."""
    block = forest_pass.forest.blocks[number]
    rows, chosen, mask, inside = view
    assert block.change is not None
    change = forest_pass.changes[block.change]
    own_keys, own_values, log_gates = changed(
        change, layer, keys[:, chosen], values[:, chosen], forest_pass.forest.demo_of[block.keys]
    )
    if log_gates is not None:
        mask = mask + log_gates.to(mask.dtype)
    own_gates = gates[:, chosen] if gates is not None else None
    own_view = (slice(0, mask.shape[0]), slice(0, mask.shape[1]), mask, inside)
    return query[:, rows], own_keys, own_values, own_gates, [own_view]


def _layer_gates(forest_pass: Pass, layer: int, heads: int) -> Tensor | None:
    """The layer's gates [head, all tokens]."""
    if forest_pass.gates is None:
        return None
    gates = forest_pass.gates[layer if forest_pass.gates.shape[0] > 1 else 0]
    return gates.expand(heads, -1)


def _fast(query: Tensor, keys: Tensor, values: Tensor, views: list[BlockView], form: Form) -> Tensor:
    """Fused attention, block by block; keys and the mask are shared by grouped heads without copies of them."""
    kv_heads = keys.shape[0]
    output = query.new_empty(*query.shape[:2], values.shape[-1])
    for rows, chosen, mask, _ in views:
        q = _grouped(query, rows, kv_heads)
        k, v = (tensor[:, chosen].unsqueeze(1).expand(-1, q.shape[1], -1, -1) for tensor in (keys, values))
        output[:, rows] = scaled_dot_product_attention(q, k, v, mask, scale=form.scale).flatten(0, 1)
    return output


def gated(
    query: Tensor, keys: Tensor, values: Tensor, gates: Tensor | None, views: list[BlockView], form: Form
) -> Tensor:
    """Attention [head, rows, width] under gates [head, all tokens], differentiable in all four tensors."""
    output: Tensor = _Gated.apply(query, keys, values, gates, views, form)  # type: ignore[no-untyped-call]
    return output


class _Gated(torch.autograd.Function):
    """Gated attention that keeps no maps: the backward pass recomputes each block from queries and keys."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, keys: Tensor, values: Tensor, gates: Tensor | None, views: list[BlockView], form: Form
    ) -> Tensor:
        output = query.new_empty(*query.shape[:2], values.shape[-1])
        norms = wide(query.new_empty(query.shape[:2]))
        for view in views:
            rows, chosen, _, _ = view
            scores, _ = _scores(query, keys, view, form)
            weighted = scores + _log_gates(gates, view, keys.shape[0]) if gates is not None else scores
            norm = _log_norm(weighted, form)
            weights = torch.exp(weighted - norm[..., None]).to(values.dtype)
            output[:, rows] = _over_keys(weights, values[:, chosen]).flatten(0, 1)
            norms[:, rows] = norm.flatten(0, 1)
        ctx.save_for_backward(query, keys, values, gates, output, norms)
        ctx.views, ctx.form = views, form
        return output

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Any, ...]:
        query, keys, values, gates, output, norms = ctx.saved_tensors
        grad_query, grad_keys, grad_values = map(torch.zeros_like, (query, keys, values))
        grad_gates = torch.zeros_like(wide(gates)) if gates is not None else None
        kv_heads, form = keys.shape[0], ctx.form
        for view in ctx.views:
            rows, chosen, _, inside = view
            scores, slope = _scores(query, keys, view, form)
            plain = torch.exp(scores - _grouped(norms, rows, kv_heads)[..., None])
            gate = _gate_of(gates, view, kv_heads) if gates is not None else None
            weights = plain * gate if gate is not None else plain
            grad_out, out = _grouped(grad_output, rows, kv_heads), _grouped(output, rows, kv_heads)
            pull = wide(torch.matmul(grad_out, values[:, chosen].unsqueeze(1).transpose(-1, -2)))
            pull = pull - (wide(grad_out) * wide(out)).sum(-1, keepdim=True)
            if grad_gates is not None:
                by_key = (plain * pull).sum(-2).flatten(0, 1).masked_fill(inside, 0.0)
                grad_gates[:, chosen] += by_key
            grad_scores = weights * pull
            if slope is not None:
                grad_scores = grad_scores * slope
            grad_scores = (grad_scores * form.scale).to(query.dtype)
            grad_query[:, rows] = torch.matmul(grad_scores, keys[:, chosen].unsqueeze(1)).flatten(0, 1)
            flat = grad_scores.flatten(1, 2).transpose(-1, -2)
            grad_keys[:, chosen] += torch.matmul(flat, _grouped(query, rows, kv_heads).flatten(1, 2))
            turned = weights.to(values.dtype).flatten(1, 2).transpose(-1, -2)
            grad_values[:, chosen] += torch.matmul(turned, grad_out.flatten(1, 2))
        return grad_query, grad_keys, grad_values, grad_gates, None, None


def _scores(query: Tensor, keys: Tensor, view: BlockView, form: Form) -> tuple[Tensor, Tensor | None]:
    """Masked logits [kv_head, group, rows, keys] in fp32 or wider, and the slope of the soft cap where there is one."""
    rows, chosen, mask, _ = view
    grouped = _grouped(query, rows, keys.shape[0])
    flat = torch.matmul(grouped.flatten(1, 2), keys[:, chosen].transpose(-1, -2))
    raw = wide(flat.view(*grouped.shape[:3], -1)) * form.scale
    if form.softcap is None:
        return raw + mask, None
    bent = torch.tanh(raw / form.softcap)
    return bent * form.softcap + mask, 1 - bent**2


def _grouped(tensor: Tensor, rows: slice, kv_heads: int) -> Tensor:
    """Rows of [head, rows, ...] as [kv_head, group, rows, ...]."""
    chosen = tensor[:, rows]
    return chosen.reshape(kv_heads, -1, *chosen.shape[1:])


def _gate_of(gates: Tensor, view: BlockView, kv_heads: int) -> Tensor:
    """Gates of the view's keys as its rows see them, [kv_head, group, 1, keys]: 1 inside their demonstration."""
    _, chosen, _, inside = view
    seen = gates[:, chosen].masked_fill(inside, 1.0)
    return seen.view(kv_heads, -1, 1, seen.shape[-1])


def _log_gates(gates: Tensor, view: BlockView, kv_heads: int) -> Tensor:
    return torch.log(_gate_of(gates, view, kv_heads))


def _log_norm(scores: Tensor, form: Form) -> Tensor:
    norm = torch.logsumexp(scores, dim=-1)
    if form.sinks is None:
        return norm
    return torch.logaddexp(norm, form.sinks.to(norm.dtype).view(norm.shape[0], norm.shape[1], 1).expand_as(norm))


def _over_keys(weights: Tensor, values: Tensor) -> Tensor:
    """[kv_head, group, rows, width] from weights [kv_head, group, rows, keys] and values [kv_head, keys, width]."""
    return torch.matmul(weights.flatten(1, 2), values).view(*weights.shape[:3], -1)


@torch.no_grad()
def _look(
    probe: Probe,
    layer: int,
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    gates: Tensor | None,
    views: list[BlockView],
    form: Form,
) -> None:
    """Write down, for the probe's rows, what each part of the prompt puts into the attention output."""
    heads, width = query.shape[0], values.shape[-1]
    outputs = torch.zeros(heads, len(probe.rows), probe.parts, width, dtype=wide(query).dtype)
    masses = torch.zeros(heads, len(probe.rows), probe.parts, dtype=outputs.dtype)
    norms = torch.zeros(heads, len(probe.rows), dtype=outputs.dtype)
    for rows, chosen, mask, inside in views:
        here = [n for n, row in enumerate(probe.rows.tolist()) if rows.start <= row < rows.stop]
        if not here:
            continue
        at = probe.rows[here].to(query.device)
        view = (slice(0, len(here)), chosen, mask[at - rows.start], inside)
        scores, _ = _scores(query[:, at], keys, view, form)
        weighted = scores + _log_gates(gates, view, keys.shape[0]) if gates is not None else scores
        norm = _log_norm(weighted, form)
        weights = torch.exp(weighted - norm[..., None])
        norms[:, here] = norm.flatten(0, 1).cpu()
        label = probe.label_of.to(query.device)[chosen]
        for part in range(probe.parts):
            weights_of_part = weights * (label == part)
            outputs[:, here, part] = _over_keys(weights_of_part, wide(values[:, chosen])).flatten(0, 1).cpu()
            masses[:, here, part] = weights_of_part.sum(-1).flatten(0, 1).cpu()
    probe.outputs[layer], probe.masses[layer], probe.norms[layer] = outputs, masses, norms


def _ordinary(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, form: Form) -> Tensor:
    """Attention as any caller of the network expects it, for calls that carry no forest; [batch, rows, head, width]."""
    rows, total, groups = query.shape[2], key.shape[2], query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scores = wide(torch.matmul(query, key.transpose(-1, -2))) * form.scale
    if form.softcap is not None:
        scores = torch.tanh(scores / form.softcap) * form.softcap
    if mask is None:
        mask = torch.ones(rows, total, dtype=torch.bool, device=query.device).tril(total - rows)
    scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
    norm = torch.logsumexp(scores, -1)
    if form.sinks is not None:
        norm = torch.logaddexp(norm, form.sinks.to(norm.dtype).view(1, -1, 1).expand_as(norm))
    return torch.matmul(torch.exp(scores - norm[..., None]).to(value.dtype), value).transpose(1, 2).contiguous()
