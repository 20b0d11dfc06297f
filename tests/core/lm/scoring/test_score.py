"""Subsets of demonstrations cost the tokens of their tree, whatever the size of a pass."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from references import language_model, random_prompt

from core.analysis.values import all_masks
from core.lm.forward.dual_change import DualChange
from core.lm.scoring import sweep
from core.lm.scoring.score import Removal, Scorer


@pytest.mark.parametrize("removal", ["text", "gate"])
def test_what_subsets_share_is_run_once_whatever_the_size_of_a_pass(tiny_llama: Any, removal: Removal) -> None:
    model, prompt = language_model(copy.deepcopy(tiny_llama)), random_prompt("next_item")
    tables, costs = [], []
    for pack_tokens in (1, 30, 10_000):
        scorer = Scorer(model, prompt, pack_tokens=pack_tokens)
        tables.append(scorer.subsets(all_masks(4), removal=removal))
        costs.append(scorer.cost.tokens)
    assert len(set(costs)) == 1
    for table in tables[1:]:
        np.testing.assert_allclose(table, tables[0], atol=1e-4)


def test_after_a_shortage_of_memory_scores_are_still_right(tiny_llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is remembered of a whole prompt that did not fit, and subsets are run again from the instruction on."""
    model, prompt = language_model(copy.deepcopy(tiny_llama)), random_prompt("yes_no")
    expected = [Scorer(model, prompt).full(), *Scorer(model, prompt).subsets(all_masks(4))]
    run = sweep.run

    def small(network: Any, forest: Any, rows: Any, **how: Any) -> Any:
        if len(forest.token_ids) > 20:
            raise torch.OutOfMemoryError("injected")
        return run(network, forest, rows, **how)

    monkeypatch.setattr(sweep, "run", small)
    scorer = Scorer(model, prompt)
    np.testing.assert_allclose([scorer.full(), *scorer.subsets(all_masks(4))], expected, atol=1e-4)


def test_nothing_asked_gives_an_empty_table(tiny_llama: Any) -> None:
    scorer = Scorer(language_model(copy.deepcopy(tiny_llama)), random_prompt("yes_no"))
    assert scorer.subsets(np.ones((0, 4), dtype=bool)).shape == (0, 5)
    changes: list[DualChange] = []
    assert scorer.changed(changes, candidates=[1, 2]).shape == (0, 2)
