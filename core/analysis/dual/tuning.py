"""What fine-tuning on demonstrations does to a network, on copies: its own weights are never written to.

One epoch of plain SGD on the key and value projections alone, one step per demonstration (arXiv 2212.10559).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, AutoModelForCausalLM
from transformers.masking_utils import sdpa_mask

from core.analysis.dual.material import Sample
from core.analysis.values import Array
from core.errors import ComputeError, ModelError
from core.lm.forward.attention import NAME, attend, prepare
from core.lm.forward.forest import Forest, Segment
from core.lm.forward.forward_pass import run
from core.lm.loading.device import free_bytes
from core.lm.scoring.sweep import Cost

_WITNESS = "demolens_updates"

TrainedRows = dict[str, Tensor]
"""Parameter name -> its trained rows, in single precision or wider."""


@dataclass(frozen=True)
class Layer:
    """Where one attention layer keeps its projections."""

    attention: Any
    """The attention module; its output has gone through the output projection."""
    query: Any
    """Module whose output begins with the query vector."""
    width: int
    """Width of the query vector, all heads."""
    trained: tuple[tuple[str, int], ...]
    """Names of the key and value weights, each with its first trained row."""


def layers_of(network: Any) -> tuple[Layer, ...]:
    """The attention layers, first to last.

    Raises `ModelError` unless every layer has modules `q_proj`, `k_proj`, `v_proj`, or one `qkv_proj` in that order.
    """
    layers: dict[int, Layer] = {}
    for name, module in network.named_modules():
        layer = _layer(name, module, network.config.get_text_config())
        if layer is not None:
            layers[int(module.layer_idx)] = layer
    count = network.config.get_text_config().num_hidden_layers
    if sorted(layers) != list(range(count)):
        raise ModelError(
            f"{len(layers)} of the model's {count} layers have separate key and value projections",
            expected="k_proj and v_proj (or one qkv_proj) in every layer, to fine-tune them alone",
        )
    return tuple(layers[number] for number in sorted(layers))


def _layer(name: str, module: Any, config: Any) -> Layer | None:
    if getattr(module, "layer_idx", None) is None:
        return None
    parts = {key: part for key, part in module.named_children() if _is_linear(_plain(part))}
    names = {key: f"{name}.{key}{'' if _plain(part) is part else '.base_layer'}.weight" for key, part in parts.items()}
    if {"q_proj", "k_proj", "v_proj"} <= parts.keys():
        query = parts["q_proj"]
        return Layer(module, query, _plain(query).weight.shape[0], ((names["k_proj"], 0), (names["v_proj"], 0)))
    if "qkv_proj" not in parts:
        return None
    rows = _plain(parts["qkv_proj"]).weight.shape[0]
    share = config.num_attention_heads + 2 * config.num_key_value_heads
    width = rows // share * config.num_attention_heads
    return Layer(module, parts["qkv_proj"], width, ((names["qkv_proj"], width),)) if rows % share == 0 else None


def _plain(module: Any) -> Any:
    """The layer itself where an adapter stands beside it.

    A step on W in W + BA is a step on their sum, so an adapted model is fine-tuned as one with the adapter merged.
    """
    return getattr(module, "base_layer", module)


def _is_linear(module: Any) -> bool:
    return isinstance(module, torch.nn.Linear) and module.weight.is_floating_point()


@dataclass(frozen=True)
class Reading:
    """What one prompt shows at the last token of the query; arrays by layer."""

    outputs: tuple[Array, ...]
    """[hidden width]: output of the attention module, behind its output projection and before the residual sum."""
    scores: tuple[Array, ...]
    """[head, own token]: scores before softmax over the query's own tokens; nan beyond the layer's window."""
    context: tuple[Array, ...]
    """[demonstration token]: such scores summed over heads; nan beyond the window, empty in zero-shot."""
    queries: tuple[Array, ...]
    """[head x width]: query vector before normalisation and rotation."""


@dataclass(frozen=True)
class Seen:
    """The training samples as a network with certain weights sees them."""

    loss: float
    """Mean over demonstrations of the mean over answer tokens of -log p, nats."""
    queries: tuple[Array, ...]
    """By layer, [demonstration token, head x width]: query vectors of the samples' tokens."""


@dataclass(frozen=True)
class Tuned:
    """One epoch of fine-tuning."""

    weights: TrainedRows
    queries: tuple[Array, ...]
    """As in `Seen`, each sample's written down just before its own step."""
    loss: float
    """After the epoch."""


@dataclass
class _Watch:
    """What the attention function writes down during one pass."""

    query_length: int
    context: slice
    scores: dict[int, Tensor] = field(default_factory=dict)
    summed: dict[int, Tensor] = field(default_factory=dict)


