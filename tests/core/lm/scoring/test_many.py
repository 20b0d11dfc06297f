"""Many prompts in one sweep score as each alone, and no token that two of them begin with is run twice."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from references import language_model, random_prompt

from core.errors import Cancelled, ComputeError, RequestError
from core.lm.loading.load import LanguageModel
from core.lm.scoring import sweep
from core.lm.scoring.many import ManyScorer, scores_of_prompts, separate_tokens, sweep_tokens
from core.lm.scoring.score import Scorer
from core.prompt.families import Family
from core.prompt.spans import Prompt, Span

NETWORKS = ("tiny_llama", "tiny_qwen3", "tiny_gemma2", "tiny_gemma3")


@pytest.fixture(scope="module")
def models(request: pytest.FixtureRequest) -> Callable[[str], LanguageModel]:
    made: dict[str, LanguageModel] = {}

    def named(name: str) -> LanguageModel:
        if name not in made:
            made[name] = language_model(copy.deepcopy(request.getfixturevalue(name)))
        return made[name]

    return named


def with_query(prompt: Prompt, ids: tuple[int, ...]) -> Prompt:
    return replace(prompt, query=Span("query", 0, "", ids, ()))


def with_demos(prompt: Prompt, order: list[int]) -> Prompt:
    return replace(prompt, demos=tuple(prompt.demos[k] for k in order), kept_demos=tuple(range(len(order))))


def family_of_variants(family: Family, seed: int = 0) -> list[Prompt]:
    """A prompt, orders and subsets of its demonstrations, queries that share a beginning, and the prompt again."""
    base = random_prompt(family, seed=seed)
    query = base.query.token_ids
    long = (*query, 60, 61, 62, 63, 64, 65)
    return [
        base,
        with_demos(base, [0, 2, 1, 3]),
        with_demos(base, [0, 1]),
        with_demos(base, []),
        with_demos(base, [0, 0, 1, 1, 2, 3]),
        with_query(base, (*query[:-1], 70, 71)),
        with_query(base, long),
        with_query(base, (*long[:-1], 80)),
        base,
    ]


def one_by_one(model: LanguageModel, prompts: list[Prompt], aggregate: Any = "sum") -> Any:
    return np.array([Scorer(model, prompt, aggregate=aggregate).full() for prompt in prompts])


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("family", ["yes_no", "next_item"])
@pytest.mark.parametrize("pack_tokens", [1, 30, 100_000])
def test_the_sweep_scores_as_each_prompt_alone(
    models: Callable[[str], LanguageModel], network: str, family: Family, pack_tokens: int
) -> None:
    model, prompts = models(network), family_of_variants(family)
    scores, cost = scores_of_prompts(model, prompts, pack_tokens=pack_tokens)
    np.testing.assert_allclose(scores, one_by_one(model, prompts), atol=1e-4)
    assert cost.tokens == sweep_tokens(prompts), "the tokens do not depend on the size of a pass"
    assert cost.forwards == len(prompts)


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
def test_a_remembered_prefix_changes_costs_and_no_score(models: Callable[[str], LanguageModel], family: Family) -> None:
    model, prompts = models("tiny_gemma3"), family_of_variants(family)
    scorer = ManyScorer(model, pack_tokens=40)
    first = scorer.remember(prompts[0])
    assert scorer.cost.tokens == sweep_tokens(prompts[:1])
    spent = scorer.cost.tokens
    np.testing.assert_allclose(first, one_by_one(model, prompts[:1])[0], atol=1e-4)
    np.testing.assert_allclose(scorer.scores(prompts), one_by_one(model, prompts), atol=1e-4)
    prefix = sum(len(span.token_ids) for span in prompts[0].prefix)
    parted = 2  # The remembered prefix ends one token early, which may leave a stretch too short to be split.
    assert scorer.cost.tokens - spent <= sweep_tokens(prompts) - (prefix - 1) + parted * len(prompts)


def test_a_prompt_that_the_remembered_one_begins_with_is_scored_too(models: Callable[[str], LanguageModel]) -> None:
    """The first title token is foretold by a row whose logits are gone, so that row is run again."""
    model, base = models("tiny_llama"), random_prompt("next_item")
    short = with_query(with_demos(base, [0, 1]), base.demos[2].token_ids[:3])
    scorer = ManyScorer(model)
    scorer.remember(base)
    np.testing.assert_allclose(scorer.scores([short, base]), one_by_one(model, [short, base]), atol=1e-4)


def test_mean_scores_divide_by_the_titles_tokens(models: Callable[[str], LanguageModel]) -> None:
    model, prompts = models("tiny_llama"), family_of_variants("next_item")
    scores, _ = scores_of_prompts(model, prompts, aggregate="mean")
    np.testing.assert_allclose(scores, one_by_one(model, prompts, "mean"), atol=1e-4)


def test_what_is_shared_is_run_once() -> None:
    base = random_prompt("yes_no")
    alone = separate_tokens([base])
    assert alone == sum(len(span.token_ids) for span in (*base.prefix, *base.candidates))
    assert sweep_tokens([base, base, base]) <= alone
    query = base.query.token_ids
    longer = [with_query(base, (*query, *range(60, 60 + size), 90)) for size in (5, 10)]
    tails = sum(len(span.token_ids) for span in base.candidates)
    trunk = sum(len(span.token_ids) for span in base.prefix)
    assert sweep_tokens(longer) == trunk + 5 + (1 + tails) + (5 + 1 + tails)
    assert separate_tokens(longer) == 2 * (trunk + tails) + 6 + 11


def test_candidates_that_begin_alike_share_their_beginning() -> None:
    base = random_prompt("yes_no", candidates=2)
    start = tuple(range(100, 110))
    spans = tuple(Span("candidate", c, "", (*start, 120 + c), ()) for c in range(2))
    prompt = replace(base, candidates=spans)
    trunk = sum(len(span.token_ids) for span in base.prefix)
    assert sweep_tokens([prompt]) == trunk + 10 + 2
    few = tuple(Span("candidate", c, "", (100, 101, 120 + c), ()) for c in range(2))
    assert sweep_tokens([replace(base, candidates=few)]) == trunk + 6, "two tokens alike are not worth a node"


ids = st.lists(st.integers(50, 53), min_size=1, max_size=12).map(tuple)


@st.composite
def families(draw: st.DrawFn) -> list[Prompt]:
    """Prompts over four different tokens, so that beginnings coincide everywhere and in every way."""
    pool = draw(st.lists(ids, min_size=1, max_size=4))
    piece = st.one_of(st.sampled_from(pool), ids)
    titles = draw(st.lists(piece, min_size=1, max_size=3))
    answers = draw(st.sampled_from([None, (40, 41)]))

    def prompt() -> Prompt:
        demos = draw(st.lists(piece, max_size=3))
        return Prompt(
            family="next_item" if answers is None else "yes_no",
            instruction=Span("instruction", 0, "", draw(piece), ()),
            demos=tuple(Span("demo", k, "", demo, ()) for k, demo in enumerate(demos)),
            query=Span("query", 0, "", draw(piece), ()),
            candidates=tuple(Span("candidate", c, "", title, ()) for c, title in enumerate(titles)),
            answer_ids=answers,
        )

    return [prompt() for _ in range(draw(st.integers(1, 4)))]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prompts=families(), pack_tokens=st.sampled_from([1, 7, 25, 1000]), network=st.sampled_from(NETWORKS))
def test_any_family_of_prompts_scores_as_each_alone(
    models: Callable[[str], LanguageModel], prompts: list[Prompt], pack_tokens: int, network: str
) -> None:
    model = models(network)
    expected = one_by_one(model, prompts)
    np.testing.assert_allclose(scores_of_prompts(model, prompts, pack_tokens=pack_tokens)[0], expected, atol=1e-4)
    scorer = ManyScorer(model, pack_tokens=pack_tokens)
    np.testing.assert_allclose(scorer.remember(prompts[0]), expected[0], atol=1e-4)
    np.testing.assert_allclose(scorer.scores(prompts), expected, atol=1e-4)
    assert sweep_tokens(prompts) <= separate_tokens(prompts)


def test_out_of_memory_halves_the_passes(models: Callable[[str], LanguageModel], monkeypatch: Any) -> None:
    model, prompts = models("tiny_qwen3"), family_of_variants("next_item")
    expected = one_by_one(model, prompts)
    passes: list[int] = []

    def small(network: Any, forest: Any, rows: Any, **more: Any) -> Any:
        if len(forest.token_ids) > 40:
            raise torch.OutOfMemoryError
        passes.append(len(forest.token_ids))
        return run(network, forest, rows, **more)

    run = sweep.run
    monkeypatch.setattr(sweep, "run", small)
    scores, cost = scores_of_prompts(model, prompts, pack_tokens=10_000)
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert sum(passes) == cost.tokens == sweep_tokens(prompts)


def test_one_stretch_that_does_not_fit_is_one_sentence(
    models: Callable[[str], LanguageModel], monkeypatch: Any
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(sweep, "run", full)
    prompts = family_of_variants("yes_no")
    with pytest.raises(ComputeError, match="out of memory on cpu in one pass over"):
        scores_of_prompts(models("tiny_llama"), prompts)
    with pytest.raises(ComputeError, match="out of memory on cpu in one pass over"):
        ManyScorer(models("tiny_llama")).remember(prompts[0])


def test_cancelling_ends_the_sweep_between_passes(models: Callable[[str], LanguageModel]) -> None:
    told = []

    def stop() -> None:
        told.append(1)
        if len(told) == 3:
            raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        scores_of_prompts(models("tiny_llama"), family_of_variants("yes_no"), pack_tokens=20, between=stop)
    assert len(told) == 3


def test_scores_that_are_no_numbers_are_refused(tiny_llama: Any) -> None:
    network = copy.deepcopy(tiny_llama)
    network.lm_head.weight.data.fill_(float("nan"))
    with pytest.raises(ComputeError, match="not finite"):
        scores_of_prompts(language_model(network), family_of_variants("next_item"))


def test_no_prompts_and_unequal_candidates(models: Callable[[str], LanguageModel]) -> None:
    model = models("tiny_llama")
    assert scores_of_prompts(model, [])[0].shape == (0, 0)
    with pytest.raises(RequestError, match="prompts with 4 and 5 candidates; expected the same in each"):
        scores_of_prompts(model, [random_prompt("yes_no"), random_prompt("yes_no", candidates=4)])
