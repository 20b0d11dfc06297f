"""Prompts one after the other: scores as from scratch, and no token run that need not be."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from references import Pair, hand_written, language_model, random_prompt

from core.errors import Cancelled, ComputeError
from core.lm.scoring import sweep
from core.lm.scoring.score import Scorer
from core.lm.scoring.stream import StreamScorer
from core.personal.play import window
from core.prompt.families import Family
from core.prompt.spans import Prompt, Span

FAMILIES: tuple[Family, ...] = ("yes_no", "next_item")
K = 2


@pytest.fixture(scope="module", params=["tiny_llama", "tiny_qwen3", "tiny_gemma2", "tiny_gemma3"])
def pair(request: pytest.FixtureRequest) -> Pair:
    network = request.getfixturevalue(request.param)
    reference = copy.deepcopy(network)
    reference.set_attn_implementation("eager")
    return Pair(reference, language_model(copy.deepcopy(network)))


@pytest.fixture(scope="module")
def model(tiny_llama: Any) -> Any:
    return language_model(copy.deepcopy(tiny_llama))


def stream(family: Family, count: int, *, shared: int = 3) -> list[Prompt]:
    """Prompts of a growing stream with a window of K = 2: the query of each is the beginning of the next demonstration,
    as in real ones, and candidates begin alike."""
    whole = random_prompt(family, demos=count, candidates=4, seed=3)
    start = whole.demos[0].token_ids[:shared]
    candidates = tuple(replace(span, token_ids=start + span.token_ids) for span in whole.candidates)
    prompts = []
    for known in range(count):
        following = whole.demos[known].token_ids
        query = replace(whole.query, token_ids=following[:3])
        demos = tuple(whole.demos[place] for place in window(known, K))
        prompts.append(replace(whole, demos=demos, query=query, candidates=candidates))
    return prompts


def by_hand(reference: Any, prompt: Prompt) -> list[float]:
    return [hand_written(reference, prompt, [True] * len(prompt.demos), one) for one in range(len(prompt.candidates))]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_step_equals_the_whole_prompt_from_scratch(pair: Pair, family: Family) -> None:
    scorer, cut = StreamScorer(pair.model), 0
    prompts = stream(family, 8)
    for before, prompt in zip([prompts[0], *prompts], prompts, strict=False):
        cut += len(prompt.demos) < len(before.demos)
        np.testing.assert_allclose(scorer.score(prompt), by_hand(pair.reference, prompt), atol=1e-4)
    assert cut == 2  # the window was cut back on the way


@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_runs_what_is_new_and_nothing_else(model: Any, family: Family) -> None:
    scorer = StreamScorer(model)
    before = None
    for prompt in stream(family, 8):
        ran = -scorer.cost.tokens
        scorer.score(prompt)
        ran += scorer.cost.tokens
        own = sum(len(span.token_ids) - 3 for span in prompt.candidates)
        prefix = sum(len(span.token_ids) for span in prompt.prefix)
        if before is None or len(prompt.demos) < len(before.demos):
            assert ran == prefix + 3 + own - (len(prompt.instruction.token_ids) if before else 0)
        else:  # the last query was the beginning of the newest demonstration
            newest = prompt.demos[-1].token_ids
            assert ran == len(newest) - 3 + len(prompt.query.token_ids) + 3 + own
        assert scorer.remembered == prefix + 3
        before = prompt
    assert scorer.cost.forwards == 8


def test_the_same_prompt_again_runs_its_last_token_and_the_candidates(model: Any) -> None:
    scorer, prompt = StreamScorer(model), stream("next_item", 3)[-1]
    first, ran = scorer.score(prompt), scorer.cost.tokens
    np.testing.assert_allclose(scorer.score(prompt), first, atol=1e-5)
    assert scorer.cost.tokens - ran == 1 + 3 + sum(len(span.token_ids) - 3 for span in prompt.candidates)


@pytest.mark.parametrize("aggregate", ["sum", "mean"])
@pytest.mark.parametrize("family", FAMILIES)
def test_it_agrees_with_the_scorer_of_the_other_pages(model: Any, family: Family, aggregate: Any) -> None:
    scorer = StreamScorer(model, aggregate=aggregate)
    for prompt in stream(family, 4):
        np.testing.assert_allclose(scorer.score(prompt), Scorer(model, prompt, aggregate=aggregate).full(), atol=1e-4)


def test_one_candidate_alone_and_one_that_begins_another(model: Any) -> None:
    prompt = random_prompt("next_item", demos=1, candidates=2, seed=1)
    short, long = (Span("candidate", place, "", ids, ()) for place, ids in enumerate([(60, 61), (60, 61, 62)]))
    for candidates in ((short,), (short, long)):
        one = replace(prompt, candidates=candidates)
        np.testing.assert_allclose(StreamScorer(model).score(one), Scorer(model, one).full(), atol=1e-4)


TOKENS = some.lists(some.sampled_from([60, 61]), min_size=1, max_size=4).map(tuple)


@some.composite
def _prompts(draw: some.DrawFn) -> Prompt:
    """Prompts over two tokens, so that they share beginnings in every way they can."""
    family = draw(some.sampled_from(FAMILIES))
    demos, candidates = draw(some.lists(TOKENS, max_size=3)), draw(some.lists(TOKENS, min_size=1, max_size=3))
    whole = random_prompt(family, demos=0, candidates=1)
    return replace(
        whole,
        instruction=Span("instruction", 0, "", draw(TOKENS), ()),
        demos=tuple(Span("demo", place, "", ids, ()) for place, ids in enumerate(demos)),
        query=Span("query", 0, "", draw(TOKENS), ()),
        candidates=tuple(Span("candidate", place, "", ids, ()) for place, ids in enumerate(candidates)),
    )


@settings(max_examples=20, deadline=None)
@given(prompts=some.lists(_prompts(), min_size=2, max_size=4))
def test_any_prompt_may_follow_any_other(model: Any, prompts: list[Prompt]) -> None:
    scorer = StreamScorer(model)
    for prompt in prompts:
        np.testing.assert_allclose(scorer.score(prompt), Scorer(model, prompt).full(), atol=1e-4)


def test_cancelled_before_a_pass_it_can_go_on(model: Any) -> None:
    stop = [False]

    def between() -> None:
        if stop[0]:
            raise Cancelled("stopped")

    prompts, scorer = stream("yes_no", 3), StreamScorer(model, between=between)
    scorer.score(prompts[0])
    stop[0] = True
    with pytest.raises(Cancelled):
        scorer.score(prompts[1])
    stop[0] = False
    np.testing.assert_allclose(scorer.score(prompts[2]), Scorer(model, prompts[2]).full(), atol=1e-4)


def test_out_of_memory_falls_back_to_small_passes(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def small(network: Any, forest: Any, rows: Any, **more: Any) -> Any:
        if len(forest.token_ids) > 30:
            raise torch.OutOfMemoryError("full")
        return run(network, forest, rows, **more)

    prompt, scorer = stream("yes_no", 3)[-1], StreamScorer(model)
    expected, run = Scorer(model, prompt).full(), sweep.run
    monkeypatch.setattr(sweep, "run", small)
    np.testing.assert_allclose(scorer.score(prompt), expected, atol=1e-4)
    assert scorer.remembered == 0
    monkeypatch.undo()
    scorer.score(prompt)
    assert scorer.remembered > 0


def test_numbers_that_are_not_finite_are_refused(tiny_llama: Any) -> None:
    network = copy.deepcopy(tiny_llama)
    network.lm_head.weight.data[41] = torch.nan
    with pytest.raises(ComputeError, match="not finite"):
        StreamScorer(language_model(network)).score(random_prompt("yes_no"))
