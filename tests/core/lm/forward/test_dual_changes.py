"""Changed dual models against a dense attention of the untouched network, row by row, on five architectures."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from references import Pair, hand_written, language_model, random_prompt
from tiny_networks import shape, tiny_network
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, GptOssConfig, GptOssForCausalLM
from transformers.masking_utils import eager_mask

from core.errors import Cancelled, ComputeError
from core.lm.forward.dual_change import DualChange, changed
from core.lm.scoring import sweep
from core.lm.scoring.score import Scorer
from core.prompt.spans import Prompt
from core.seeds import generator

FAMILIES = ["yes_no", "next_item"]
CLOSE = {"atol": 1e-4, "rtol": 1e-5}
CHANGES = {
    "decay": DualChange(alpha=0.3),
    "negatives": DualChange(beta=0.4),
    "noise": DualChange(sigma=0.25, seed=11),
    "gates": DualChange(gates=(0.0, 2.0, 0.5, 1.0)),
    "all": DualChange(alpha=0.2, beta=0.5, sigma=0.1, gates=(1.25, 0.0, 1.25, 1.25), seed=5),
}


@pytest.fixture(scope="module", params=["tiny_llama", "tiny_qwen3", "tiny_gemma2", "tiny_gemma3", "sinks"])
def pair(request: pytest.FixtureRequest) -> Pair:
    network = with_sinks() if request.param == "sinks" else request.getfixturevalue(request.param)
    reference = copy.deepcopy(network)
    reference.set_attn_implementation("eager")
    return Pair(reference, language_model(copy.deepcopy(network)))


def with_sinks() -> Any:
    """A GPT-OSS: attention sinks, a sliding and a full layer, two experts."""
    config = GptOssConfig(
        **shape(384, sliding_window=8, num_local_experts=2, num_experts_per_tok=1),
        layer_types=["sliding_attention", "full_attention"],
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
    )
    return tiny_network(config, GptOssForCausalLM)


def dense(reference: Any, prompt: Prompt, change: DualChange, candidate: int) -> float:
    """The score under `change` by one call of the untouched network with `_slow` as its attention."""
    spans = (*prompt.prefix, prompt.candidates[candidate])
    owner = [span.index if span.kind == "demo" else -1 for span in spans for _ in span.token_ids]
    tail = len(prompt.query.token_ids) + len(prompt.candidates[candidate].token_ids)
    with _attention_of(reference, change, owner, len(owner) - tail):
        return hand_written(reference, prompt, [1] * len(prompt.demos), candidate)


@contextmanager
def _attention_of(reference: Any, change: DualChange, owner: list[int], first: int) -> Iterator[None]:
    def attention(
        module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, **more: Any
    ) -> tuple[Tensor, None]:
        return _slow(query[0], key[0], value[0], module.layer_idx, change, owner, first, **more), None

    AttentionInterface.register("slow", attention)
    AttentionMaskInterface.register("slow", eager_mask)
    reference.set_attn_implementation("slow")
    try:
        yield
    finally:
        reference.set_attn_implementation("eager")


def _slow(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layer: int,
    change: DualChange,
    owner: list[int],
    first: int,
    scaling: float,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> Tensor:
    """[1, row, head, width]; rows from `first` on read the definition of the changed dual model, literally."""
    heads, tokens, width = query.shape
    output = torch.zeros(1, tokens, heads, width)
    own_keys, own_values = _written_out(key, value, layer, change, owner)
    for head in range(heads):
        group = head // (heads // key.shape[0])
        for row in range(tokens):
            new = row >= first
            keys, values = (own_keys, own_values) if new else (key, value)
            seen = [j for j in range(row + 1) if sliding_window is None or row - j < sliding_window]
            scores = keys[group, seen] @ query[head, row] * scaling
            if softcap is not None:
                scores = softcap * torch.tanh(scores / softcap)
            gates = [change.gates[owner[j]] if new and change.gates and owner[j] >= 0 else 1.0 for j in seen]
            mass = torch.exp(scores) * torch.tensor(gates)
            total = mass.sum() + (0 if s_aux is None else torch.exp(s_aux[head]))
            decay = [1 - change.alpha if new and owner[j] < 0 else 1.0 for j in seen]
            output[0, row, head] = (mass / total * torch.tensor(decay)) @ values[group, seen]
    return output


def _written_out(key: Tensor, value: Tensor, layer: int, change: DualChange, owner: list[int]) -> tuple[Tensor, Tensor]:
    keys, values = key.clone(), value.clone()
    of_demos = [j for j, demo in enumerate(owner) if demo >= 0]
    shape_of_noise = (key.shape[0], len(of_demos), key.shape[2])
    noises = [generator("dual noise", change.seed, layer, kind).standard_normal(shape_of_noise, dtype="float32")
              for kind in ("keys", "values")]  # fmt: skip
    for place, j in enumerate(of_demos):
        others = [i for i in of_demos if owner[i] != owner[j]]
        for head in range(key.shape[0]):
            if others:
                values[head, j] -= change.beta * value[head, others].mean(0)
            for tensor, plain, noise in ((keys, key, noises[0]), (values, value, noises[1])):
                size = math.sqrt(float((plain[head, j] ** 2).mean()))
                tensor[head, j] += change.sigma * size * torch.tensor(noise[head, place])
    return keys, values


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", list(CHANGES))
def test_each_change_equals_its_definition_written_out(pair: Pair, family: Any, name: str) -> None:
    prompt = random_prompt(family)
    score = Scorer(pair.model, prompt).changed([CHANGES[name]], candidates=[2])[0, 0]
    assert score == pytest.approx(dense(pair.reference, prompt, CHANGES[name], 2), abs=1e-4, rel=1e-5)
    assert abs(score - Scorer(pair.model, prompt).full()[2]) > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("first", ["full", "changed"])
def test_a_change_of_nothing_is_the_untouched_model(pair: Pair, family: Any, first: str) -> None:
    prompt = random_prompt(family)
    nothing = [DualChange(), DualChange(gates=(1.0,) * 4, seed=3)]
    scorer = Scorer(pair.model, prompt)
    if first == "full":
        scorer.full()
    alone = [hand_written(pair.reference, prompt, [1] * 4, candidate) for candidate in range(5)]
    np.testing.assert_allclose(scorer.changed(nothing), [alone] * 2, atol=2e-5, rtol=2e-6)


def test_gates_of_zero_mask_the_demonstrations(pair: Pair) -> None:
    prompt = random_prompt("next_item")
    scores = Scorer(pair.model, prompt).changed([DualChange(gates=(0.0,) * 4)])
    written = Scorer(pair.model, prompt).subsets(np.zeros((1, 4), dtype=bool), removal="gate")
    np.testing.assert_allclose(scores, written, **CLOSE)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pack_tokens", [1, 60, 10_000])
def test_a_sample_alone_equals_the_same_sample_in_a_batch(pair: Pair, family: Any, pack_tokens: int) -> None:
    prompt = random_prompt(family)
    samples = [replace(CHANGES["all"], seed=seed) for seed in range(7)]
    together = Scorer(pair.model, prompt, pack_tokens=pack_tokens).changed(samples)
    alone = np.concatenate([Scorer(pair.model, prompt).changed([one]) for one in samples])
    np.testing.assert_allclose(together, alone, **CLOSE)
    assert np.ptp(together, axis=0).min() > 1e-4
    reverse = Scorer(pair.model, prompt, pack_tokens=pack_tokens).changed(samples[::-1])
    np.testing.assert_allclose(reverse[::-1], together, **CLOSE)


def test_changes_leave_later_scores_as_they_were(pair: Pair) -> None:
    prompt = random_prompt("next_item")
    scorer = Scorer(pair.model, prompt)
    before = scorer.full()
    scorer.changed(list(CHANGES.values()))
    np.testing.assert_allclose(scorer.full(), before, atol=2e-5, rtol=2e-6)
    subsets = Scorer(pair.model, prompt).subsets(np.eye(4, dtype=bool))
    np.testing.assert_allclose(scorer.subsets(np.eye(4, dtype=bool)), subsets, **CLOSE)


@pytest.mark.parametrize("demos", [0, 1])
def test_with_few_demonstrations_what_is_left_is_defined(pair: Pair, demos: int) -> None:
    """Without demonstrations only the weight decay acts; one demonstration has no negatives."""
    prompt = random_prompt("yes_no", demos=demos)
    plain, negatives, noise, decay = Scorer(pair.model, prompt).changed(
        [DualChange(), DualChange(beta=1.0), DualChange(sigma=0.5), DualChange(alpha=0.3)]
    )
    np.testing.assert_allclose(negatives, plain, **CLOSE)
    assert np.allclose(noise, plain, atol=1e-4) == (demos == 0)
    assert decay[2] == pytest.approx(dense(pair.reference, prompt, DualChange(alpha=0.3), 2), abs=1e-4)


def test_noise_has_the_relative_size_it_is_asked_for_and_touches_demonstrations_only() -> None:
    """Over 2 x 400 tokens of width 32 the mean square of the relative noise is sigma^2 within 5 %."""
    rng = np.random.default_rng(0)
    keys, values = (torch.tensor(rng.normal(0, 3, (2, 402, 32)), dtype=torch.float32) for _ in range(2))
    demo_of = torch.tensor([-1, *[0] * 150, *[1] * 250, -1])
    new_keys, new_values, gates = changed(DualChange(sigma=0.2, seed=1), 0, keys, values, demo_of)
    for old, new in ((keys, new_keys), (values, new_values)):
        part = (new - old)[:, 1:-1].square().mean(-1) / old[:, 1:-1].square().mean(-1)
        assert float(part.mean()) == pytest.approx(0.2**2, rel=0.05)
        assert torch.equal(new[:, [0, -1]], old[:, [0, -1]])
    assert gates is None
    other_layer = changed(DualChange(sigma=0.2, seed=1), 1, keys, values, demo_of)[0]
    assert not torch.equal(other_layer, new_keys)


def test_the_cost_is_the_demonstrations_once_and_the_tail_of_every_sample(pair: Pair) -> None:
    prompt = random_prompt("next_item")
    scorer = Scorer(pair.model, prompt)
    scorer.changed([CHANGES["noise"]] * 6)
    trunk = sum(len(span.token_ids) for span in prompt.prefix[:-1])
    tail = len(prompt.query.token_ids) + sum(len(span.token_ids) for span in prompt.candidates)
    assert scorer.cost.tokens == trunk + 6 * tail
    assert scorer.cost.forwards == 6


def test_out_of_memory_halves_the_samples_and_then_the_candidates(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = random_prompt("yes_no")
    changes = list(CHANGES.values())
    expected = Scorer(pair.model, prompt).changed(changes)
    scorer = Scorer(pair.model, prompt)
    scorer.full()
    real, tried = sweep.run, []

    def small(network: Any, forest: Any, rows: Any, **more: Any) -> Any:
        tried.append(len(forest.token_ids))
        if len(forest.token_ids) > 12:
            raise torch.OutOfMemoryError("injected")
        return real(network, forest, rows, **more)

    monkeypatch.setattr(sweep, "run", small)
    np.testing.assert_allclose(scorer.changed(changes), expected, **CLOSE)
    assert max(tried) > 60


def test_gates_that_are_not_one_per_demonstration_are_refused(pair: Pair) -> None:
    with pytest.raises(ComputeError, match="3 gates; expected 4"):
        Scorer(pair.model, random_prompt("yes_no")).changed([DualChange(gates=(1.0, 1.0, 0.0))])


def test_cancel_takes_effect_between_packs(pair: Pair) -> None:
    passes = []

    def stop() -> None:
        passes.append(1)
        if len(passes) == 3:
            raise Cancelled("cancelled")

    scorer = Scorer(pair.model, random_prompt("yes_no"), pack_tokens=1, between=stop)
    with pytest.raises(Cancelled):
        scorer.changed([CHANGES["noise"]] * 8)
    assert len(passes) == 3


def test_half_precision_gives_finite_scores_near_those_of_single(tiny_llama: Any) -> None:
    prompt = random_prompt("yes_no")
    changes = [DualChange(), *CHANGES.values()]
    single, half = (
        Scorer(language_model(copy.deepcopy(tiny_llama).to(dtype)), prompt).changed(changes)
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert np.corrcoef(single.ravel(), half.ravel())[0, 1] > 0.99


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_changed_scores_on_a_cuda_device_agree_with_the_processor(tiny_llama: Any) -> None:
    prompt = random_prompt("next_item")
    here = language_model(copy.deepcopy(tiny_llama))
    there = replace(language_model(copy.deepcopy(tiny_llama).cuda()), device="cuda")
    cpu, cuda = (Scorer(model, prompt).changed(list(CHANGES.values())) for model in (here, there))
    np.testing.assert_allclose(cuda, cpu, atol=2e-3)
