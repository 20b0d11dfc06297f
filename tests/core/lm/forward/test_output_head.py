"""Logits are those of the family's own head in single precision, computed by hand from its last hidden state."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from references import NO, YES, language_model, random_prompt
from tiny_networks import shape, tiny_network
from torch import Tensor
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PhiConfig,
    PhiForCausalLM,
)

from core.errors import ModelError
from core.lm.forward import output_head as head
from core.lm.forward.attention import prepare
from core.lm.forward.forest import Forest, Segment
from core.lm.forward.forward_pass import run
from core.lm.forward.output_head import WideHead, widen
from core.lm.loading.load import LanguageModel
from core.lm.scoring.many import scores_of_prompts
from core.lm.scoring.score import Scorer
from core.lm.scoring.stream import StreamScorer
from core.prompt.families import Family

IDS = tuple(range(40, 70))
KINDS = ("llama", "gemma2", "cohere", "granite", "phi", "gpt_neox")


def half(kind: str, dtype: torch.dtype = torch.bfloat16) -> Any:
    """An untouched tiny network of that family in 16 bits whose logits reach about 20."""
    sizes = shape(384)
    if kind == "llama":
        network = tiny_network(LlamaConfig(**sizes), LlamaForCausalLM)
    elif kind == "gemma2":
        network = tiny_network(Gemma2Config(**sizes, final_logit_softcapping=30.0), Gemma2ForCausalLM)
    elif kind == "cohere":
        network = tiny_network(CohereConfig(**sizes, logit_scale=0.5), CohereForCausalLM)
    elif kind == "granite":
        network = tiny_network(GraniteConfig(**sizes, logits_scaling=4.0), GraniteForCausalLM)
    elif kind == "phi":
        network = tiny_network(PhiConfig(**sizes), PhiForCausalLM)
        network.lm_head.bias.data.normal_(generator=torch.Generator().manual_seed(1))
    else:
        network = tiny_network(GPTNeoXConfig(**sizes), GPTNeoXForCausalLM)
    network.get_output_embeddings().weight.data.mul_(6.0)
    return network.to(dtype)


def by_hand(network: Any, hidden: Tensor) -> Tensor:
    """The family's head in double precision: W h + b, then its cap or its factor."""
    layer = network.get_output_embeddings()
    logits = hidden.double() @ layer.weight.double().T
    if layer.bias is not None:
        logits = logits + layer.bias.double()
    config = network.config
    if getattr(config, "final_logit_softcapping", None):
        logits = config.final_logit_softcapping * torch.tanh(logits / config.final_logit_softcapping)
    return logits * getattr(config, "logit_scale", 1.0) / getattr(config, "logits_scaling", 1.0)


@contextmanager
def last_hidden_states(network: Any) -> Iterator[list[Tensor]]:
    """Inputs of the output layer, one a pass."""
    states: list[Tensor] = []
    handle = network.get_output_embeddings().register_forward_pre_hook(lambda _, inputs: states.append(inputs[0]))
    yield states
    handle.remove()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_those_of_the_head_in_single_precision(kind: str, dtype: torch.dtype) -> None:
    network = half(kind, dtype)
    prepare(network)
    with torch.no_grad(), last_hidden_states(network) as states:
        packed = run(network, Forest((Segment(IDS, None, 0),)), [3, 29])[0]
        plain = network(torch.tensor([IDS]), use_cache=False, logits_to_keep=2).logits[0]
    for logits, hidden in zip((packed, plain), states, strict=True):
        assert (logits.dtype, hidden.dtype) == (torch.float32, dtype)
        assert float(logits.abs().max()) > 4
        torch.testing.assert_close(logits, by_hand(network, hidden[0]).float(), atol=1e-4, rtol=1e-5)


def test_chunks_of_the_vocabulary_give_the_same_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    network = half("phi")
    prepare(network)
    whole = run(network, Forest((Segment(IDS, None, 0),)), [5, 29])[0]
    sizes = []

    def linear(x: Tensor, weight: Tensor) -> Tensor:
        sizes.append(weight.numel())
        return torch.nn.functional.linear(x, weight)

    monkeypatch.setattr(head, "CHUNK_NUMBERS", 32 * 50)
    monkeypatch.setattr(head, "linear", linear)
    chunked = run(network, Forest((Segment(IDS, None, 0),)), [5, 29])[0]
    torch.testing.assert_close(chunked, whole, atol=1e-5, rtol=1e-5)
    assert (sum(sizes), max(sizes)) == (384 * 32, 32 * 50)


def test_gradients_are_those_of_a_linear_layer_in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "CHUNK_NUMBERS", 40)
    torch.manual_seed(3)
    layer = torch.nn.Linear(8, 23, dtype=torch.bfloat16)
    x, pull = torch.randn(2, 5, 8).bfloat16(), torch.randn(2, 5, 23)
    wide = copy.deepcopy(layer).float()
    layer.__class__ = WideHead
    results = []
    for module, values in ((layer, x), (wide, x.float())):
        values = values.clone().requires_grad_()
        (module(values) * pull).sum().backward()
        results.append([values.grad, module.weight.grad, module.bias.grad])
    for ours, exact in zip(*results, strict=True):
        assert ours.dtype == torch.bfloat16
        torch.testing.assert_close(ours, exact.bfloat16())


def test_a_network_in_single_precision_runs_as_before(tiny_gemma2: Any) -> None:
    network = copy.deepcopy(tiny_gemma2)
    before = network(torch.tensor([IDS]), use_cache=False).logits
    widen(network)
    assert torch.equal(network(torch.tensor([IDS]), use_cache=False).logits, before)
    assert network.lm_head.weight is network.model.embed_tokens.weight


def test_an_output_layer_of_another_kind_is_refused(tiny_llama: Any) -> None:
    network = copy.deepcopy(tiny_llama)
    network.lm_head = torch.nn.Sequential(network.lm_head)
    with pytest.raises(ModelError, match=r"the output layer is Sequential; expected a linear layer"):
        prepare(network)


@pytest.fixture(scope="module", params=["llama", "gemma2"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    """One whose Yes and No are nearly as probable, as those of a model that was not tuned."""
    network = half(request.param)
    weight = network.get_output_embeddings().weight.data
    weight[YES] = weight[NO] + 0.1 * weight[YES]
    return language_model(network)


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
def test_twenty_candidates_have_twenty_scores_in_every_scorer(model: LanguageModel, family: Family) -> None:
    prompt = random_prompt(family, candidates=20, seed=5)
    tables = [
        Scorer(model, prompt).full(),
        Scorer(model, prompt).gated(torch.ones(4)).detach().numpy(),
        scores_of_prompts(model, [prompt])[0][0],
        StreamScorer(model).score(prompt),
    ]
    assert [len(set(scores.tolist())) for scores in tables] == [20, 20, 20, 20]


def test_what_a_removal_changes_comes_in_no_steps(model: LanguageModel) -> None:
    """Logits between 8 and 16 in bfloat16 are multiples of 1/16, and so were all differences of scores."""
    prompt = random_prompt("yes_no", demos=8, candidates=6, seed=2)
    scorer = Scorer(model, prompt)
    changes = scorer.full() - scorer.subsets(~np.eye(8, dtype=bool))
    steps = changes.ravel() * 64
    assert (np.abs(steps - steps.round()) > 1e-3).mean() > 0.9
