"""Logits and loss of a network at the answers of some prompts, in one pass over a padded batch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from core.errors import ComputeError
from core.tuning.training.answer_tokens import EncodedPrompt


def ready(network: Any) -> None:
    """Give the network the fastest attention that it can be trained with.

    Our own attention serves every family and is differentiable, but keeps all maps; torch's fused one knows neither
    soft caps nor attention sinks.
    """
    config = network.config.get_text_config()
    capped = getattr(config, "attn_logit_softcapping", None) is not None
    if not capped and not any("sinks" in name for name, _ in network.named_parameters()):
        network.set_attn_implementation("sdpa")


def micro_batches(prompts: Sequence[EncodedPrompt], most_tokens: int) -> Iterator[list[EncodedPrompt]]:
    """The prompts from the shortest to the longest, in groups of at most `most_tokens` tokens with their padding.

    A prompt longer than that is a group of its own.
    """
    group: list[EncodedPrompt] = []
    for prompt in sorted(prompts, key=lambda prompt: len(prompt.ids)):
        if group and (len(group) + 1) * len(prompt.ids) > most_tokens:
            yield group
            group = []
        group.append(prompt)
    if group:
        yield group


def answer_logits(network: Any, prompts: Sequence[EncodedPrompt], *, autocast: bool = False) -> Tensor:
    """Logits [label, vocab] in fp32 after the rows of each prompt's labels, prompt by prompt.

    Prompts are padded at their ends, where causal attention never looks from; so no mask is needed, and every
    logit is that of the prompt alone. The output layer runs on the answer rows only. Raises `ComputeError` when out
    of memory.
    """
    width = max(len(prompt.ids) for prompt in prompts)
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    keep = torch.zeros(len(prompts), width, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt.ids)] = torch.from_numpy(prompt.ids)
        keep[row, torch.from_numpy(prompt.rows)] = True
    try:
        with precision(network.device.type, autocast):
            logits: Tensor = network(
                input_ids=ids.to(network.device), logits_to_keep=keep.to(network.device), use_cache=False
            ).logits
    except torch.OutOfMemoryError as error:
        raise ComputeError(
            f"out of memory on {network.device.type} with {ids.numel()} tokens at once",
            expected="smaller micro_tokens, gradient_checkpointing, or another device",
        ) from error
    return logits if logits.dtype == torch.float64 else logits.float()


def losses(network: Any, prompts: Sequence[EncodedPrompt], *, autocast: bool = False) -> Tensor:
    """Cross entropy of each label times its weight, [label], in nats; a gradient flows where the network takes one."""
    logits = answer_logits(network, prompts, autocast=autocast)
    labels = torch.from_numpy(np.concatenate([prompt.labels for prompt in prompts])).to(logits.device)
    weights = torch.from_numpy(np.concatenate([prompt.weights for prompt in prompts])).to(logits)
    return cross_entropy(logits, labels, reduction="none") * weights


@torch.no_grad()
def query_results(
    network: Any, prompts: Sequence[EncodedPrompt], *, autocast: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Score and loss of each prompt's query, both [prompt] in nats.

    The score is logit(Yes) - logit(No), and 0 for `next_item`; the loss is the mean cross entropy over the answer's
    or the title's tokens, unweighted.
    """
    logits = answer_logits(network, prompts, autocast=autocast).cpu()
    scores, wrong = np.zeros(len(prompts)), np.zeros(len(prompts))
    end = 0
    for place, prompt in enumerate(prompts):
        rows = logits[end + prompt.query : end + len(prompt.rows)]
        end += len(prompt.rows)
        wrong[place] = float(cross_entropy(rows, torch.from_numpy(prompt.labels[prompt.query :])))
        if prompt.answer_ids is not None:
            yes, no = prompt.answer_ids
            scores[place] = float(rows[0, yes] - rows[0, no])
    return scores, wrong


def in_bfloat16(device: str, *, autocast: bool) -> bool:
    """Whether matrices are multiplied in bfloat16: if wanted, on CUDA and on CPUs with AMX or AVX-512 BF16.

    Other CPUs would widen every number first, which is slower than single precision.
    """
    if not autocast or device != "cpu":
        return autocast and device == "cuda"
    able = torch.cpu.get_capabilities()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def precision(device: str, autocast: bool) -> AbstractContextManager[object]:
    """Autocast to bfloat16 where that is right; elsewhere nothing."""
    if in_bfloat16(device, autocast=autocast):
        return torch.autocast(device, dtype=torch.bfloat16)
    return contextlib.nullcontext()
