"""Scores from a server, held against the same network loaded here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from references import random_prompt

from bench.own.protocol_server import Fault, ProtocolServer
from core.errors import Cancelled, ComputeError, ModelError, RequestError
from core.lm.loading.load import LanguageModel, load
from core.lm.scoring.many import ManyScorer
from core.lm.scoring.score import Scorer
from core.lm.server.address import SERVED_MODEL, SERVER, SERVER_KEY, SERVER_TOKENIZER

Serve = Callable[..., ProtocolServer]
MASKS = np.array([[1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 1, 1]], dtype=bool)


@pytest.mark.parametrize("family", ["next_item", "yes_no"])
@pytest.mark.parametrize("style", ["vllm", "sglang", "echo"])
def test_every_protocol_gives_the_local_scores(
    serve: Serve, local_model: LanguageModel, style: str, family: Any
) -> None:
    serve(style)
    served = load("server")
    for aggregate in ("sum", "mean"):
        prompt = random_prompt(family)
        here, there = (Scorer(model, prompt, aggregate=aggregate) for model in (local_model, served))
        np.testing.assert_allclose(there.full(), here.full(), atol=1e-4)
        np.testing.assert_allclose(there.subsets(MASKS), here.subsets(MASKS), atol=1e-4)
        np.testing.assert_allclose(there.subsets(MASKS, candidates=[2]), here.subsets(MASKS, candidates=[2]), atol=1e-4)


def test_llama_cpp_gives_labels_and_says_why_it_gives_no_titles(
    serve: Serve, local_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve("llama")
    served = load("server")
    assert served.server is not None
    assert served.server.facts.titles is None
    labels, titles = random_prompt("yes_no"), random_prompt("next_item")
    with pytest.raises(ComputeError, match=r"label with token id 4. is not among the 200"):
        Scorer(served, labels).full()
    monkeypatch.setattr("core.lm.server.calls.TOP_LLAMA", 384)
    np.testing.assert_allclose(Scorer(served, labels).full(), Scorer(local_model, labels).full(), atol=1e-4)
    with pytest.raises(RequestError, match="titles cannot be scored"):
        Scorer(served, titles).full()


def test_an_old_server_scores_labels_among_the_likeliest_or_refuses(
    serve: Serve, local_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.lm.server.calls.TOP", 384)
    serve("vllm_old")
    prompt = random_prompt("yes_no")
    np.testing.assert_allclose(Scorer(load("server"), prompt).full(), Scorer(local_model, prompt).full(), atol=1e-4)


def test_many_prompts_cost_the_tokens_that_a_local_sweep_counts(serve: Serve, local_model: LanguageModel) -> None:
    serve()
    served = load("server")
    prompts = [random_prompt("next_item", seed=seed) for seed in range(3)]
    sweeps = [ManyScorer(model) for model in (local_model, served)]
    tables = [(sweep.remember(prompts[0]), sweep.scores(prompts)) for sweep in sweeps]
    np.testing.assert_allclose(tables[1][0], tables[0][0], atol=1e-4)
    np.testing.assert_allclose(tables[1][1], tables[0][1], atol=1e-4)
    assert sweeps[1].cost.tokens == sweeps[0].cost.tokens
    scorers = [Scorer(model, prompts[0]) for model in (local_model, served)]
    for scorer in scorers:
        scorer.full()
        scorer.subsets(MASKS)
    assert scorers[1].cost == scorers[0].cost


def test_equal_sequences_are_sent_once_and_shared_beginnings_together(serve: Serve) -> None:
    server = serve()
    scorer = Scorer(load("server"), random_prompt("next_item"))
    before = len(server.seen)
    scorer.subsets(np.concatenate([MASKS, MASKS]))
    sent = [body["prompt"] for path, body, _ in server.seen[before:] if path == "/v1/completions"]
    assert len(sent) == len({tuple(ids) for ids in sent}) == len(MASKS) * scorer.candidates


@pytest.mark.parametrize("removal", ["gate"])
def test_what_needs_the_weights_is_refused_in_one_sentence(serve: Serve, removal: Any) -> None:
    serve()
    served = load("server")
    scorer = Scorer(served, random_prompt("next_item"))
    with pytest.raises(RequestError, match="a server gives scores only"):
        scorer.subsets(MASKS, removal=removal)
    with pytest.raises(RequestError, match="a server gives scores only"):
        scorer.gated(torch.ones(4, requires_grad=True))
    with pytest.raises(ModelError, match="a server gives scores only"):
        served.network.parameters()
    with pytest.raises(ModelError, match="adapter"):
        served.with_adapter("recicl")


# ---- faults


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", status=500),
        Fault("status", status=429, retry_after="0.05"),
        Fault("status", status=503, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"),
        Fault("cut"),
        Fault("reset"),
    ],
    ids=lambda fault: f"{fault.kind} {fault.status}",
)
def test_a_fault_that_passes_changes_no_score(serve: Serve, local_model: LanguageModel, fault: Fault) -> None:
    server = serve()
    scorer = Scorer(load("server"), random_prompt("next_item"))
    server.faults.extend([fault, fault])
    expected = Scorer(local_model, scorer.prompt).full()
    np.testing.assert_allclose(scorer.full(), expected, atol=1e-4)
    assert not server.faults


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault("count"), "the server read .* tokens of a prompt of"),
        (Fault("missing"), "lacks log-probabilities"),
        (Fault("sentinel"), "-9999"),
        (Fault("other_ids"), "lacks log-probabilities"),
        (Fault("redirect"), "sends elsewhere"),
        (Fault("huge"), "does not end"),
        (Fault("status", status=400), "answers 400 \\(busy\\)"),
        (Fault("status", status=429, retry_after="86400"), "answers 429, 1 of"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_a_fault_that_stays_is_one_sentence_and_no_score(serve: Serve, fault: Fault, sentence: str) -> None:
    server = serve()
    scorer = Scorer(load("server"), random_prompt("next_item"))
    server.faults.append(fault)
    with pytest.raises(ComputeError, match=sentence):
        scorer.full()


def test_a_server_that_keeps_failing_ends_after_a_few_tries(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve()
    scorer = Scorer(load("server"), random_prompt("next_item", candidates=1))
    monkeypatch.setattr("core.lm.server.client.random.uniform", lambda _low, _high: 0.0)
    server.faults.extend([Fault("status", status=500)] * 20)
    with pytest.raises(ComputeError, match="answers 500, 5 of 5 tries"):
        scorer.full()
    assert len(server.faults) == 15


def test_a_stopped_run_stops_asking(serve: Serve) -> None:
    server = serve()
    served = load("server")

    def stop() -> None:
        raise Cancelled("stopped")

    scorer = Scorer(served, random_prompt("next_item", candidates=40), between=stop)
    server.faults.extend([Fault("slow", seconds=0.2)] * 40)
    with pytest.raises(Cancelled):
        scorer.full()
    assert len(server.faults) >= 20


# ---- at connection


def test_what_a_server_can_do_is_found(serve: Serve, llama_folder: Path) -> None:
    server = serve(context=512)
    served = load("server")
    assert served.server is not None
    facts = served.server.facts
    assert (facts.address, facts.model, facts.software) == (server.address, "tiny", "vLLM 0.33.0")
    assert (facts.context, facts.context_assumed, served.context) == (511, False, 511)
    assert facts.tokenizer_compared
    assert served.tokenizer_name == str(llama_folder)
    assert load(server.address).model_id == served.model_id


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"style": "chat_only"}, "gives no log-probabilities"),
        ({"models": ("first", "second")}, "2 models .*first, second.*DEMOLENS_SERVER_MODEL"),
        ({"models": ()}, "0 models"),
        ({"key": "s3cret"}, "answers 401 .*expected the server's key in DEMOLENS_SERVER_KEY"),
    ],
)
def test_a_server_that_cannot_be_used_is_refused_in_one_sentence(
    serve: Serve, choices: dict[str, Any], sentence: str
) -> None:
    serve(**choices)
    with pytest.raises(ModelError, match=sentence):
        load("server")


def test_the_key_is_sent_to_the_server_and_stands_in_no_sentence(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(key="s3cret-key")
    monkeypatch.setenv(SERVER_KEY, "wr0ng-key")
    with pytest.raises(ModelError) as refused:
        load("server")
    assert "wr0ng-key" not in str(refused.value)
    assert "***" in str(refused.value)
    monkeypatch.setenv(SERVER_KEY, "s3cret-key")
    served = load("server")
    assert server.seen[-1][2] == "Bearer s3cret-key"
    assert "s3cret" not in f"{served} {served.server} {vars(served.server.facts)}"  # type: ignore[union-attr]


def test_one_of_several_models_is_named(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(models=("first", "second"))
    monkeypatch.setenv(SERVED_MODEL, "second")
    assert load("server").name.startswith("second at ")


def test_another_tokenizer_is_refused(
    serve: Serve, llama_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tiny_networks import tiny_backend

    serve()
    tiny_backend(300).save_pretrained(tmp_path / "other")
    monkeypatch.setenv(SERVER_TOKENIZER, str(tmp_path / "other"))
    with pytest.raises(ModelError, match="reads the same text as other tokens"):
        load("server")
    monkeypatch.delenv(SERVER_TOKENIZER)
    with pytest.raises(ModelError, match="no tokenizer is named"):
        load("server")


def test_nothing_is_sent_to_an_address_that_the_owner_has_not_named(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    monkeypatch.setenv(SERVER, "http://127.0.0.1:9/v1")
    with pytest.raises(ModelError, match="the owner of this DemoLens has not named"):
        load(server.address)
    monkeypatch.delenv(SERVER)
    with pytest.raises(ModelError, match="no server is named here"):
        load(server.address)
    assert server.seen == []


def test_a_server_that_is_not_there_is_one_sentence(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    serve()
    monkeypatch.setenv(SERVER, "http://127.0.0.1:9/v1")
    with pytest.raises(ModelError, match="cannot be reached"):
        load("server")


def test_a_prompt_beyond_the_context_is_not_sent(serve: Serve) -> None:
    server = serve(context=20)
    scorer = Scorer(load("server"), random_prompt("next_item"))
    before = len(server.seen)
    with pytest.raises(RequestError, match="expected at most 19"):
        scorer.full()
    assert len(server.seen) == before
