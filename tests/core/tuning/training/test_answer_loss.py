"""A padded batch says what each prompt says alone, in every kind of attention."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from core.data.dataset import Dataset
from core.lm.forward.attention import NAME, prepare
from core.tuning.examples import Window, examples_in
from core.tuning.training.answer_loss import answer_logits, in_bfloat16, losses, micro_batches, query_results, ready
from core.tuning.training.answer_tokens import Balance, EncodedPrompt, encode_prompt

ARCHITECTURES = ["tiny_llama", "tiny_qwen3", "tiny_gemma2", "tiny_gemma3"]


@pytest.fixture(scope="module")
def prompts(films: Dataset, tiny_tokenizer: Any) -> list[EncodedPrompt]:
    """Of unequal lengths and both families."""
    found = examples_in(films, Window(), demos=3, history=2)[:7]
    made = [encode_prompt(one, films, tiny_tokenizer, family="yes_no", balance=Balance(2.0, 0.5)) for one in found]
    return [*made, encode_prompt(found[-1], films, tiny_tokenizer, family="next_item")]


def alone(reference: Any, prompt: EncodedPrompt) -> torch.Tensor:
    """Logits [label, vocab] by one plain call without padding."""
    with torch.no_grad():
        return reference(torch.from_numpy(prompt.ids)[None], use_cache=False).logits[0, prompt.rows]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_padding_changes_nothing(
    architecture: str, prompts: list[EncodedPrompt], request: pytest.FixtureRequest
) -> None:
    network = copy.deepcopy(request.getfixturevalue(architecture))
    reference = copy.deepcopy(network)
    reference.set_attn_implementation("eager")
    prepare(network)
    ready(network)
    assert network.config._attn_implementation == (NAME if architecture == "tiny_gemma2" else "sdpa")
    expected = [alone(reference, prompt) for prompt in prompts]
    torch.testing.assert_close(answer_logits(network, prompts), torch.cat(expected), rtol=1e-4, atol=1e-4)
    weighted = [
        cross_entropy(rows, torch.from_numpy(prompt.labels), reduction="none") * torch.from_numpy(prompt.weights)
        for rows, prompt in zip(expected, prompts, strict=True)
    ]
    torch.testing.assert_close(losses(network, prompts).double(), torch.cat(weighted).double(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", ["tiny_llama", "tiny_gemma2"])
def test_gradients_are_those_of_the_prompts_alone(
    architecture: str, prompts: list[EncodedPrompt], request: pytest.FixtureRequest
) -> None:
    network = copy.deepcopy(request.getfixturevalue(architecture)).requires_grad_(True)
    reference = copy.deepcopy(network)
    reference.set_attn_implementation("eager")
    prepare(network)
    ready(network)
    for group in micro_batches(prompts, 400):
        losses(network, group).sum().backward()
    for prompt in prompts:
        rows = reference(torch.from_numpy(prompt.ids)[None], use_cache=False).logits[0, prompt.rows]
        each = cross_entropy(rows, torch.from_numpy(prompt.labels), reduction="none")
        (each * torch.from_numpy(prompt.weights)).sum().backward()
    for (name, mine), theirs in zip(network.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(
            mine.grad, theirs.grad, rtol=1e-3, atol=1e-4, msg=lambda text, of=name: f"{of}: {text}"
        )


def test_scores_are_yes_minus_no_and_losses_those_of_the_query(tiny_llama: Any, prompts: list[EncodedPrompt]) -> None:
    scores, wrong = query_results(tiny_llama, prompts)
    for place, prompt in enumerate(prompts):
        logits = alone(tiny_llama, prompt)[prompt.query :]
        labels = torch.from_numpy(prompt.labels[prompt.query :])
        assert wrong[place] == pytest.approx(float(cross_entropy(logits, labels)), rel=1e-4)
        if prompt.answer_ids is not None:
            yes, no = prompt.answer_ids
            assert scores[place] == pytest.approx(float(logits[0, yes] - logits[0, no]), abs=1e-4)
    assert scores[-1] == 0.0


@pytest.mark.parametrize("most", [64, 400, 100_000])
def test_micro_batches_hold_every_prompt_once_and_stay_small(prompts: list[EncodedPrompt], most: int) -> None:
    groups = list(micro_batches(prompts, most))
    assert sorted(id(one) for group in groups for one in group) == sorted(map(id, prompts))
    lengths = [[len(one.ids) for one in group] for group in groups]
    assert [length for group in lengths for length in group] == sorted(len(one.ids) for one in prompts)
    assert all(len(group) == 1 or len(group) * max(group) <= most for group in lengths)


@pytest.mark.parametrize(
    ("device", "able", "wanted", "expected"),
    [
        ("cuda", {}, True, True),
        ("cuda", {}, False, False),
        ("mps", {"amx_bf16": True}, True, False),
        ("cpu", {"amx_bf16": True}, True, True),
        ("cpu", {"amx_bf16": False, "avx512_bf16": True}, True, True),
        ("cpu", {"amx_bf16": True, "avx512_bf16": True}, False, False),
        ("cpu", {"amx_bf16": False, "avx512_bf16": False}, True, False),
        ("cpu", {}, True, False),  # another architecture
    ],
)
def test_bfloat16_is_used_where_the_device_multiplies_in_it(
    monkeypatch: pytest.MonkeyPatch, device: str, able: dict[str, bool], wanted: bool, expected: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert in_bfloat16(device, autocast=wanted) is expected


def test_autocast_rounds_products_to_bfloat16_but_neither_logits_nor_a_learned_weight(
    monkeypatch: pytest.MonkeyPatch, tiny_llama: Any, prompts: list[EncodedPrompt]
) -> None:
    network = copy.deepcopy(tiny_llama).requires_grad_(True)
    prepare(network)
    exact = answer_logits(network, prompts)
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert torch.equal(answer_logits(network, prompts, autocast=True), exact)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    rounded = answer_logits(network, prompts, autocast=True)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, rounded.bfloat16().float())
    assert not torch.allclose(rounded, exact, rtol=1e-3)
    # bfloat16 keeps 8 bits: each result is off by up to 2^-8 of its size, and the network has about ten in a row.
    assert float((rounded - exact).detach().abs().max()) < 10 * 2**-8 * float(exact.detach().abs().max())
    losses(network, prompts, autocast=True).sum().backward()
    assert {one.grad.dtype for one in network.parameters() if one.grad is not None} == {torch.float32}
