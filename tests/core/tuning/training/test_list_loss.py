"""Whole lists in one packed pass say what each candidate says in a plain pass of its own, gradients too."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from core.data.dataset import Dataset
from core.errors import RequestError
from core.lm.forward.attention import prepare
from core.prompt.families import Family
from core.prompt.spans import Prompt
from core.question.case_spec import Scoring
from core.question.checked import checked
from core.tuning.examples import Window, examples_in
from core.tuning.list_examples import with_candidates, with_demonstrations
from core.tuning.training import answer_loss
from core.tuning.training.list_loss import (
    EncodedList,
    encode_list,
    list_groups,
    list_losses,
    list_scores,
    ranking_loss,
    spread_share,
)
from core.tuning.training.training_settings import TuningSettings

ARCHITECTURES = ["tiny_llama", "tiny_qwen3", "tiny_gemma2", "tiny_gemma3"]
KINDS: list[tuple[Family, Scoring]] = [("yes_no", "sum"), ("next_item", "calibrated"), ("next_item", "mean")]


def lists_of(films: Dataset, tokenizer: Any, family: Family, scoring: Scoring, count: int = 3) -> list[EncodedList]:
    every = examples_in(films, Window(), demos=0, history=2, family="next_item")
    examples = [row for row in every if 2 < row.position < 6][:count]
    rows = []
    for number, example in enumerate(examples):
        shown = with_demonstrations(films, example, "co_likes" if number else "recent", count=number + 1, history=2)
        row = with_candidates(films, shown, count=4, popular=0.5, random=np.random.default_rng(number))
        rows.append(encode_list(row, films, tokenizer, family=family, scoring=scoring))
    return rows


def plain_score(network: Any, prompt: Prompt, candidate: int, *, mean: bool) -> Tensor:
    """One plain pass over the whole prompt with one candidate."""
    before = [token for span in prompt.prefix for token in span.token_ids]
    ids = prompt.candidates[candidate].token_ids
    logits = network(torch.tensor([[*before, *ids]]), use_cache=False).logits[0].double()
    if prompt.answer_ids is not None:
        yes, no = prompt.answer_ids
        return logits[-1, yes] - logits[-1, no]
    each = torch.log_softmax(logits[len(before) - 1 : -1], dim=-1)[range(len(ids)), list(ids)]
    return each.mean() if mean else each.sum()


def plain_scores(network: Any, row: EncodedList) -> Tensor:
    whole = [plain_score(network, row.prompt, place, mean=row.mean) for place in range(len(row.prompt.candidates))]
    if row.plain is None:
        return torch.stack(whole)
    without = [plain_score(network, row.plain, place, mean=row.mean) for place in range(len(row.prompt.candidates))]
    return torch.stack(whole) - torch.stack(without)


def plain_answers(network: Any, row: EncodedList) -> Tensor:
    """Mean over demonstrations of the mean cross entropy of their answers' tokens."""
    ids = [token for span in row.prompt.prefix for token in span.token_ids]
    logits = network(torch.tensor([ids]), use_cache=False).logits[0]
    each = [cross_entropy(logits[list(part.rows)], torch.tensor(part.labels)) for part in row.answers]
    return torch.stack(each).mean().double()


