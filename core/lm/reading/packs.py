"""How many sequences go through a model at once, in packs that fit its memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import ComputeError
from core.lm.scoring.sweep import end_of_pack

if TYPE_CHECKING:
    from core.lm.loading.load import LanguageModel

Vectors = NDArray[np.float32]
"""[text or choice, width]."""


def read_in_packs(
    model: LanguageModel, lengths: Sequence[int], read: Callable[[Sequence[int]], Vectors], budget: int
) -> Vectors:
    """One vector [sequence, hidden] for each sequence of `lengths` tokens, by `read(places)` of one pack at a time.

    A pack has at most `budget` tokens, or one sequence; out of memory halves it. Raises `ComputeError` where one
    sequence alone does not fit, or for a vector that is not finite.
    """
    vectors = np.zeros((len(lengths), width_of(model.network)), dtype=np.float32)
    end = 0
    while end < len(lengths):
        first, end = end, end_of_pack(lengths, end, budget)
        vectors[first:end] = _halved(range(first, end), lengths, read, model.device)
    if not np.isfinite(vectors).all():
        raise ComputeError("the model gave vectors that are not finite numbers", expected="finite hidden states")
    return vectors


def width_of(network: Any) -> int:
    """Numbers of one hidden state at the output layer."""
    return int(network.get_output_embeddings().weight.shape[1])


def _halved(
    places: Sequence[int], lengths: Sequence[int], read: Callable[[Sequence[int]], Vectors], device: str
) -> Vectors:
    try:
        return read(places)
    except torch.OutOfMemoryError as error:
        if len(places) == 1:
            raise ComputeError(
                f"out of memory on {device} with one sequence of {lengths[places[0]]} tokens",
                expected="a smaller model or another device",
            ) from error
    half = len(places) // 2
    parts = [_halved(part, lengths, read, device) for part in (places[:half], places[half:])]
    return np.concatenate(parts)
