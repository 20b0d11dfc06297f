"""What a blend adds stands in every score, whichever scorer gives it, and moves no gradient; 0 moves no bit."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from references import language_model, random_prompt

from core.lm.forward.dual_change import DualChange
from core.lm.loading.load import LanguageModel
from core.lm.scoring.many import ManyScorer, separate_tokens, sweep_tokens
from core.lm.scoring.score import Scorer
from core.lm.scoring.stream import StreamScorer
from core.lm.scoring.sweep import Aggregate
from core.prompt.families import Family
from core.prompt.spans import Prompt

PRIOR = (0.0, 1.5, -2.25, 40.0, 7.125)
MASKS = np.array([[True, False, True, True], [False, False, False, False]])


@pytest.fixture(scope="module")
def model(tiny_llama: Any) -> LanguageModel:
    return language_model(copy.deepcopy(tiny_llama))


@pytest.fixture(params=["yes_no", "next_item"])
def prompt(request: pytest.FixtureRequest) -> Prompt:
    family: Family = request.param
    return random_prompt(family, seed=3)


def every_score(model: LanguageModel, prompt: Prompt, aggregate: Aggregate = "sum") -> dict[str, Any]:
    """Scores [.., candidate] of a prompt from every entry of every scorer."""
    scorer = Scorer(model, prompt, aggregate=aggregate)
    return {
        "full": scorer.full(),
        "text": scorer.subsets(MASKS),
        "gate": scorer.subsets(MASKS, removal="gate"),
        "changed": scorer.changed([DualChange(alpha=0.5)]),
        "gated": scorer.gated(torch.full((4,), 0.5)).detach().numpy(),
        "sweep": ManyScorer(model, aggregate=aggregate).scores([prompt, replace(prompt, demos=prompt.demos[:2])]),
        "stream": StreamScorer(model, aggregate=aggregate).score(prompt),
    }


@pytest.mark.parametrize("aggregate", ["sum", "mean"])
def test_every_score_is_that_of_the_model_plus_the_prior(
    model: LanguageModel, prompt: Prompt, aggregate: Aggregate
) -> None:
    alone = every_score(model, prompt, aggregate)
    blended = every_score(model, replace(prompt, prior=PRIOR), aggregate)
    for name, scores in alone.items():
        np.testing.assert_allclose(blended[name] - scores, np.broadcast_to(PRIOR, scores.shape), atol=2e-6)


def test_some_candidates_get_their_own_prior(model: LanguageModel, prompt: Prompt) -> None:
    alone, blended = Scorer(model, prompt), Scorer(model, replace(prompt, prior=PRIOR))
    less = blended.subsets(MASKS, candidates=[3, 1]) - alone.subsets(MASKS, candidates=[3, 1])
    np.testing.assert_allclose(less, [[40.0, 1.5]] * 2, atol=1e-9)


def test_a_weight_of_zero_gives_the_same_bytes(model: LanguageModel, prompt: Prompt) -> None:
    alone, zero = every_score(model, prompt), every_score(model, replace(prompt, prior=(0.0,) * 5))
    for name, scores in alone.items():
        assert zero[name].tobytes() == scores.tobytes()


def test_no_gradient_depends_on_the_prior(model: LanguageModel, prompt: Prompt) -> None:
    gradients = []
    for each in (prompt, replace(prompt, prior=PRIOR)):
        gates = torch.full((4,), 0.5, requires_grad=True)
        rows = [torch.autograd.grad(score, gates, retain_graph=True)[0] for score in Scorer(model, each).gated(gates)]
        gradients.append(torch.stack(rows).numpy())
    assert gradients[0].tobytes() == gradients[1].tobytes()


def test_no_token_depends_on_the_prior(prompt: Prompt) -> None:
    blended = replace(prompt, prior=PRIOR)
    assert blended.length == prompt.length
    assert sweep_tokens([prompt, blended]) == sweep_tokens([prompt])
    assert separate_tokens([blended]) == separate_tokens([prompt])
