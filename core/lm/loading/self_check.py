"""Measures, when a model is loaded, whether it reads a forest of segments as it reads plain sequences."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import torch
from torch import Tensor

from core.errors import ComputeError, ModelError, short_of_memory, too_large
from core.lm.forward.attention import prepare
from core.lm.forward.forest import Forest, Segment
from core.lm.forward.forward_pass import run

BRANCH = 4
"""Tokens of the beginning and of each branch; a demonstration is half a branch."""
WINDOW = 3
"""Longest sliding window during the check: tokens within a branch lie outside every kind of window."""
TOKENS = 256
"""Rows of embeddings and of the output layer that are enough to see a difference."""
LIMIT = 1e-3
"""Largest difference that rounding in single precision explains, as a share of the spread of a row's logits; families
that read forests exactly stay below 1e-5, those that do not come to 0.02 and more."""
_WINDOWS = ("sliding_window", "sliding_window_size", "attention_chunk_size", "floor_scale")
"""What configurations and layers call a distance from which on a token is seen in another way, or no longer."""
_SUCH_AS = "a family such as Llama, Qwen, Gemma, Mistral or Phi"


@dataclass(frozen=True)
class Proof:
    """Largest differences between the logits of a forest and of plain passes, as shares of a row's spread."""

    packed: float
    """Two branches behind one beginning, in one pass."""
    remembered: float
    """A branch that continues remembered keys and values."""
    gate_one: float
    """A demonstration with a learning rate of 1: nothing changes."""
    gate_zero: float
    """A demonstration with a learning rate of 0: as if its tokens were masked."""
    limit: float = LIMIT
    """What rounding explains: the model is refused beyond."""


_MEANINGS = {
    "packed": "branches packed into one pass",
    "remembered": "tokens behind a remembered beginning",
    "gate_one": "tokens behind a demonstration of learning rate 1",
    "gate_zero": "tokens behind a demonstration of learning rate 0",
}


def proven(network: Any, *, where: str) -> Proof:
    """Make `network` use our attention, and measure how well its forests agree with its own plain passes.

    Measured on the first layers, as many as hold every kind of layer, in single precision on the CPU, whatever number
    type and device the network has: a small part of loading, and rounding hides nothing. Raises `ModelError` with one
    sentence where forest and plain passes disagree, and where the family cannot run forests at all.
    """
    with _refusing(network, where, "plain passes"):
        small = _small(network)
        ids = _token_ids(small)
        plain = _plain(small, ids)
    for model in (network, small):
        _prepare(model, where)
    with _refusing(network, where, "packed and remembered passes"):
        forests = _forests(small, ids)
    proof = Proof(**{name: _apart(rows, plain[name]) for name, rows in forests.items()})
    for name, meaning in _MEANINGS.items():
        if not getattr(proof, name) <= LIMIT:
            problem = f"in the model family {_family(network)}, {meaning} differ from plain passes"
            share = f"by {getattr(proof, name):.1%} of the spread of the logits"
            raise ModelError(f"{problem} {share}", expected=f"at most {LIMIT:.1%}: {_SUCH_AS}", where=where)
    return proof


def _prepare(network: Any, where: str) -> None:
    try:
        prepare(network)
    except ModelError as error:
        raise ModelError(error.problem, expected=error.expected, where=where) from None


def _small(network: Any) -> Any:
    """A copy of the first layers with a part of the vocabulary and short windows, in single precision on the CPU.

    Weights that are in single precision on the CPU already are shared. Nothing is done to `network`.
    """
    memo: dict[int, Any] = {}
    layers, needed = _first_layers(network)
    dropped = {id(module) for layer in layers[needed:] for module in layer.modules()}
    embeddings = [module for module in network.modules() if isinstance(module, torch.nn.Embedding)]
    tables = [table for table in (*embeddings, network.get_output_embeddings()) if table is not None]
    tall = {id(table.weight) for table in tables} | {id(getattr(table, "bias", None)) for table in tables}
    for module in network.modules():
        if id(module) not in dropped:
            for tensor in _tensors(module):
                memo[id(tensor)] = _wide(tensor, spread=id(tensor) in tall)
    if needed < len(layers):
        memo[id(layers)] = copy.deepcopy(layers[:needed], memo)
    small = copy.deepcopy(network, memo)
    for module in small.modules():
        if isinstance(module, torch.nn.Embedding):
            module.padding_idx = None  # may be a row that is left out; it only matters to gradients
    _shorten_windows(small)
    return small


def _tensors(module: Any) -> list[Tensor]:
    """A module's own parameters, buffers and other tensors."""
    members = (*module._parameters.values(), *module._buffers.values(), *vars(module).values())
    return [tensor for tensor in members if isinstance(tensor, Tensor)]


