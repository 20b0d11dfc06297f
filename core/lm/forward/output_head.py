"""Logits in single precision from the last hidden state, whatever number type the network computes in.

bfloat16 keeps 8 bits: a logit near 16 comes in steps of 1/8, so candidates tie and removals move scores by whole steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from core.errors import ModelError

CHUNK_NUMBERS = 16_777_216
"""Most weights of the output layer that are widened at once: 64 MiB in single precision."""
_WIDE = (torch.float32, torch.float64)


class WideHead(torch.nn.Linear):
    """An output layer whose products and sums are in single precision or wider, and so its logits.

    What the family does with the logits afterwards (a soft cap, a factor) then happens in that precision too. A layer
    that is in single precision already runs exactly as before. The weights are widened in chunks of `CHUNK_NUMBERS`.
    """

    def forward(self, input: Tensor) -> Tensor:
        """[..., vocab] from [..., width]."""
        if self.weight.dtype not in _WIDE:
            logits: Tensor = _Widened.apply(input, self.weight, self.bias)  # type: ignore[no-untyped-call]
            return logits
        if not torch.is_autocast_enabled(input.device.type):
            return super().forward(input)
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.to(self.weight.dtype))


def wide(tensor: Tensor) -> Tensor:
    """In single precision at least: sums of exponentials, and sums over many tokens, lose too much in half."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def widen(network: Any) -> None:
    """Make the output layer of `network` a `WideHead`; its weights and its name stay.

    Raises `ModelError` for an output layer that is not a plain linear layer.
    """
    head = network.get_output_embeddings()
    if isinstance(head, WideHead):
        return
    if type(head) is not torch.nn.Linear:
        raise ModelError(f"the output layer is {type(head).__name__}", expected="a linear layer")
    head.__class__ = WideHead


class _Widened(torch.autograd.Function):
    """x W^T + b in single precision; neither pass holds more than a chunk of W in it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight, bias)
        logits = x.new_empty(*x.shape[:-1], weight.shape[0], dtype=torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            for rows in _chunks(weight):
                logits[..., rows] = linear(x.float(), weight[rows].float())
        if bias is not None:
            logits += bias
        return logits

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight, bias = ctx.saved_tensors
        by_row, inputs = grad.flatten(0, -2), x.flatten(0, -2).float()
        grad_x = torch.zeros_like(inputs) if ctx.needs_input_grad[0] else None
        grad_weight = torch.empty_like(weight) if ctx.needs_input_grad[1] else None
        for rows in _chunks(weight):
            if grad_x is not None:
                grad_x.addmm_(by_row[:, rows], weight[rows].float())
            if grad_weight is not None:
                grad_weight[rows] = (by_row[:, rows].t() @ inputs).to(weight.dtype)
        grad_bias = by_row.sum(0).to(bias.dtype) if bias is not None and ctx.needs_input_grad[2] else None
        return None if grad_x is None else grad_x.view(x.shape).to(x.dtype), grad_weight, grad_bias


def _chunks(weight: Tensor) -> Iterator[slice]:
    step = max(1, CHUNK_NUMBERS // weight.shape[1])
    for start in range(0, weight.shape[0], step):
        yield slice(start, start + step)
