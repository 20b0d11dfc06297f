"""Does a network read a forest of segments as it reads plain sequences? Measured once, when a model is loaded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import torch
from torch import Tensor

from core.errors import ComputeError, ModelError
from core.lm.attention import prepare
from core.lm.forest import Forest, Segment
from core.lm.run import run

BRANCH = 4
"""Tokens of the beginning and of each branch; a demonstration is half a branch."""
WINDOW = 3
"""Longest sliding window while a network is measured: every kind of window is crossed within a branch."""
LOGITS = 256
"""Rows of the output layer that are enough to see a difference."""
LIMITS = {torch.float32: 1e-3, torch.float64: 1e-6, torch.bfloat16: 0.2, torch.float16: 0.05}
"""Largest difference that rounding explains, as a share of the spread of a row's logits."""
_WINDOWS = ("sliding_window", "attention_chunk_size", "sliding_window_size")


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
    limit: float
    """What the number type's rounding explains."""


_MEANINGS = {
    "packed": "branches packed into one pass",
    "remembered": "tokens behind a remembered beginning",
    "gate_one": "tokens behind a demonstration of learning rate 1",
    "gate_zero": "tokens behind a demonstration of learning rate 0",
}
_SUCH_AS = "a family such as Llama, Qwen, Gemma, Mistral or Phi"


def proven(network: Any, *, where: str) -> Proof:
    """Make `network` use our attention, and how well its forests agree with its own plain passes.

    Measured on its first layers, as many as hold every kind of layer, and on the beginning of its output layer, which
    costs a small part of loading; only where these do not agree does the whole network decide. Raises `ModelError`
    with one sentence where that disagrees by more than rounding, and where the family cannot run forests at all.
    """
    own = network.config._attn_implementation
    try:
        with _first_layers(network), _first_logits(network):
            return _measured(network, where)
    except ModelError:
        network.set_attn_implementation(own)
        return _measured(network, where)


def _measured(network: Any, where: str) -> Proof:
    ids = _token_ids(network)
    with torch.no_grad(), _short_windows(network):
        with _refusing(network, where, "plain passes"):
            plain = _plain(network, ids)
        prepare(network)
        with _refusing(network, where, "packed and remembered passes"):
            forests = _forests(network, ids)
    proof = Proof(**{name: _apart(rows, plain[name]) for name, rows in forests.items()}, limit=LIMITS[network.dtype])
    for name, meaning in _MEANINGS.items():
        if not getattr(proof, name) <= proof.limit:
            found = f"in the model family {_family(network)}, {meaning} differ from plain passes"
            share = f"by {getattr(proof, name):.1%} of the spread of the logits"
            raise ModelError(f"{found} {share}", expected=f"at most {proof.limit:.1%}: {_SUCH_AS}", where=where)
    return proof


@dataclass(frozen=True)
class _Ids:
    start: tuple[int, ...]
    one: tuple[int, ...]
    other: tuple[int, ...]
    third: tuple[int, ...]
    demo: tuple[int, ...]
    query: tuple[int, ...]