@pytest.fixture
def networks(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """The network with our attention, and a copy with its own."""
    network = copy.deepcopy(request.getfixturevalue(request.param))
    reference = copy.deepcopy(network)
    reference.set_attn_implementation("eager")
    prepare(network)
    return network, reference


@pytest.mark.parametrize(("family", "scoring"), KINDS)
@pytest.mark.parametrize("networks", ARCHITECTURES, indirect=True)
def test_a_packed_pass_gives_the_scores_of_plain_passes(
    networks: tuple[Any, Any], films: Dataset, tiny_tokenizer: Any, family: Family, scoring: Scoring
) -> None:
    network, reference = networks
    rows = lists_of(films, tiny_tokenizer, family, scoring)
    with torch.no_grad():
        outcome = list_scores(network, rows)
        for row, scores, answers in zip(rows, outcome.scores, outcome.answers, strict=True):
            torch.testing.assert_close(scores, plain_scores(reference, row), rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(answers, plain_answers(reference, row), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("networks", ["tiny_llama", "tiny_gemma2"], indirect=True)
@pytest.mark.parametrize(("family", "scoring"), KINDS)
def test_gradients_are_those_of_plain_passes(
    networks: tuple[Any, Any], films: Dataset, tiny_tokenizer: Any, family: Family, scoring: Scoring
) -> None:
    network, reference = (one.requires_grad_(True) for one in networks)
    rows = lists_of(films, tiny_tokenizer, family, scoring, count=2)
    list_losses(network, rows, answer_weight=0.3, temperature=2.0).sum().backward()
    for row in rows:
        ranked = cross_entropy(plain_scores(reference, row)[None] / 2.0, torch.tensor([0]))
        (ranked + 0.3 * plain_answers(reference, row)).backward()
    named = dict(reference.named_parameters())
    for name, weight in network.named_parameters():
        torch.testing.assert_close(weight.grad, named[name].grad, rtol=2e-3, atol=2e-5)


def test_attention_to_demonstrations_is_their_share_of_the_last_token(
    tiny_llama: Any, films: Dataset, tiny_tokenizer: Any
) -> None:
    network, reference = copy.deepcopy(tiny_llama), copy.deepcopy(tiny_llama)
    reference.set_attn_implementation("eager")
    prepare(network)
    rows = lists_of(films, tiny_tokenizer, "yes_no", "sum")
    with torch.no_grad():
        for row in rows:
            share = list_scores(network, [row], look=True).attention
            ids = [token for span in row.prompt.prefix for token in span.token_ids]
            maps = reference(torch.tensor([ids]), use_cache=False, output_attentions=True).attentions
            start = len(row.prompt.instruction.token_ids)
            stop = start + sum(len(span.token_ids) for span in row.prompt.demos)
            wanted = torch.stack([each[0, :, -1, start:stop].sum(-1) for each in maps]).mean()
            assert share == pytest.approx(float(wanted), abs=1e-5)


@pytest.mark.parametrize("networks", ["tiny_llama", "tiny_gemma2"], indirect=True)
def test_mixed_precision_stays_near_single_precision(
    networks: tuple[Any, Any], films: Dataset, tiny_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, other = (one.requires_grad_(True) for one in networks)
    prepare(other)
    rows = lists_of(films, tiny_tokenizer, "next_item", "calibrated", count=2)
    monkeypatch.setattr(answer_loss, "in_bfloat16", lambda _device, *, autocast: autocast)
    mixed, wide = (list_scores(network, rows[:1], autocast=True, look=True), list_scores(other, rows[:1], look=True))
    assert mixed.attention == pytest.approx(wide.attention, abs=0.01)
    assert not torch.equal(mixed.scores[0], wide.scores[0])
    torch.testing.assert_close(mixed.scores[0], wide.scores[0], rtol=0.05, atol=0.1)
    for each, autocast in ((network, True), (other, False)):
        list_losses(each, rows, answer_weight=0.3, temperature=1.0, autocast=autocast).sum().backward()
    near = [
        torch.cosine_similarity(weight.grad.flatten(), dict(other.named_parameters())[name].grad.flatten(), dim=0)
        for name, weight in network.named_parameters()
        if weight.dim() > 1
    ]
    assert min(map(float, near)) > 0.97


def test_lists_are_packed_by_size_and_none_is_lost(films: Dataset, tiny_tokenizer: Any) -> None:
    rows = lists_of(films, tiny_tokenizer, "next_item", "calibrated", count=6)
    most = 2 * max(row.tokens for row in rows)
    groups = list(list_groups(rows, most))
    assert sorted(map(id, rows)) == sorted(id(row) for group in groups for row in group)
    assert all(len(group) == 1 or sum(row.tokens for row in group) <= most for group in groups)
    assert len(groups) < len(rows)
    assert [len(group) for group in list_groups(rows, 1)] == [1] * len(rows)
    turn = sorted(row.longest for row in rows)[2]
    for group in list_groups(rows, 10**6, turn):
        assert len({row.longest > turn for row in group}) == 1


def test_the_loss_of_equal_scores_is_that_of_chance() -> None:
    assert float(ranking_loss(torch.zeros(16, dtype=torch.float64))) == pytest.approx(np.log(16))
    assert float(ranking_loss(torch.tensor([5.0, 0.0], dtype=torch.float64))) == pytest.approx(np.log1p(np.exp(-5.0)))


def test_the_effect_of_demonstrations_is_the_spread_of_what_they_add() -> None:
    scores = np.array([3.0, 1.0, -1.0, -3.0])
    assert spread_share(scores, scores - 7.0) == pytest.approx(0.0, abs=1e-12)  # a lift of the whole list moves nothing
    assert spread_share(scores, np.zeros(4)) == pytest.approx(1.0)
    assert spread_share(scores, scores / 2) == pytest.approx(0.5)
    assert spread_share(np.zeros(4), scores) == 0.0


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"strategies": ("semantic",)}, "strategy semantic cannot pick while a model is tuned"),
        ({"strategies": ("manual",)}, "strategy manual cannot pick"),
        ({"gradient_checkpointing": True}, "loss list keeps its activations"),
        ({"class_balance": True}, "loss list has no answers to balance"),
    ],
)
def test_choices_that_lists_cannot_have_are_one_sentence(choices: dict[str, Any], sentence: str) -> None:
    TuningSettings.model_validate(choices)  # Without lists they change nothing.
    with pytest.raises(RequestError, match=sentence):
        checked(TuningSettings, "tune", {"loss": "list", **choices})


def test_choices_of_lists_belong_to_the_key_of_lists_alone() -> None:
    def key(**choices: Any) -> str:
        return TuningSettings.model_validate(choices).key(dataset_id="d", model_id="m")

    assert key(candidates=4) == key()
    assert key(loss="list", candidates=4) != key(loss="list")
    assert key(loss="list") != key()
