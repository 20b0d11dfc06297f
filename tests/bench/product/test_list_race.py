"""The race on a tiny network: what is run, in prompts and tokens; not how long it takes."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from references import language_model, random_prompt

from bench.product import contextcite
from bench.product.list_race import (
    EARLIER_BUDGET,
    ablated,
    earlier_default,
    list_race,
    race_rows,
    target_costs,
    tokens_of,
)
from bench.product.whole_games import KINDS, GameSubject
from core.analysis.values import all_masks


@pytest.fixture(scope="module")
def setting(tiny_llama):
    model = replace(language_model(copy.deepcopy(tiny_llama)), model_id="tiny")
    return SimpleNamespace(model=model, prompt=random_prompt("next_item", demos=6), targets=(1, None))


def test_an_ablated_prompt_has_the_demonstrations_of_its_mask(setting):
    mask = np.array([True, False, False, True, False, True])
    prompt = ablated(setting.prompt, mask)
    assert prompt.demos == tuple(setting.prompt.demos[place] for place in (0, 3, 5))
    left_out = sum(len(setting.prompt.demos[place].token_ids) for place in (1, 2, 4))
    assert tokens_of(prompt) == tokens_of(setting.prompt) - left_out


def test_costs_of_one_candidate_by_hand(setting):
    prompt = setting.prompt
    masks = np.array([[True] * 6, [True, False, True, True, True, True], [False] * 6])
    tail = len(prompt.query.token_ids) + len(prompt.candidates[1].token_ids)
    after = sum(len(span.token_ids) for span in prompt.demos[2:])
    assert target_costs(prompt, masks, 1) * prompt.length == pytest.approx([tail, after + tail, tail])


def test_the_default_before_spends_its_budget_and_the_matrix(setting):
    spent = earlier_default(setting)
    assert spent.backwards == 1
    ablations = spent.forwards - 1 - 6  # Less the gated pass of the gradient and the single removals.
    assert 1 <= ablations <= len(all_masks(6)) - 2
    assert spent.passes > EARLIER_BUDGET or ablations == len(all_masks(6)) - 2


def test_seconds_of_everything_on_one_prompt(setting, tiny_llama):
    race = list_race(GameSubject(KINDS[0], "7", setting), copy.deepcopy(tiny_llama))
    assert set(race) == {"contributions", "complete", "earlier", "cite", "per_token"}
    assert min(race.values()) > 0
    assert race["contributions"] < race["complete"]
    rows = {row.measure: row for row in race_rows([race, race], "2 cases")}
    assert {row.target for row in rows.values()} == {None, "<= 1.25", "<= 0.45", "<= 1.12"}
    (time,) = [row for name, row in rows.items() if "default before with its matrix" in name]
    assert time.value == pytest.approx(race["complete"] / race["earlier"])
    assert contextcite.MOST == 64
