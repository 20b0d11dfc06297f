"""Gradients at the output layer: against autograd through the untouched network, on every kind of network."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from references import Pair, language_model, random_prompt

from core.errors import Cancelled
from core.lm.reading.head_gradients import head_gradients
from core.lm.scoring.sweep import Cost
from core.prompt.families import Family
from core.prompt.spans import Prompt


@pytest.fixture(params=["tiny_llama", "tiny_gemma2", "tiny_qwen3"])
def pair(request: pytest.FixtureRequest) -> Pair:
    network = request.getfixturevalue(request.param)
    reference = copy.deepcopy(network)
    reference.set_attn_implementation("eager")
    return Pair(reference, language_model(copy.deepcopy(network)))


def prompts_of(family: Family) -> list[Prompt]:
    return [random_prompt(family, demos=0, candidates=1, seed=seed) for seed in range(5)]


def by_autograd(reference: Any, prompt: Prompt, liked: bool) -> np.ndarray:
    """Mean gradient of log p at the states that predict the chosen tokens; the slow reference."""
    states: list[torch.Tensor] = []

    def leaf(_layer: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        states.append(inputs[0].detach().requires_grad_())
        return (states[-1],)

    ids = [token for span in (*prompt.prefix, prompt.candidates[0]) for token in span.token_ids]
    handle = reference.get_output_embeddings().register_forward_pre_hook(leaf)
    with torch.enable_grad():
        logs = reference(torch.tensor([ids]), use_cache=False).logits[0].log_softmax(-1)
        if prompt.answer_ids is not None:
            total = logs[-1, prompt.answer_ids[0 if liked else 1]]
            count = 1
        else:
            own = prompt.candidates[0].token_ids
            count = len(own)
            first = len(ids) - count - 1
            total = logs[torch.arange(first, first + count), torch.tensor(own)].sum()
        (gradient,) = torch.autograd.grad(total, states[0])
    handle.remove()
    return (gradient[0].sum(dim=0) / count).numpy()


@pytest.mark.parametrize("family", ["next_item", "yes_no"])
@pytest.mark.parametrize("pack", [1, 40, 1000])
def test_gradients_are_those_of_autograd(pair: Pair, family: Family, pack: int) -> None:
    prompts, liked = prompts_of(family), [True, False, True, True, False]
    gradients = head_gradients(pair.model, prompts, liked, pack_tokens=pack)
    expected = [by_autograd(pair.reference, *row) for row in zip(prompts, liked, strict=True)]
    np.testing.assert_allclose(gradients, expected, atol=2e-5, rtol=1e-4)


def test_the_two_answers_of_one_prompt_have_gradients_of_their_own(pair: Pair) -> None:
    prompt = random_prompt("yes_no", demos=0, candidates=1)
    yes, no = head_gradients(pair.model, [prompt, prompt], [True, False])
    assert np.abs(yes - no).max() > 1e-2, "of Yes against No alone they would only differ in sign"
    assert not np.allclose(yes, -no, atol=1e-3)


def test_a_layer_in_half_precision_is_widened(tiny_llama: Any) -> None:
    half = copy.deepcopy(tiny_llama).to(torch.bfloat16)
    prompt = random_prompt("next_item", demos=0, candidates=1)
    (gradient,) = head_gradients(language_model(half), [prompt], [True])
    (expected,) = head_gradients(language_model(copy.deepcopy(tiny_llama)), [prompt], [True])
    assert gradient.dtype == np.float32
    cosine = gradient @ expected / np.linalg.norm(gradient) / np.linalg.norm(expected)
    assert cosine > 0.95


def test_what_prompts_begin_with_is_run_once_and_counted(pair: Pair) -> None:
    prompt = random_prompt("next_item", demos=0, candidates=2)
    first, second = (Prompt(**{**vars(prompt), "candidates": (span,)}) for span in prompt.candidates)
    cost = Cost()
    head_gradients(pair.model, [first, second], [True, True], cost=cost)
    prefix = sum(len(span.token_ids) for span in prompt.prefix)
    assert cost.tokens == prefix + sum(len(span.token_ids) for span in prompt.candidates)
    assert cost.forwards == 2


def test_no_prompts_are_no_gradients(pair: Pair) -> None:
    assert head_gradients(pair.model, [], []).shape == (0, 32)


def test_a_run_can_be_stopped_between_passes(pair: Pair) -> None:
    calls: list[int] = []

    def stop() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        head_gradients(pair.model, prompts_of("next_item"), [True] * 5, pack_tokens=1, between=stop)
    assert len(calls) == 2
