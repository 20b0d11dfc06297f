"""Scores of networks that rotate long prompts in another way equal plain passes, on both sides of the turning point."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from families import small_network
from numpy.typing import NDArray
from references import hand_written, language_model, random_prompt

from core.errors import ComputeError
from core.lm.forward.forest import Forest, Segment, chain
from core.lm.forward.forward_pass import run
from core.lm.forward.rotation import turning_point
from core.lm.scoring.encoded import Encoded
from core.lm.scoring.many import ManyScorer
from core.lm.scoring.score import Scorer
from core.lm.scoring.stream import StreamScorer
from core.prompt.spans import Prompt

TURN = 32
LONG_ROPE = {
    "rope_type": "longrope",
    "rope_theta": 1e4,
    "short_factor": [1.0, 1.5, 2.0, 2.5],
    "long_factor": [9.0, 7.0, 5.0, 3.0],
    "original_max_position_embeddings": TURN,
}


@pytest.fixture(params=["llama", "phi3", "phimoe"])
def plain(request: pytest.FixtureRequest) -> Any:
    """A network whose prompts of more than 32 tokens are rotated by other factors."""
    parameters = LONG_ROPE | ({"short_mscale": 1.1, "long_mscale": 1.3} if request.param == "phimoe" else {})
    more = {"original_max_position_embeddings": TURN} if request.param != "llama" else {}
    return small_network(request.param, rope_parameters=parameters, sliding_window=None, **more)


@pytest.fixture
def prompt() -> Prompt:
    """35 to 45 tokens, less than 32 without some of its four demonstrations; titles of one length."""
    made = random_prompt("next_item", demos=4, candidates=3, seed=1)
    width = min(len(span.token_ids) for span in made.candidates) + 1
    spans = tuple(replace(span, token_ids=(span.token_ids * width)[:width]) for span in made.candidates)
    return replace(made, candidates=spans)


MASKS = np.array([[bool(number >> place & 1) for place in range(4)] for number in range(15, -1, -1)])


def expected(plain: Any, prompt: Prompt, masks: Any, *, keep_places: bool = False) -> NDArray[np.float64]:
    table = [[hand_written(plain, prompt, mask, c, keep_places=keep_places) for c in range(3)] for mask in masks]
    return np.array(table)


def without(prompt: Prompt, mask: Any) -> Prompt:
    demos = tuple(demo for demo, bit in zip(prompt.demos, mask, strict=True) if bit)
    return replace(prompt, demos=demos, kept_demos=tuple(range(len(demos))))


def test_ablations_on_both_sides_of_the_turning_point_equal_plain_passes(plain: Any, prompt: Prompt) -> None:
    lengths = [without(prompt, mask).length for mask in MASKS]
    assert min(lengths) < TURN < max(lengths)
    scorer = Scorer(language_model(copy.deepcopy(plain)), prompt)
    plain_table = expected(plain, prompt, MASKS)
    np.testing.assert_allclose(scorer.full(), plain_table[0], atol=2e-4)
    np.testing.assert_allclose(scorer.subsets(MASKS), plain_table, atol=2e-4)
    np.testing.assert_allclose(Scorer(scorer.model, prompt).subsets(MASKS[::-1]), plain_table[::-1], atol=2e-4)
    gated = expected(plain, prompt, MASKS, keep_places=True)
    np.testing.assert_allclose(scorer.subsets(MASKS, removal="gate"), gated, atol=2e-4)
    ones = scorer.gated(torch.ones(4))
    np.testing.assert_allclose(ones.numpy(), plain_table[0], atol=2e-4)


def test_many_prompts_and_streams_equal_plain_passes(plain: Any, prompt: Prompt) -> None:
    prompts = [without(prompt, mask) for mask in MASKS]
    plain_table = expected(plain, prompt, MASKS)
    model = language_model(copy.deepcopy(plain))
    scorer = ManyScorer(model, pack_tokens=24)
    np.testing.assert_allclose(scorer.remember(prompt), plain_table[0], atol=2e-4)
    np.testing.assert_allclose(scorer.scores(prompts), plain_table, atol=2e-4)
    stream = StreamScorer(model)
    np.testing.assert_allclose([stream.score(one) for one in prompts[::-1]], plain_table[::-1], atol=2e-4)


def test_demonstrations_are_encoded_as_prompts_of_their_own_length(plain: Any) -> None:
    rng = np.random.default_rng(0)
    demos = [tuple(rng.integers(50, 300, size).tolist()) for size in (10, 40, 12)]
    model = language_model(copy.deepcopy(plain))
    encoded = [Encoded(model, (60, 61, 62), demos, storage="full", limit_bytes=0)[place] for place in range(3)]
    together = list(Encoded(model, (60, 61, 62), demos, storage="full", limit_bytes=0))
    for demo, alone, one in zip(demos, encoded, together, strict=True):
        _, memory = run(model.network, Forest(chain([(60, 61, 62), demo], [None, 0])), [0], keep=True)
        assert memory is not None
        for layer in range(model.layers):
            torch.testing.assert_close(one.keys[layer], memory.keys[layer][:, 3:], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(alone.keys[layer], memory.keys[layer][:, 3:], atol=1e-4, rtol=1e-4)


def test_keys_rotated_for_short_prompts_are_never_read_by_long_ones(plain: Any) -> None:
    network = language_model(copy.deepcopy(plain)).network
    start = Segment(tuple(range(50, 70)), None, 0)
    _, short = run(network, Forest((start,)), [19], keep=True)
    assert short is not None
    with pytest.raises(ComputeError, match="another length"):
        run(network, Forest((Segment(tuple(range(70, 90)), 0, 20),), short), [19])


def test_only_longrope_has_a_turning_point(plain: Any) -> None:
    assert turning_point(plain.config) == TURN
    assert turning_point(small_network("llama").config) is None
    dynamic = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0}
    assert turning_point(small_network("llama", rope_parameters=dynamic).config) is None
    of_kinds = {"full_attention": LONG_ROPE, "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}
    assert turning_point(small_network("gemma3_text", rope_parameters=of_kinds, head_dim=8).config) == TURN


def test_dynamic_scaling_never_begins_within_the_context(prompt: Prompt) -> None:
    dynamic = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0}
    plain = small_network("llama", rope_parameters=dynamic, max_position_embeddings=prompt.length)
    scorer = Scorer(language_model(copy.deepcopy(plain)), prompt)
    np.testing.assert_allclose(scorer.subsets(MASKS), expected(plain, prompt, MASKS), atol=2e-4)
    longer = replace(prompt, query=replace(prompt.query, token_ids=(*prompt.query.token_ids, 60)))
    with pytest.raises(ComputeError, match="the model's context"):
        Scorer(scorer.model, longer).full()
