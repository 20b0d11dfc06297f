"""Vectors of short texts: against one plain pass for each, on every kind of network."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from references import Pair, language_model

from core.errors import Cancelled, ComputeError
from core.lm.loading.tokenizer import TextTokenizer
from core.lm.reading import text_vectors as reading
from core.lm.reading.text_vectors import LONGEST_TEXT, text_vectors
from core.lm.scoring.sweep import Cost

CUE = "Movie:"
TEXTS = ("Alien", "The Matrix. Action", "Heat", "Alien", "Toy Story. Animation; Comedy", "Ö")


@pytest.fixture(params=["tiny_llama", "tiny_gemma2", "tiny_qwen3", "tiny_gemma3"])
def pair(request: pytest.FixtureRequest, tiny_tokenizer: TextTokenizer) -> Pair:
    network = request.getfixturevalue(request.param)
    reference = copy.deepcopy(network)
    reference.set_attn_implementation("eager")
    return Pair(reference, language_model(copy.deepcopy(network), tiny_tokenizer))


def alone(pair: Pair, text: str) -> np.ndarray:
    """Mean state of one text by one plain call of the untouched network; the slow reference."""
    opening = pair.model.tokenizer.opening(CUE, chat=False).token_ids
    ids = pair.model.tokenizer.reply(text, chat=False).token_ids
    with torch.no_grad():
        states = pair.reference.model(torch.tensor([[*opening, *ids]]), use_cache=False).last_hidden_state[0]
    return states[len(opening) :].mean(dim=0).numpy()


@pytest.mark.parametrize("pack", [1, 20, 1000])
def test_vectors_are_the_mean_states_of_the_words_of_each_text_alone(pair: Pair, pack: int) -> None:
    vectors = text_vectors(pair.model, TEXTS, cue=CUE, pack_tokens=pack)
    np.testing.assert_allclose(vectors, [alone(pair, text) for text in TEXTS], atol=2e-5, rtol=1e-4)
    assert (vectors[0] == vectors[3]).all(), "equal texts are equal to the last bit: ties have a fixed order"


def test_each_distinct_text_is_run_once_behind_one_cue(pair: Pair) -> None:
    cost, tokenizer = Cost(), pair.model.tokenizer
    text_vectors(pair.model, TEXTS, cue=CUE, cost=cost)
    texts = sum(len(tokenizer.reply(text, chat=False).token_ids) for text in set(TEXTS))
    assert cost.tokens == texts + len(tokenizer.opening(CUE, chat=False).token_ids)
    assert cost.forwards == 1


def test_no_logits_are_computed_that_nobody_reads(pair: Pair) -> None:
    shapes: list[torch.Size] = []
    head = pair.model.network.get_output_embeddings()
    handle = head.register_forward_hook(lambda _layer, _inputs, output: shapes.append(output.shape))
    text_vectors(pair.model, TEXTS, cue=CUE)
    handle.remove()
    assert [shape[1] for shape in shapes] == [1]
    assert not head._forward_pre_hooks, "the network is left as it was"


def test_a_long_text_is_read_up_to_a_bound_and_an_empty_one_has_zeros(pair: Pair) -> None:
    long = "Alien " * 200
    cost = Cost()
    vectors = text_vectors(pair.model, [long, ""], cue=CUE, cost=cost)
    opening = len(pair.model.tokenizer.opening(CUE, chat=False).token_ids)
    nothing = pair.model.tokenizer.reply("", chat=False).token_ids
    assert cost.tokens <= opening + LONGEST_TEXT + len(nothing)
    assert np.isfinite(vectors).all()
    assert text_vectors(pair.model, [], cue=CUE).shape == (0, 32)


def test_out_of_memory_halves_the_pack(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = text_vectors(pair.model, TEXTS, cue=CUE)
    run = reading.run

    def small(network: Any, forest: Any, rows: Any, **how: Any) -> Any:
        if len(forest.new) > 3:
            raise torch.OutOfMemoryError
        return run(network, forest, rows, **how)

    monkeypatch.setattr(reading, "run", small)
    np.testing.assert_allclose(text_vectors(pair.model, TEXTS, cue=CUE), expected, atol=2e-5, rtol=1e-4)
    monkeypatch.setattr(reading, "run", lambda *_, **__: (_ for _ in ()).throw(torch.OutOfMemoryError()))
    with pytest.raises(ComputeError, match="out of memory"):
        text_vectors(pair.model, TEXTS, cue=CUE)


def test_states_that_are_no_numbers_are_refused(tiny_llama: Any, tiny_tokenizer: TextTokenizer) -> None:
    model = language_model(copy.deepcopy(tiny_llama), tiny_tokenizer)
    model.network.model.norm.weight.data[3] = torch.nan
    with pytest.raises(ComputeError, match="not finite"):
        text_vectors(model, TEXTS, cue=CUE)


def test_a_run_can_be_stopped_between_passes(pair: Pair) -> None:
    def stop() -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        text_vectors(pair.model, TEXTS, cue=CUE, between=stop)
