"""One forward pass of a model over a forest of segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from core.errors import ComputeError
from core.lm.attention import Pass, Probe, running
from core.lm.change import DualChange
from core.lm.forest import Forest, Memory


def run(
    network: Any,
    forest: Forest,
    rows: Sequence[int],
    *,
    gates: Tensor | None = None,
    keep: bool = False,
    probe: Probe | None = None,
    changes: Sequence[DualChange] = (),
) -> tuple[Tensor, Memory | None]:
    """Logits [rows, vocab] in fp32 or wider after the given new rows, and the memory of all segments when `keep`.

    `gates` is [layer or 1, head or 1, all tokens]; a gradient flows to it where it asks for one.
    `changes` are the changed dual models that segments name by index. Raises `ComputeError` before anything runs for a
    token id or a position that the model has no row for, because on a GPU such an index ruins the process for good.
    """
    _check(network, forest)
    device = network.device
    on_device = None if gates is None else gates.to(device)
    forward = Pass(forest=forest, gates=on_device, keep=keep, probe=probe, changes=changes)
    offset = forest.memory.tokens
    with running(forward):
        output = network(
            input_ids=forest.token_ids[None].to(device),
            position_ids=forest.positions[None, offset:].to(device),
            attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device),  # 4-d: no mask is built from it
            use_cache=False,
            logits_to_keep=torch.tensor(list(rows), dtype=torch.long, device=device),
        )
    logits = output.logits[0]
    return logits if logits.dtype == torch.float64 else logits.float(), _memory(forest, forward) if keep else None


def _memory(forest: Forest, forward: Pass) -> Memory:
    if not forward.keys:
        raise ComputeError("no layer attends to earlier tokens", expected="attention in the layers")
    layers = range(max(forward.keys) + 1)
    nothing = torch.empty(1, len(forest.token_ids), 0)  # of a layer without attention, so that layers keep their number
    return Memory(
        forest.segments,
        tuple(_joined(forest.memory.keys, forward.keys.get(layer, nothing), layer) for layer in layers),
        tuple(_joined(forest.memory.values, forward.values.get(layer, nothing), layer) for layer in layers),
    )


def _joined(before: tuple[Tensor, ...], new: Tensor, layer: int) -> Tensor:
    return torch.cat([before[layer], new], dim=1) if before else new


def _check(network: Any, forest: Forest) -> None:
    config = network.config.get_text_config()
    known = network.get_input_embeddings().weight.shape[0]
    if len(forest.token_ids) == 0:
        raise ComputeError("there are no tokens to run", expected="at least one")
    if int(forest.token_ids.max()) >= known or int(forest.token_ids.min()) < 0:
        raise ComputeError(f"token id {int(forest.token_ids.max())}", expected=f"ids below {known}, the model's rows")
    context = getattr(config, "max_position_embeddings", None)
    if context is not None and int(forest.positions.max()) >= context:
        raise ComputeError(
            f"a prompt of {int(forest.positions.max()) + 1} tokens", expected=f"at most {context}, the model's context"
        )
