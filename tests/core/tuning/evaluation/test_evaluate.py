"""What is asked after the cut, what may enter an answer, and that scores reach the figures unchanged."""

from __future__ import annotations

import copy
import dataclasses
from itertools import product

import numpy as np
import pytest
import torch
from references import language_model

from core.data.dataset import open_dataset
from core.errors import RequestError
from core.lm.scoring.many import scores_of_prompts
from core.prompt.families import FAMILIES
from core.tuning.classical.references import ByItem
from core.tuning.evaluation.evaluate import (
    answer_prompts,
    answers_of,
    draw_examples,
    draw_lists,
    fewer,
    liked_before,
    list_prompts,
    list_scores_of,
)
from core.tuning.evaluation.evaluation_rows import MEASURES, Answers, gains_at_10, way_rows
from core.tuning.evaluation.ways import RECICL
from core.tuning.examples import Window, split_times

USERS, PLACES, ITEMS = 6, 20, 41


def rows():
    """(user, item, rating, timestamp); each user meets new items, two at a time, in the same second."""
    return [
        [f"u{user}", (7 * user + 3 * place) % ITEMS, 5 if (user + place) % 3 else 2, 100 * (place // 2) + user]
        for user in range(USERS)
        for place in range(PLACES)
    ]


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Open a data set of the given rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEMOLENS_HOME", str(tmp_path_factory.mktemp("home")))
        made = []

        def open_rows(table):
            folder = tmp_path_factory.mktemp("data") / "things"
            folder.mkdir()
            lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
            lines += ["\t".join(map(str, line)) for line in table]
            (folder / "things.inter").write_text("\n".join(lines) + "\n")
            items = ["item_id:token\ttitle:token_seq", *(f"{n}\t{chr(65 + n % 26)}{n}" for n in range(ITEMS))]
            (folder / "things.item").write_text("\n".join(items) + "\n")
            made.append(open_dataset(str(folder)))
            return made[-1]

        yield open_rows
        for dataset in made:
            dataset.close()


@pytest.fixture(scope="module")
def dataset(opened):
    return opened(rows())


@pytest.fixture(scope="module")
def model(tiny_llama, tiny_tokenizer):
    return dataclasses.replace(language_model(copy.deepcopy(tiny_llama), tiny_tokenizer), context=4096)


def asked_of(dataset, count=12, seed=0):
    *_, test = split_times(dataset)
    return draw_examples(dataset, test, count=count, demos=8, history=3, seed=seed)


# ---- what is asked


def test_what_is_asked_lies_after_the_cut_and_a_smaller_draw_begins_a_larger_one(dataset):
    *_, test = split_times(dataset)
    few, many = asked_of(dataset, 5), asked_of(dataset, 15)
    assert many[:5] == few
    assert len(set(many)) == 15
    assert asked_of(dataset, 15, seed=1) != many
    assert {one.liked for one in many} == {True, False}
    for one in many:
        assert one.timestamp >= test.since
        assert 0 < len(one.demos) <= 8


def test_a_window_without_an_earlier_interaction_is_told(dataset):
    with pytest.raises(RequestError, match="no interaction to ask about"):
        draw_examples(dataset, Window(until=5.5), count=3, demos=4, history=3)


def test_fewer_demonstrations_are_the_most_recent_ones(dataset):
    one = next(one for one in asked_of(dataset) if len(one.demos) == 8)
    assert [len(fewer(one, count).demos) for count in (0, 1, 4, 8, 9)] == [0, 1, 4, 8, 8]
    assert fewer(one, 3).demos == one.demos[5:]


def lists_of(dataset, count, candidates=6):
    *_, test = split_times(dataset)
    return draw_lists(dataset, test, count=count, candidates=candidates, demos=4, history=3, seed=0)


def test_every_user_has_a_list_before_any_has_a_second(dataset):
    lists = lists_of(dataset, 9)
    assert lists[:4] == lists_of(dataset, 4)
    assert len({one.user_id for one in lists[:USERS]}) == USERS
    for one in lists:
        query = one.examples["yes_no"]
        assert one.candidates[one.target] == query.item_id == one.examples["next_item"].item_id
        assert query.liked
        assert len(set(one.candidates)) == 6
        met = {interaction.item_id for interaction in dataset.history(one.user_id)}
        assert met & set(one.candidates) == {query.item_id}
    first, second = (one.examples["yes_no"].position for one in lists if one.user_id == lists[0].user_id)
    assert first < second
    assert len({one.target for one in lists}) > 1


def test_too_small_a_catalogue_is_told(dataset):
    with pytest.raises(RequestError, match="21 items that the user never met; expected 29"):
        lists_of(dataset, 1, candidates=30)


# ---- scores


def slow(network, prompt, place=0):
    """logit(Yes) - logit(No) by one plain call of the untouched network."""
    ids = [token for span in (*prompt.prefix, prompt.candidates[place]) for token in span.token_ids]
    with torch.no_grad():
        logits = network(torch.tensor([ids]), use_cache=False).logits[0, -1]
    yes, no = prompt.answer_ids
    return float(logits[yes] - logits[no])


@pytest.mark.parametrize("demos", [0, 4])
def test_auc_of_a_model_is_the_share_of_pairs_in_order_by_plain_calls(dataset, model, tiny_llama, demos):
    asked = asked_of(dataset)
    prompts = answer_prompts(model, dataset, asked, demos=demos)
    assert [len(prompt.demos) for prompt in prompts] == [min(demos, len(one.demos)) for one in asked]
    table, cost = scores_of_prompts(model, prompts)
    assert table.shape == (12, 1)
    assert cost.tokens < sum(prompt.length for prompt in prompts)
    expected = [slow(tiny_llama, prompt) for prompt in prompts]
    assert table[:, 0] == pytest.approx(expected, abs=1e-4)
    pairs = [
        (mine > other) + (mine == other) / 2
        for (mine, one), (other, two) in product(zip(expected, asked, strict=True), repeat=2)
        if one.liked and not two.liked
    ]
    answers = Answers(asked, {RECICL.name: table[:, 0]})
    (row,) = way_rows({measure: answers.resampled(measure, 0) for measure in MEASURES})
    assert row.auc.value == pytest.approx(np.mean(pairs))
    assert (row.tuned, row.demos) == ("recicl", 4)


def test_a_scorer_that_knows_the_answers_has_auc_one_and_its_opposite_zero(dataset):
    asked = asked_of(dataset)
    truth = {one.item_id: float(one.liked) for one in asked}
    asked = tuple(one for one in asked if truth[one.item_id] == one.liked)
    found = {
        name: answers_of(ByItem(name, "", {item: sign * value for item, value in truth.items()}, 0.0), dataset, asked)
        for name, sign in (("knows", 1), ("errs", -1), ("silent", 0))
    }
    answers = Answers(asked, found)
    rows = {row.way: row for row in way_rows({measure: answers.resampled(measure, 0) for measure in MEASURES})}
    assert [rows[name].auc.value for name in found] == [1.0, 0.0, 0.5]
    assert rows["knows"].tuned is None


@pytest.mark.parametrize("family", FAMILIES)
def test_lists_are_scored_candidate_by_candidate(dataset, model, tiny_llama, family):
    lists = lists_of(dataset, 2)
    prompts = list_prompts(model, dataset, lists, family=family, demos=4)
    table, _ = scores_of_prompts(model, prompts)
    assert table.shape == (2, 6)
    if family == "yes_no":
        expected = [[slow(tiny_llama, prompt, place) for place in range(6)] for prompt in prompts]
        assert table == pytest.approx(np.array(expected), abs=1e-4)
    rank = [1 + int((row > row[one.target]).sum()) for row, one in zip(table, lists, strict=True)]
    assert gains_at_10(lists, table) == pytest.approx(1 / np.log2(1 + np.array(rank)))


# ---- what a score may know


def by_place(dataset, seed=0):
    return {(one.user_id, one.position): one for one in asked_of(dataset, count=1_000, seed=seed)}


@pytest.fixture(scope="module")
def altered(opened):
    """The same stretch of time with u2's interactions from its last second but one on turned round."""
    table = rows()
    moment = sorted(line[3] for line in table if line[0] == "u2")[-4]
    for line in table:
        if line[0] == "u2" and line[3] >= moment:
            line[2] = 7 - line[2]
        if line[0] == "u2" and line[3] > moment:
            line[1] = (line[1] + 1) % ITEMS
    return moment, opened(table)


@pytest.mark.parametrize("demos", [0, 4])
def test_a_score_knows_neither_its_own_answer_nor_anything_later(dataset, altered, model, demos):
    moment, other = altered
    before, after = by_place(dataset), by_place(other)
    keys = [key for key, one in before.items() if key[0] == "u2" and one.timestamp == moment]
    assert keys
    assert all(before[key].liked is not after[key].liked for key in keys)
    pairs = [
        scores_of_prompts(model, answer_prompts(model, data, [found[key] for key in keys], demos=demos))[0]
        for data, found in ((dataset, before), (other, after))
    ]
    assert np.array_equal(*pairs)
    for key in keys:
        assert liked_before(dataset, before[key]) == liked_before(other, after[key])


def test_a_score_follows_what_came_before(dataset, altered, model):
    moment, other = altered
    before, after = by_place(dataset), by_place(other)
    key = next(key for key, one in before.items() if key[0] == "u2" and one.timestamp > moment and key in after)
    prompts = [
        answer_prompts(model, data, [dataclasses.replace(examples[key], item_id="0")], demos=4)
        for data, examples in ((dataset, before), (other, after))
    ]
    first, second = (scores_of_prompts(model, alone)[0] for alone in prompts)
    assert not np.allclose(first, second)


# ---- references


def test_a_reference_knows_the_likes_before_the_moment_and_before_the_cut(dataset):
    cut = split_times(dataset)[2].since
    one = max(asked_of(dataset), key=lambda one: (one.timestamp, one.user_id))
    met = dataset.history(one.user_id)
    fresh = [row.item_id for row in met if row.timestamp < one.timestamp and dataset.liked(row)]
    assert list(liked_before(dataset, one)) == fresh
    early = [row.item_id for row in met if row.timestamp < cut and dataset.liked(row)]
    assert list(liked_before(dataset, one, until=cut)) == early
    assert len(early) < len(fresh)


def test_references_score_every_candidate(dataset):
    lists = lists_of(dataset, 3)
    values = {str(n): float(n) for n in range(ITEMS)}
    table = list_scores_of(ByItem("number", "", values, 0.0), dataset, lists)
    assert table.tolist() == [[float(item) for item in one.candidates] for one in lists]
