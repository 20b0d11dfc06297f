"""Candidates of the same words have exactly the same score, wherever they stand, in every way of scoring."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from references import language_model, random_prompt

from core.lm.forward.dual_change import DualChange
from core.lm.scoring.many import scores_of_prompts
from core.lm.scoring.score import Scorer
from core.lm.scoring.stream import StreamScorer
from core.prompt.families import Family
from core.prompt.spans import Prompt

ALIKE = [1, 4, 6]


def with_twins(family: Family, seed: int) -> Prompt:
    """Seven candidates, three of which have the same tokens."""
    prompt = random_prompt(family, candidates=7, seed=seed)
    spans = [prompt.candidates[1] if place in ALIKE else span for place, span in enumerate(prompt.candidates)]
    return dataclasses.replace(prompt, candidates=tuple(spans))


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_twins_tie(tiny_llama: Any, family: Family, dtype: torch.dtype) -> None:
    model = language_model(copy.deepcopy(tiny_llama).to(dtype))
    for seed in range(3):
        prompt = with_twins(family, seed)
        scorer = Scorer(model, prompt)
        tables = [
            scorer.full(),
            *scorer.subsets(~np.eye(4, dtype=bool)),
            *scorer.changed([DualChange(sigma=0.3, seed=1)]),
            scorer.gated(torch.full((4,), 0.5)).detach().numpy(),
            scores_of_prompts(model, [prompt])[0][0],
            StreamScorer(model).score(prompt),
        ]
        for scores in tables:
            assert len(set(scores[ALIKE].tolist())) == 1
            assert len(set(scores.tolist())) == 5