def _token_ids(network: Any) -> _Ids:
    """Different tokens from all over the vocabulary, none of which the configuration gives a meaning."""
    config = network.config.get_text_config()
    rows = network.get_input_embeddings().weight.shape[0]
    special = {value for key, value in config.to_dict().items() if key.endswith("token_id")}
    usable = (int(number * 0.618034 * rows) % rows for number in count(1))
    ids = list(islice((token for token in usable if token not in special), 5 * BRANCH))
    parts = [tuple(ids[at : at + BRANCH]) for at in range(0, len(ids), BRANCH)]
    start, one, other, third, last = parts
    return _Ids(start, one, other, third, last[: BRANCH // 2], last[BRANCH // 2 :])


def _plain(network: Any, ids: _Ids) -> dict[str, Tensor]:
    """Logits [row, vocab] of plain passes by the network's own attention, for the rows behind the beginning."""
    ends = (ids.one, ids.other, ids.third, ids.demo + ids.query, ids.demo + ids.query)
    tokens = torch.tensor([ids.start + end for end in ends], device=network.device)
    mask = torch.ones_like(tokens)
    mask[-1, BRANCH : BRANCH + len(ids.demo)] = 0
    positions = torch.arange(tokens.shape[1], device=network.device).expand_as(tokens)
    logits = network(input_ids=tokens, attention_mask=mask, position_ids=positions, use_cache=False).logits
    behind = logits[:, BRANCH:]
    return {
        "packed": behind[:2].flatten(0, 1),
        "remembered": behind[2],
        "gate_one": behind[3],
        "gate_zero": behind[4, len(ids.demo) :],
    }


def _forests(network: Any, ids: _Ids) -> dict[str, Tensor]:
    """Logits [row, vocab] of the same sequences as forests."""
    start = Segment(ids.start, None, 0)
    packed, memory = run(
        network,
        Forest((start, Segment(ids.one, 0, BRANCH), Segment(ids.other, 0, BRANCH))),
        range(BRANCH, 3 * BRANCH),
        keep=True,
    )
    assert memory is not None
    behind, half = BRANCH + len(ids.demo), BRANCH // 2
    forest = Forest(
        (
            Segment(ids.third, 0, BRANCH),
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
    rows = range(2 * BRANCH + half)
    logits, _ = run(network, forest, [*rows, *range(2 * BRANCH + half, 3 * BRANCH)], gates=gates)
    return {
        "packed": packed,
        "remembered": logits[:BRANCH],
        "gate_one": logits[BRANCH : 2 * BRANCH],
        "gate_zero": logits[2 * BRANCH + half :],
    }


def _apart(rows: Tensor, plain: Tensor) -> float:
    """Largest distance of two rows of logits [row, vocab] up to a constant, as a share of the plain row's spread."""
    if rows.shape != plain.shape:
        return float("inf")
    one, other = (logits.double() - logits.double().mean(-1, keepdim=True) for logits in (rows, plain))
    return float(((one - other).norm(dim=-1) / other.norm(dim=-1)).max())


@contextlib.contextmanager
def _first_layers(network: Any) -> Iterator[None]:
    """Only as many layers, from the first, as hold every kind of layer, at least two; all where they are not a list."""
    count = network.config.get_text_config().num_hidden_layers
    lists = [
        (module, name, layers)
        for module in network.modules()
        for name, layers in module.named_children()
        if isinstance(layers, torch.nn.ModuleList) and len(layers) == count
    ]
    if len(lists) != 1:
        yield
        return
    ((parent, name, layers),) = lists
    kinds = [_kind(layer) for layer in layers]
    needed = max(2, *(kinds.index(kind) + 1 for kind in kinds))
    setattr(parent, name, layers[:needed])
    try:
        yield
    finally:
        setattr(parent, name, layers)


def _kind(layer: Any) -> str:
    """The same for two layers whose modules are alike in all but numbers."""
    parts = []
    for name, module in layer.named_modules():
        flags = {key: value for key, value in vars(module).items() if isinstance(value, bool | str) or value is None}
        parts.append((name, type(module).__qualname__, sorted(flags.items())))
    return repr(parts)


@contextlib.contextmanager
def _first_logits(network: Any) -> Iterator[None]:
    """Only the first `LOGITS` rows of the output layer."""
    head = network.get_output_embeddings()
    if not isinstance(head, torch.nn.Linear):
        yield
        return
    whole = dict(head._parameters)
    try:
        for name, parameter in whole.items():
            head._parameters[name] = None if parameter is None else torch.nn.Parameter(parameter[:LOGITS], False)
        yield
    finally:
        head._parameters.update(whole)


@contextlib.contextmanager
def _short_windows(network: Any) -> Iterator[None]:
    """Windows of at most `WINDOW` tokens, in the configuration, from which plain masks are made, and in the layers."""
    owners = {id(owner): owner for module in network.modules() for owner in (module, getattr(module, "config", module))}
    changed = [
        (owner, name, value)
        for owner in owners.values()
        for name in _WINDOWS
        if isinstance(value := getattr(owner, name, None), int) and value > WINDOW
    ]
    try:
        for owner, name, _ in changed:
            setattr(owner, name, WINDOW)
        yield
    finally:
        for owner, name, value in changed:
            setattr(owner, name, value)


@contextlib.contextmanager
def _refusing(network: Any, where: str, what: str) -> Iterator[None]:
    """Whatever fails inside becomes a sentence about the family."""
    try:
        yield
    except torch.OutOfMemoryError:
        found = f"out of memory on {network.device} in a pass over a few dozen tokens"
        raise ModelError(found, expected="a smaller model or more memory", where=where) from None
    except ModelError:
        raise
    except Exception as error:  # an unknown family can fail in any of the library's classes
        reason = str(error).split(";")[0] if isinstance(error, ComputeError) else type(error).__name__
        raise ModelError(
            f"the model family {_family(network)} cannot run {what} ({reason})",
            expected=_SUCH_AS,
            where=where,
        ) from None


def _family(network: Any) -> str:
    return str(getattr(network.config, "model_type", type(network).__name__))
