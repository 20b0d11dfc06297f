"""One forward pass of a model over a forest of segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from core.errors import ComputeError
from core.lm.forward.attention import Pass, Probe, running
from core.lm.forward.dual_change import DualChange
from core.lm.forward.forest import Forest, Memory, Segment
from core.lm.forward.output_head import wide
from core.lm.forward.rotation import turning_point


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
    Where rotations depend on the length of prompts, all tokens are rotated alike: as those of long prompts where the
    forest is `stretched` or reaches beyond the turning point; `ComputeError` where the memory was rotated otherwise.
    """
    _check(network, forest)
    turn = turning_point(network.config)
    reach = int(forest.positions[forest.memory.tokens :].max()) + 1
    stretched = turn is not None and (forest.stretched or reach > turn)
    if forest.memory.segments and forest.memory.stretched != stretched:
        raise ComputeError("a pass over prompts of another length than those remembered", expected=f"up to {turn} both")
    if turn is not None and stretched and reach <= turn:
        longer, gates, probe = _lengthened(forest, turn, gates, probe)
        logits, memory = run(network, longer, rows, gates=gates, keep=keep, probe=probe, changes=changes)
        return logits, None if memory is None else memory.first(len(forest.segments))
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
    memory = replace(_memory(forest, forward), stretched=stretched) if keep else None
    return wide(logits), memory


def _lengthened(
    forest: Forest, turn: int, gates: Tensor | None, probe: Probe | None
) -> tuple[Forest, Tensor | None, Probe | None]:
    """The same with one token more, of no prompt, at the turning point: the network looks at the largest position."""
    if gates is not None:
        gates = torch.cat([gates, gates.new_ones(*gates.shape[:-1], 1)], dim=-1)
    if probe is not None:
        probe = replace(probe, label_of=torch.cat([probe.label_of, probe.label_of.new_full((1,), probe.parts)]))
    return replace(forest, new=(*forest.new, Segment((0,), None, turn))), gates, probe


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
    rows = network.get_input_embeddings().weight.shape[0]
    if len(forest.token_ids) == 0:
        raise ComputeError("there are no tokens to run", expected="at least one")
    if int(forest.token_ids.max()) >= rows or int(forest.token_ids.min()) < 0:
        raise ComputeError(f"token id {int(forest.token_ids.max())}", expected=f"ids below {rows}, the model's rows")
    context = getattr(config, "max_position_embeddings", None)
    if context is not None and int(forest.positions.max()) >= context:
        raise ComputeError(
            f"a prompt of {int(forest.positions.max()) + 1} tokens", expected=f"at most {context}, the model's context"
        )
