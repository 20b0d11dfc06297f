"""300 random pairs of (model kind, prompt kind, number type): our scores against plain passes of the same network.

The reference runs every candidate's whole sequence of tokens once, with the attention of the network's own family: no
forest, no memory, no shared prefix.
"""

from __future__ import annotations

import copy
import dataclasses
import random
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from families import small_network
from references import language_model

from core.data.records import Case, Demonstration, Interaction, Item
from core.lm.forward.output_head import widen
from core.lm.scoring.many import scores_of_prompts
from core.lm.scoring.score import Scorer
from core.lm.scoring.stream import StreamScorer
from core.metrics.ranking import ranks
from core.prompt.build import build
from core.prompt.spans import Prompt

DENSE = (
    *("llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "mistral", "ministral", "phi", "phi3", "gpt2"),
    *("opt", "gpt_neox", "olmo", "olmo2", "cohere", "cohere2", "granite", "glm", "glm4", "starcoder2", "stablelm"),
    *("helium", "smollm3", "exaone4", "biogpt", "persimmon", "nemotron"),
)
EXPERTS = ("mixtral", "qwen3_moe", "olmoe", "gpt_oss")
"""Which experts a token goes to changes by leaps, so these are compared in single precision only."""
GROUPS, SIZE = 12, 25
TITLES = ("Alien", "Aliens", "Heat", "Fargo", "Toy Story", "The Matrix", "Blade Runner", "Alien 3", "Alien", "Heat 2")
ITEMS = {str(number): Item(str(number), title) for number, title in enumerate(TITLES)}


@dataclasses.dataclass(frozen=True)
class Networks:
    """The same weights three times: untouched, in single precision, and as the product uses them."""

    plain: Any
    exact: Any
    model: Any


@cache
def networks(kind: str, dtype: torch.dtype) -> Networks:
    """The untouched network reads its logits in single precision too, or its own rounding would hide ours."""
    plain = small_network(kind).to(dtype)
    model = language_model(copy.deepcopy(plain))
    exact = copy.deepcopy(plain).float()
    widen(plain)
    return Networks(plain, exact, model)


def plain_scores(network: Any, prompt: Prompt, mask: Any, aggregate: str) -> np.ndarray:
    """The reference: one plain pass per candidate."""
    spans = [span for span, bit in zip(prompt.prefix, [True, *mask, True], strict=True) if bit]
    start = [token for span in spans for token in span.token_ids]
    scores = []
    for candidate in prompt.candidates:
        with torch.no_grad():
            logits = network(torch.tensor([[*start, *candidate.token_ids]]), use_cache=False).logits[0].double()
        if prompt.answer_ids is not None:
            yes, no = prompt.answer_ids
            scores.append(float(logits[-1, yes] - logits[-1, no]))
            continue
        title = torch.tensor(candidate.token_ids)
        terms = logits[len(start) - 1 : -1].log_softmax(-1)[torch.arange(len(title)), title]
        scores.append(float(terms.sum() if aggregate == "sum" else terms.mean()))
    return np.array(scores)


def random_prompt(draw: random.Random, tokenizer: Any) -> Prompt:
    """A prompt as the product writes it, of a random family, in chat or not, with random lengths and items."""
    demos = [
        Demonstration(f"u:{place}", "u", place, tuple(draw.sample(list(ITEMS), 2)), item, draw.random() < 0.5, "recent")
        for place, item in enumerate(draw.sample(list(ITEMS), draw.randint(0, 3)))
    ]
    case = Case(
        dataset_id="d",
        user_id="u",
        split="last",
        history=tuple(Interaction(item, place) for place, item in enumerate(draw.sample(list(ITEMS), 3))),
        candidates=tuple(draw.sample(list(ITEMS), draw.randint(2, 5))),
        target=None,
        moment=None,
        seed=0,
    )
    family = draw.choice(["yes_no", "next_item"])
    return build(case, demos, ITEMS, tokenizer, family=family, history=draw.randint(0, 3), chat=draw.random() < 0.5)


def our_scores(draw: random.Random, model: Any, prompt: Prompt, mask: Any, aggregate: Any) -> np.ndarray:
    """By one of the ways the product has; a demonstration left out can only be asked of one of them."""
    if not mask.all():
        scorer = Scorer(model, prompt, aggregate=aggregate)
        if draw.random() < 0.5:
            scorer.full()
        return scorer.subsets(mask[None])[0]
    way = draw.choice(["scorer", "sweep", "stream", "gated"])
    if way == "sweep":
        return scores_of_prompts(model, [prompt], aggregate=aggregate)[0][0]
    if way == "stream":
        return StreamScorer(model, aggregate=aggregate).score(prompt)
    scorer = Scorer(model, prompt, aggregate=aggregate)
    return scorer.full() if way == "scorer" else scorer.gated(torch.ones(len(prompt.demos))).double().numpy()


@pytest.mark.parametrize("group", range(GROUPS))
def test_scores_and_ranks_are_those_of_plain_passes(group: int, tiny_tokenizer: Any) -> None:
    """In single precision within 2e-3 nats, ranks equal, ties too.

    In bfloat16 both round, so both are held against the same weights in single precision: over the group our error is
    at most half as much again as that of plain passes, and candidates further apart than four times the largest error
    of their plain passes stand in the exact order.
    """
    errors: dict[str, list[float]] = {"ours": [], "plain": []}
    for number in range(SIZE):
        draw = random.Random(f"plain reference {group} {number}")
        dtype = draw.choice([torch.float32, torch.float32, torch.bfloat16])
        kind = draw.choice(DENSE if dtype == torch.bfloat16 else DENSE + EXPERTS)
        prompt, aggregate = random_prompt(draw, tiny_tokenizer), draw.choice(["sum", "mean"])
        mask = np.array([draw.random() < 0.7 for _ in prompt.demos], dtype=bool)
        those = networks(kind, dtype)
        exact = plain_scores(those.exact, prompt, mask, aggregate)
        ours = our_scores(draw, those.model, prompt, mask, aggregate)
        if dtype == torch.float32:
            np.testing.assert_allclose(ours, exact, atol=2e-3, rtol=0, err_msg=f"{kind} {number}")
            assert ranks(ours) == ranks(exact), (kind, number)
            continue
        plain = plain_scores(those.plain, prompt, mask, aggregate)
        errors["ours"] += list(ours - exact)
        errors["plain"] += list(plain - exact)
        apart = exact[:, None] - exact[None, :] > 4 * np.abs(plain - exact).max()
        assert (ours[:, None] > ours[None, :])[apart].all(), (kind, number)
    size = {name: np.square(values).mean() ** 0.5 for name, values in errors.items()}
    assert size["ours"] < 1.5 * size["plain"]