def _wide(tensor: Tensor, *, spread: bool) -> Tensor:
    """In single precision on the CPU; with `spread`, only `TOKENS` rows from all over it."""
    some = tensor.detach()[:: max(1, len(tensor) // TOKENS)][:TOKENS] if spread else tensor.detach()
    half = tensor.dtype in (torch.bfloat16, torch.float16)
    moved = some.to("cpu", torch.float32 if half else tensor.dtype)
    return torch.nn.Parameter(moved, requires_grad=False) if isinstance(tensor, torch.nn.Parameter) else moved


def _first_layers(network: Any) -> tuple[Any, int]:
    """The list of layers, and how many from the first hold every kind of layer, at least two."""
    depth = network.config.get_text_config().num_hidden_layers
    lists = [module for module in network.modules() if isinstance(module, torch.nn.ModuleList) and len(module) == depth]
    if len(lists) != 1:
        return torch.nn.ModuleList(), 0
    kinds = [_kind(layer) for layer in lists[0]]
    return lists[0], max(2, *(kinds.index(kind) + 1 for kind in kinds))


def _kind(layer: Any) -> str:
    """The same for two layers whose modules are alike in all but numbers."""
    parts = []
    for name, module in layer.named_modules():
        flags = {key: value for key, value in vars(module).items() if isinstance(value, bool | str) or value is None}
        parts.append((name, type(module).__qualname__, sorted(flags.items())))
    return repr(parts)


def _shorten_windows(network: Any) -> None:
    """Set windows to `WINDOW` in the configuration, from which plain masks follow, and in the layers."""
    for module in network.modules():
        for owner in (module, getattr(module, "config", module)):
            for name in _WINDOWS:
                if type(length := getattr(owner, name, None)) is int and length > WINDOW:
                    with contextlib.suppress(AttributeError):  # another name of a window that is found as well
                        setattr(owner, name, WINDOW)


@dataclass(frozen=True)
class _Ids:
    start: tuple[int, ...]
    first: tuple[int, ...]
    second: tuple[int, ...]
    demo: tuple[int, ...]
    query: tuple[int, ...]


def _token_ids(network: Any) -> _Ids:
    """Different tokens from all over the vocabulary, none of which the configuration gives a meaning."""
    config = network.config.get_text_config()
    rows = network.get_input_embeddings().weight.shape[0]
    values = [value for key, value in config.to_dict().items() if key.endswith("token_id")]
    special = {token for value in values for token in (value if isinstance(value, list) else [value])}
    usable = (int(number * 0.618034 * rows) % rows for number in count(1))
    ids = list(islice((token for token in usable if token not in special), 4 * BRANCH))
    start, first, second, last = (tuple(ids[at : at + BRANCH]) for at in range(0, len(ids), BRANCH))
    return _Ids(start, first, second, last[: BRANCH // 2], last[BRANCH // 2 :])


def _plain(network: Any, ids: _Ids) -> dict[str, Tensor]:
    """Logits [row, vocab] of plain passes by the network's own attention, for the rows behind the beginning."""
    ends = (ids.first, ids.second, ids.demo + ids.query, ids.demo + ids.query)
    tokens = torch.tensor([ids.start + end for end in ends], device=network.device)
    mask = torch.ones_like(tokens)
    mask[-1, BRANCH : BRANCH + len(ids.demo)] = 0
    positions = torch.arange(tokens.shape[1], device=network.device).expand_as(tokens)
    logits = network(input_ids=tokens, attention_mask=mask, position_ids=positions, use_cache=False).logits
    behind = logits[:, BRANCH:]
    return {
        "packed": behind[:2].flatten(0, 1),
        "remembered": behind[0],
        "gate_one": behind[2],
        "gate_zero": behind[3, len(ids.demo) :],
    }


def _forests(network: Any, ids: _Ids) -> dict[str, Tensor]:
    """Logits [row, vocab] of the same sequences as forests."""
    start = Segment(ids.start, None, 0)
    packed, memory = run(
        network,
        Forest((start, Segment(ids.first, 0, BRANCH), Segment(ids.second, 0, BRANCH))),
        range(BRANCH, 3 * BRANCH),
        keep=True,
    )
    assert memory is not None
    behind = BRANCH + len(ids.demo)
    forest = Forest(
        (
            Segment(ids.first, 0, BRANCH),
            Segment(ids.demo, 0, BRANCH, demo=0),
            Segment(ids.query, 2, behind),
            Segment(ids.demo, 0, BRANCH, demo=1),
            Segment(ids.query, 4, behind),
        ),
        memory.first(1),
        by_demo=True,
    )
    config = network.config.get_text_config()
    gates = torch.where(forest.demo_of == 1, 0.0, 1.0)
    gates = gates.expand(config.num_hidden_layers, config.num_attention_heads, -1)
    logits, _ = run(network, forest, range(3 * BRANCH), gates=gates)
    return {
        "packed": packed,
        "remembered": logits[:BRANCH],
        "gate_one": logits[BRANCH : 2 * BRANCH],
        "gate_zero": logits[2 * BRANCH + len(ids.demo) :],
    }


def _apart(rows: Tensor, plain: Tensor) -> float:
    """Largest distance of two rows of logits [row, vocab] up to a constant, as a share of the plain row's spread."""
    if rows.shape != plain.shape:
        return float("inf")
    ours, theirs = (logits.double() - logits.double().mean(-1, keepdim=True) for logits in (rows, plain))
    spread = theirs.norm(dim=-1).clamp(min=torch.finfo(theirs.dtype).tiny)
    return float(((ours - theirs).norm(dim=-1) / spread).max())


@contextlib.contextmanager
def _refusing(network: Any, where: str, what: str) -> Iterator[None]:
    """Turn any failure inside into a sentence about the model family."""
    try:
        with torch.no_grad():
            yield
    except torch.OutOfMemoryError:
        problem = "out of memory in a pass over a few dozen tokens"
        raise ModelError(problem, expected="a smaller model or more memory", where=where) from None
    except Exception as error:  # an unknown family can fail in any of the library's classes
        if short_of_memory(error):
            raise too_large(where) from None
        reason = str(error).split(";")[0] if isinstance(error, ComputeError) else type(error).__name__
        raise ModelError(
            f"the model family {_family(network)} cannot run {what} ({reason})",
            expected=_SUCH_AS,
            where=where,
        ) from None


def _family(network: Any) -> str:
    return str(getattr(network.config, "model_type", type(network).__name__))
