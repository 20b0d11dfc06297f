"""Slow references that the analyses are held against, and random prompts to hold them on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.lm.forward.attention import prepare
from core.lm.loading.load import LanguageModel
from core.prompt.families import Family
from core.prompt.spans import Prompt, Span

YES, NO = 40, 41


@dataclass(frozen=True)
class Pair:
    """The same weights twice."""

    reference: Any
    model: LanguageModel


def language_model(network: Any, tokenizer: Any = None) -> LanguageModel:
    config = network.config.get_text_config()
    prepare(network)
    return LanguageModel(
        network=network,
        tokenizer=tokenizer,
        model_id="tiny",
        name="tiny",
        folder=Path(),
        device="cpu",
        dtype=str(network.dtype).removeprefix("torch."),
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        context=config.max_position_embeddings,
        adapter=None,
        notices=(),
    )


def random_prompt(family: Family, *, demos: int = 4, candidates: int = 5, seed: int = 0) -> Prompt:
    rng = np.random.default_rng(seed)

    def span(kind: Any, index: int, low: int, high: int) -> Span:
        ids = tuple(int(token) for token in rng.integers(50, 300, int(rng.integers(low, high))))
        return Span(kind, index, "", ids, ())

    return Prompt(
        family=family,
        instruction=span("instruction", 0, 4, 6),
        demos=tuple(span("demo", k, 5, 9) for k in range(demos)),
        query=span("query", 0, 4, 7),
        candidates=tuple(span("candidate", c, 1, 5) for c in range(candidates)),
        answer_ids=(YES, NO) if family == "yes_no" else None,
        kept_demos=tuple(range(demos)),
    )


def hand_written(reference: Any, prompt: Prompt, mask: Any, candidate: int, *, keep_places: bool = False) -> float:
    """The score of one candidate by one plain call of the untouched network; the slow reference."""
    spans = (*prompt.prefix, prompt.candidates[candidate])
    kept = [True, *[bool(bit) for bit in mask], True, True]
    if keep_places:
        ids = [token for span in spans for token in span.token_ids]
        alive = torch.tensor([bit for span, bit in zip(spans, kept, strict=True) for _ in span.token_ids])
        logits = _masked_logits(reference, ids, alive)
    else:
        ids = [token for span, bit in zip(spans, kept, strict=True) if bit for token in span.token_ids]
        with torch.no_grad():
            logits = reference(torch.tensor([ids]), use_cache=False).logits[0]
    return _read(prompt, logits, candidate)


def _read(prompt: Prompt, logits: torch.Tensor, candidate: int) -> float:
    if prompt.answer_ids is not None:
        return float(logits[-1, YES] - logits[-1, NO])
    own = prompt.candidates[candidate].token_ids
    first = len(logits) - len(own) - 1
    each = logits.log_softmax(-1)[torch.arange(first, first + len(own)), torch.tensor(own)]
    return float(each.sum())


def _masked_logits(reference: Any, ids: list[int], alive: torch.Tensor) -> torch.Tensor:
    """Logits where no token sees the dead ones, by transformers' own padding mask; positions stay as written."""
    with torch.no_grad():
        output = reference(
            torch.tensor([ids]),
            attention_mask=alive.long()[None],
            position_ids=torch.arange(len(ids))[None],
            use_cache=False,
        )
    return output.logits[0]


def gated_by_mask(reference: Any, prompt: Prompt, gates: list[float], candidate: int) -> float:
    """The score under gates, by an additive attention mask handed to the untouched network."""
    spans = (*prompt.prefix, prompt.candidates[candidate])
    ids = [token for span in spans for token in span.token_ids]
    owner = torch.tensor([span.index if span.kind == "demo" else -1 for span in spans for _ in span.token_ids])
    rate = torch.tensor([*gates, 1.0])[owner]
    outside = owner[:, None] != owner[None, :]
    bias = torch.where(outside, rate.log()[None, :], 0.0)
    apart = torch.arange(len(ids))[:, None] - torch.arange(len(ids))[None, :]
    masks = {}
    for kind, window in (
        ("full_attention", len(ids)),
        ("sliding_attention", getattr(reference.config, "sliding_window", None) or 0),
    ):
        masks[kind] = bias.masked_fill((apart < 0) | (apart >= window), -torch.inf)[None, None]
    sliding = "sliding_attention" in (getattr(reference.config, "layer_types", None) or ())
    with torch.no_grad():
        output = reference(
            torch.tensor([ids]), attention_mask=masks if sliding else masks["full_attention"], use_cache=False
        )
    return _read(prompt, output.logits[0], candidate)
