"""The same numbers on a CUDA device as on the processor."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from references import language_model, random_prompt

from core.analysis.explain.gradient import gradient_at
from core.analysis.values import TargetScore, all_masks
from core.lm.scoring.score import Scorer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
def test_scores_subsets_and_gradients_agree_with_the_processor(tiny_llama: Any, family: Any) -> None:
    prompt = random_prompt(family)
    here = language_model(copy.deepcopy(tiny_llama))
    there = replace(language_model(copy.deepcopy(tiny_llama).cuda()), device="cuda")
    answers = []
    for model in (here, there):
        scorer = Scorer(model, prompt)
        gradient = gradient_at(TargetScore(Scorer(model, prompt), 1), 0.5).values
        answers.append((scorer.full(), scorer.subsets(all_masks(4)), gradient))
    for cpu, cuda in zip(*answers, strict=True):
        np.testing.assert_allclose(cuda, cpu, atol=2e-3)
