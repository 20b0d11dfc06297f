"""Where a network rotates all positions in another way because a prompt is long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def turning_point(config: Any) -> int | None:
    """The longest prompt, in tokens, that is rotated like short ones; None where length does not matter.

    LongRoPE (arXiv 2402.13753) has two sets of factors; a plain pass takes the long ones for all of its tokens where
    the prompt is longer than those of pretraining. Dynamic scaling only begins beyond the model's context, where no
    prompt goes.
    """
    lengths = [
        parameters["original_max_position_embeddings"]
        for parameters in _rope_parameters(config.get_text_config())
        if parameters.get("rope_type") == "longrope"
    ]
    return min(lengths, default=None)


def beyond(turn: int | None, tokens: int) -> bool:
    """Whether a prompt lies beyond the turning point, if there is one.

    `tokens` counts its longest candidate: all candidates of a prompt are rotated alike, as in one batch, so that they
    can be compared.
    """
    return turn is not None and tokens > turn


def _rope_parameters(config: Any) -> Iterator[dict[str, Any]]:
    """Of the network, or of each kind of its layers."""
    parameters = getattr(config, "rope_parameters", None) or {}
    if "rope_type" in parameters:
        yield parameters
    yield from (of_kind for of_kind in parameters.values() if isinstance(of_kind, dict) and "rope_type" in of_kind)
