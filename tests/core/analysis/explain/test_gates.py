"""Gates and shared prefixes against plain calls of the untouched network, on four architectures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from references import Pair, gated_by_mask, hand_written, random_prompt

from core.analysis.values import TargetScore, all_masks, leave_one_out_masks
from core.errors import Cancelled, ComputeError
from core.lm.scoring import sweep
from core.lm.scoring.score import Scorer

FAMILIES = ["yes_no", "next_item"]
CLOSE = {"atol": 1e-4, "rtol": 1e-5}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pack_tokens", [1, 60, 10_000])
def test_packed_candidates_equal_one_by_one_scoring(pair: Pair, family: Any, pack_tokens: int) -> None:
    prompt = random_prompt(family)
    scores = Scorer(pair.model, prompt, pack_tokens=pack_tokens).full()
    alone = [hand_written(pair.reference, prompt, [1] * 4, candidate) for candidate in range(5)]
    np.testing.assert_allclose(scores, alone, **CLOSE)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pack_tokens", [1, 60, 10_000])
def test_left_out_demonstrations_equal_hand_written_prompts(pair: Pair, family: Any, pack_tokens: int) -> None:
    prompt = random_prompt(family)
    masks = all_masks(4)
    scores = Scorer(pair.model, prompt, pack_tokens=pack_tokens).subsets(masks, candidates=[0, 3])
    written = [[hand_written(pair.reference, prompt, mask, candidate) for candidate in (0, 3)] for mask in masks]
    np.testing.assert_allclose(scores, written, **CLOSE)


@pytest.mark.parametrize("family", FAMILIES)
def test_words_that_all_candidates_begin_with_are_run_once(pair: Pair, family: Any) -> None:
    plain, lead = random_prompt(family), (7, 8, 9, 10, 11)
    spans = [replace(span, token_ids=lead + span.token_ids) for span in plain.candidates]
    prompt = replace(plain, candidates=tuple(spans))
    scorer = Scorer(pair.model, prompt)
    alone = [hand_written(pair.reference, prompt, [1] * 4, candidate) for candidate in range(5)]
    np.testing.assert_allclose(scorer.full(), alone, **CLOSE)
    tokens = [len(span.token_ids) for span in (*prompt.prefix, *prompt.candidates)]
    assert scorer.cost.tokens == sum(tokens) - 4 * len(lead)
    without = hand_written(pair.reference, prompt, [1, 0, 1, 1], 3)
    np.testing.assert_allclose(scorer.subsets(np.array([[1, 0, 1, 1]], dtype=bool))[0, 3], without, **CLOSE)
    np.testing.assert_allclose(scorer.gated(torch.ones(4)).detach(), alone, **CLOSE)


@pytest.mark.parametrize("family", FAMILIES)
def test_gate_zero_equals_masking_the_demonstration(pair: Pair, family: Any) -> None:
    prompt = random_prompt(family)
    scorer = Scorer(pair.model, prompt)
    for mask in leave_one_out_masks(4):
        masked = hand_written(pair.reference, prompt, mask, 1, keep_places=True)
        gated = float(scorer.gated(torch.tensor(mask, dtype=torch.float32), candidates=[1])[0])
        packed = float(scorer.subsets(mask[None], candidates=[1], removal="gate")[0, 0])
        assert gated == pytest.approx(masked, abs=1e-4)
        assert packed == pytest.approx(masked, abs=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_gates_of_one_are_the_untouched_model(pair: Pair, family: Any) -> None:
    prompt = random_prompt(family)
    gated = Scorer(pair.model, prompt).gated(torch.ones(4))
    alone = [hand_written(pair.reference, prompt, [1] * 4, candidate) for candidate in range(5)]
    np.testing.assert_allclose(gated.numpy(), alone, atol=2e-5, rtol=2e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_gate_adds_its_logarithm_outside_the_demonstration_only(pair: Pair, family: Any) -> None:
    """Fractional gates against the untouched network under a hand-built additive mask."""
    prompt = random_prompt(family)
    gates = [0.3, 1.7, 0.05, 1.0]
    scores = Scorer(pair.model, prompt).gated(torch.tensor(gates), candidates=[2])
    assert float(scores[0]) == pytest.approx(gated_by_mask(pair.reference, prompt, gates, 2), abs=1e-4)


def test_scores_do_not_depend_on_what_was_scored_before(pair: Pair) -> None:
    prompt = random_prompt("next_item")
    first = Scorer(pair.model, prompt)
    first.full()
    after_full = first.subsets(all_masks(4))
    np.testing.assert_allclose(after_full, Scorer(pair.model, prompt).subsets(all_masks(4)), **CLOSE)


def test_out_of_memory_halves_the_pack_and_gives_the_same_numbers(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = random_prompt("yes_no")
    expected = Scorer(pair.model, prompt).subsets(all_masks(4))
    real, tried = sweep.run, []

    def small(network: Any, forest: Any, rows: Any, **more: Any) -> Any:
        tried.append(len(forest.token_ids))
        if len(forest.token_ids) > 70:
            raise torch.OutOfMemoryError("injected")
        return real(network, forest, rows, **more)

    monkeypatch.setattr(sweep, "run", small)
    np.testing.assert_allclose(Scorer(pair.model, prompt).subsets(all_masks(4)), expected, **CLOSE)
    assert max(tried) > 70 >= min(tried)


def test_out_of_memory_on_one_prompt_says_the_sizes(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("injected")

    prompt = random_prompt("yes_no")
    scorer = Scorer(pair.model, prompt)
    scorer.full()
    monkeypatch.setattr(sweep, "run", never)
    with pytest.raises(ComputeError, match=rf"out of memory on cpu .* {prompt.length} tokens"):
        scorer.subsets(all_masks(4))
    with pytest.raises(ComputeError, match="out of memory on cpu"):
        scorer.gated(torch.ones(4))


def test_scores_that_are_not_numbers_are_refused(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    real = sweep.run

    def broken(*arguments: Any, **more: Any) -> Any:
        logits, memory = real(*arguments, **more)
        return logits * float("nan"), memory

    monkeypatch.setattr(sweep, "run", broken)
    with pytest.raises(ComputeError, match="not finite"):
        Scorer(pair.model, random_prompt("yes_no")).full()


def test_cancel_takes_effect_between_passes_and_leaves_the_model_as_it_was(pair: Pair) -> None:
    prompt = random_prompt("yes_no")
    before = Scorer(pair.model, prompt).full()
    passes = []

    def stop() -> None:
        passes.append(1)
        if len(passes) == 3:
            raise Cancelled("cancelled")

    scorer = Scorer(pair.model, prompt, pack_tokens=1, between=stop)
    with pytest.raises(Cancelled):
        scorer.subsets(all_masks(4))
    assert len(passes) == 3
    np.testing.assert_array_equal(Scorer(pair.model, prompt).full(), before)


def test_a_token_id_beyond_the_embeddings_is_refused_before_the_model_runs(pair: Pair) -> None:
    prompt = random_prompt("yes_no")
    span = replace(prompt.query, token_ids=(10**6,))
    with pytest.raises(ComputeError, match="1000000"):
        Scorer(pair.model, replace(prompt, query=span)).full()


def test_a_prompt_beyond_the_context_is_refused_before_the_model_runs(pair: Pair) -> None:
    prompt = random_prompt("yes_no")
    span = replace(prompt.query, token_ids=(60,) * 1024)
    with pytest.raises(ComputeError, match="at most 1024"):
        Scorer(pair.model, replace(prompt, query=span)).full()


def test_a_subset_is_scored_once(pair: Pair) -> None:
    score = TargetScore(Scorer(pair.model, random_prompt("yes_no", demos=6)), 0)
    score.at(all_masks(6))
    score.at(all_masks(6)[::-1])
    assert score.scorer.cost.forwards == 64


def test_a_margin_is_the_difference_of_two_scores(pair: Pair) -> None:
    prompt = random_prompt("next_item")
    scorer = Scorer(pair.model, prompt)
    both = scorer.subsets(all_masks(4), candidates=[1, 2])
    margin = TargetScore(Scorer(pair.model, prompt), 1, 2).at(all_masks(4))
    np.testing.assert_allclose(margin, both[:, 0] - both[:, 1], **CLOSE)


def test_logits_are_kept_only_where_a_score_is_read(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vocabulary of 256,000 times every row of a pass would not fit; only the rows that are read may be made."""
    real, made = sweep.run, []

    def watch(network: Any, forest: Any, rows: Any, **more: Any) -> Any:
        logits, memory = real(network, forest, rows, **more)
        made.append((len(logits), len(rows)))
        return logits, memory

    monkeypatch.setattr(sweep, "run", watch)
    Scorer(pair.model, random_prompt("yes_no")).full()
    assert made == [(5, 5)]


def test_out_of_memory_with_all_candidates_at_once_scores_them_in_smaller_passes(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = random_prompt("next_item")
    expected = Scorer(pair.model, prompt).full()
    real, whole = sweep.run, []

    def small(network: Any, forest: Any, rows: Any, **more: Any) -> Any:
        if not whole:
            whole.append(len(forest.token_ids))
            raise torch.OutOfMemoryError("injected")
        assert len(forest.token_ids) < whole[0]
        return real(network, forest, rows, **more)

    monkeypatch.setattr(sweep, "run", small)
    np.testing.assert_allclose(Scorer(pair.model, prompt).full(), expected, **CLOSE)
