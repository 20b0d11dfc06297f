"""The invariants of the method on the sample model and data, against transformers' own attention."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from questions import explain_task
from transformers import AutoModelForCausalLM

from core.analysis.dual.parts import dual_parts
from core.analysis.setting import set_up
from core.data.dataset import open_dataset
from core.lm.loading.load import LanguageModel, load
from core.lm.scoring.score import Scorer

pytestmark = [pytest.mark.sample, pytest.mark.slow]


@pytest.fixture(scope="module")
def sample_model() -> LanguageModel:
    return load("sample")


def test_on_the_sample_gates_of_one_and_packed_scores_are_the_untouched_model(sample_model: LanguageModel) -> None:
    """Both families of plain calls run through transformers' own attention."""
    request = explain_task(demos=3, candidates=4, history=3)
    setting = set_up(request, open_dataset("sample"), sample_model)
    prompt = setting.prompt
    reference = AutoModelForCausalLM.from_pretrained(Path(sample_model.folder), dtype=torch.float32).eval()
    assert prompt.answer_ids is not None
    yes, no = prompt.answer_ids

    def alone(mask: list[bool], candidate: int) -> float:
        kept = [span for span, bit in zip(prompt.demos, mask, strict=True) if bit]
        spans = (prompt.instruction, *kept, prompt.query, prompt.candidates[candidate])
        ids = torch.tensor([[token for span in spans for token in span.token_ids]])
        with torch.no_grad():
            logits = reference(ids, logits_to_keep=1).logits[0, -1]
        return float(logits[yes] - logits[no])

    scorer = Scorer(sample_model, prompt)
    np.testing.assert_allclose(scorer.full(), [alone([True] * 3, c) for c in range(4)], atol=1e-4)
    without = np.array([[True, False, True], [False, False, False]])
    np.testing.assert_allclose(
        scorer.subsets(without, candidates=[1])[:, 0], [alone(list(mask), 1) for mask in without], atol=1e-4
    )
    with torch.no_grad():
        assert float(scorer.gated(torch.ones(3), candidates=[0])[0]) == pytest.approx(alone([True] * 3, 0), abs=1e-4)
    assert float(dual_parts(sample_model, prompt).residual.max()) <= 1e-5