class Trainee:
    """A network that is read and fine-tuned on copies of its key and value projections.

    `between` is called before every pass and may raise `Cancelled`. Raises `ModelError` where the projections cannot
    be told apart, `ComputeError` when memory runs out or a loss is not a finite number.
    """

    def __init__(self, network: Any, *, cost: Cost | None = None, between: Callable[[], None] = lambda: None) -> None:
        self.network, self.between = network, between
        self.cost = cost if cost is not None else Cost()
        self.layers = layers_of(network)

    def copies(self) -> TrainedRows:
        """Fresh copies of the key and value projections, ready for a gradient."""
        named = dict(self.network.named_parameters())
        wide = {name: _wide(named[name].detach()[first:]) for layer in self.layers for name, first in layer.trained}
        return {name: weight.clone().requires_grad_() for name, weight in wide.items()}

    def read(
        self,
        token_ids: Sequence[int],
        *,
        query_length: int,
        context: slice = slice(0, 0),
        weights: TrainedRows | None = None,
    ) -> Reading:
        """What `token_ids` show at their last token.

        The last `query_length` tokens are the query, those at `context` the demonstrations.
        """
        watch = _Watch(query_length, context)
        with torch.no_grad(), _witnessed(self.network), self._queries() as queries, self._outputs() as outputs:
            self._logits(token_ids, [len(token_ids) - 1], weights, watch=watch)
        numbers = range(len(self.layers))
        return Reading(
            tuple(_array(outputs[number]) for number in numbers),
            tuple(_array(watch.scores[number]) for number in numbers),
            tuple(_array(watch.summed[number]) for number in numbers),
            tuple(_array(queries[number][-1]) for number in numbers),
        )

    def see(self, samples: Sequence[Sample], weights: TrainedRows | None = None) -> Seen:
        """Loss and query vectors of the samples, without training: one pass that runs their instruction once."""
        start = samples[0].start
        forest = Forest(
            (
                Segment(samples[0].token_ids[:start], None, 0),
                *(Segment(sample.token_ids[start:], 0, start) for sample in samples),
            )
        )
        rows = [_row_before(forest, number, place) for number, sample in enumerate(samples) for place in sample.answer]
        network = _Reweighted(self.network, self._parameters(weights))
        with torch.no_grad(), self._queries() as queries:
            logits = self._passed(len(forest.token_ids), lambda: run(network, forest, rows)[0])
        table = self._table(samples)
        for number, sample in enumerate(samples, start=1):
            self._write(table, queries, forest.rows_of(number), sample)
        answers = [sample.token_ids[place] for sample in samples for place in sample.answer]
        each = torch.nn.functional.cross_entropy(logits, torch.tensor(answers, device=logits.device), reduction="none")
        ends = np.cumsum([len(sample.answer) for sample in samples])[:-1]
        losses = [part.mean() for part in np.split(_array(each), ends)]
        return Seen(_finite(float(np.mean(losses))), table)

    def tune(self, samples: Sequence[Sample], *, rate: float, order: Sequence[int]) -> Tuned:
        """One epoch of SGD at learning rate `rate`, one step per sample in the given order."""
        weights, table = self.copies(), self._table(samples)
        for number in order:
            with torch.enable_grad():
                loss = self._loss(samples[number], weights, table)
                _finite(float(loss.detach()))
                steps = torch.autograd.grad(loss, list(weights.values()))
            self.cost.backwards += 1
            self.cost.tokens += 2 * len(samples[number].token_ids)
            weights = {
                name: (weight.detach() - rate * step).requires_grad_()
                for (name, weight), step in zip(weights.items(), steps, strict=True)
            }
        return Tuned(weights, table, self.see(samples, weights).loss)

    def _loss(self, sample: Sample, weights: TrainedRows | None, table: tuple[Array, ...]) -> Tensor:
        """Mean -log p of the answer's tokens; the sample's query vectors are written into `table`."""
        with self._queries() as queries:
            logits = self._logits(sample.token_ids, [place - 1 for place in sample.answer], weights)
        self._write(table, queries, range(sample.start, len(sample.token_ids)), sample)
        answer = torch.tensor([sample.token_ids[place] for place in sample.answer], device=logits.device)
        return torch.nn.functional.cross_entropy(logits, answer)

    @staticmethod
    def _write(table: tuple[Array, ...], queries: dict[int, Tensor], rows: range, sample: Sample) -> None:
        """The sample's query vectors, which stand in `rows` of the pass, into the lines of their tokens."""
        for number, lines in enumerate(table):
            lines[list(sample.origin)] = _array(queries[number][rows.start : rows.stop])

    def _table(self, samples: Sequence[Sample]) -> tuple[Array, ...]:
        tokens = sum(len(sample.origin) for sample in samples)
        return tuple(np.full((tokens, layer.width), math.nan) for layer in self.layers)

    def _logits(
        self, token_ids: Sequence[int], rows: Sequence[int], weights: TrainedRows | None, *, watch: _Watch | None = None
    ) -> Tensor:
        """Logits [rows, vocab] in single precision or wider, with `weights` in place of the network's own."""
        device = self.network.device
        inputs = {
            "input_ids": torch.tensor([token_ids], device=device),
            "use_cache": False,
            "logits_to_keep": torch.tensor(rows, device=device),
            **({} if watch is None else {"watch": watch}),
        }
        network = _Reweighted(self.network, self._parameters(weights))
        return self._passed(len(token_ids), lambda: _wide(network(**inputs).logits[0]))

    def _passed(self, tokens: int, call: Callable[[], Tensor]) -> Tensor:
        """What `call` gives in one pass over that many tokens, counted."""
        self.between()
        try:
            tensor = call()
        except torch.OutOfMemoryError as error:
            raise ComputeError(
                f"out of memory on {self.network.device} in one pass over {tokens} tokens",
                expected="a shorter prompt, a smaller model or another device",
            ) from error
        self.cost.forwards += 1
        self.cost.tokens += tokens
        return tensor

    def _parameters(self, weights: TrainedRows | None) -> dict[str, Tensor]:
        if weights is None:
            return {}
        named = dict(self.network.named_parameters())
        parameters = {}
        for layer in self.layers:
            for name, first in layer.trained:
                rows = weights[name].to(named[name].dtype)
                parameters[name] = torch.cat([named[name][:first], rows]) if first else rows
        return parameters

    def _queries(self) -> AbstractContextManager[dict[int, Tensor]]:
        """Query vectors [token, head x width] of each layer during one pass."""
        return _captured([(layer.query, _columns(layer.width)) for layer in self.layers])

    def _outputs(self) -> AbstractContextManager[dict[int, Tensor]]:
        """Output [hidden width] of each attention module at the last token during one pass."""
        return _captured([(layer.attention, _last_row) for layer in self.layers])


@dataclass(frozen=True)
class _Reweighted:
    """A network with other weights in place of some of its own, for whatever calls it; its own stay untouched."""

    network: Any
    weights: dict[str, Tensor]

    def __call__(self, **inputs: Any) -> Any:
        return torch.func.functional_call(self.network, self.weights, (), inputs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)


def _row_before(forest: Forest, sample: int, place: int) -> int:
    """The row of the token before `place` of a sample, all of which continue segment 0."""
    at = place - 1 - len(forest.new[0].token_ids)
    return forest.rows_of(sample + 1)[at] if at >= 0 else place - 1


def _columns(width: int) -> Callable[[Any], Tensor]:
    return lambda output: output[0, :, :width]


def _last_row(output: Any) -> Tensor:
    row: Tensor = (output[0] if isinstance(output, tuple) else output)[0, -1]
    return row


@contextmanager
def _captured(parts: Sequence[tuple[Any, Callable[[Any], Tensor]]]) -> Iterator[dict[int, Tensor]]:
    """For each (module, what to take of its output), by number, what was taken during one pass."""
    seen: dict[int, Tensor] = {}

    def note(number: int, take: Callable[[Any], Tensor]) -> Callable[..., None]:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            seen[number] = take(output).detach()

        return hook

    hooks = [module.register_forward_hook(note(number, take)) for number, (module, take) in enumerate(parts)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _witnessed(network: Any) -> Iterator[None]:
    """The network's attention also writes into the `watch` it is handed."""
    AttentionInterface.register(_WITNESS, _witness)
    AttentionMaskInterface.register(_WITNESS, sdpa_mask)
    network.set_attn_implementation(_WITNESS)
    try:
        yield
    finally:
        network.set_attn_implementation(NAME)


def _witness(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    softcap: float | None = None,
    watch: _Watch | None = None,
    **rest: Any,
) -> tuple[Tensor, None]:
    output, _ = attend(module, query, key, value, attention_mask, scaling=scaling, softcap=softcap, **rest)
    if watch is not None:
        number, scale = int(module.layer_idx), scaling if scaling is not None else query.shape[-1] ** -0.5
        keys = key[0].repeat_interleave(query.shape[1] // key.shape[1], 0)
        scores = _wide(torch.einsum("hw,htw->ht", query[0, :, -1], keys)) * scale
        if softcap is not None:
            scores = torch.tanh(scores / softcap) * softcap
        if attention_mask is not None:
            scores = scores.masked_fill(~attention_mask[0, :, -1], math.nan)
        watch.scores[number] = scores[:, scores.shape[1] - watch.query_length :]
        watch.summed[number] = scores[:, watch.context].sum(0)
    return output, None


def random_twin(network: Any, seed: int) -> Any:
    """A network of the same configuration with fresh weights; raises `ComputeError` where there is no room for it."""
    size = sum(weight.numel() * weight.element_size() for weight in network.parameters())
    if size > free_bytes(network.device.type):
        raise ComputeError(
            f"{size / 1e9:.1f} GB for the control with random weights are not free",
            expected="a smaller model or more memory",
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        twin = AutoModelForCausalLM.from_config(copy.deepcopy(network.config), dtype=network.dtype)
    prepare(twin)
    return twin.to(network.device).eval().requires_grad_(False)


def _finite(loss: float) -> float:
    if not math.isfinite(loss):
        raise ComputeError("the loss of the fine-tuning is not a finite number", expected="a smaller learning rate")
    return loss


def _wide(tensor: Tensor) -> Tensor:
    """At least single precision."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def _array(tensor: Tensor) -> Array:
    return np.asarray(tensor.detach().double().cpu().numpy())
