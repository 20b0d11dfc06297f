"""Answers of packages: which subsets were read, what each budget gave, and what is said of a rival that fails."""

import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from games import random_game
from references import language_model, random_prompt

from bench.product import package_rivals
from bench.product.flashtrace_child import span_scores
from bench.product.game_rivals import COUNTS
from bench.product.package_rivals import one_pass_effects, package_predictions
from bench.product.rival_environment import NotInstallableError
from bench.product.shapiq_child import METHODS, RecordedGame, ShapiqMethod, answers
from bench.product.whole_games import KINDS, GameSubject


class FirstRemovals:
    """An approximator as shapiq's are: single removals as far as the budget goes, and nothing below three."""

    def __init__(self, n, random_state, **settings):
        self.players = n

    def approximate(self, budget, game):
        if budget < 5:
            raise ValueError("budget too small\nsecond line")
        masks = np.vstack([np.zeros(self.players), np.ones((budget - 1, self.players))])
        for row in range(2, budget):
            masks[row, row - 2] = 0
        values = game(masks)
        effects = {(k,): 0.0 for k in range(self.players)}
        return effects | {(row - 2,): values[1] - values[row] for row in range(2, budget)}


@pytest.fixture
def fake_shapiq(monkeypatch):
    module = ModuleType("shapiq")
    for method in METHODS:
        setattr(module, method.approximator, FirstRemovals)
    monkeypatch.setitem(sys.modules, "shapiq", module)


def test_a_recorded_game_remembers_what_was_asked():
    game = RecordedGame(np.arange(8.0))
    assert game(np.array([[1, 0, 1], [0, 1, 0]])).tolist() == [5.0, 2.0]
    assert game.rows == {5, 2}


def test_a_budget_that_is_refused_has_no_answer(fake_shapiq):
    done = answers(ShapiqMethod("some", "KernelSHAP", draws=2), [list(range(8))], [2, 3])
    assert done["problems"] == ["ValueError: budget too small"]
    (game,) = done["answers"]
    assert game[0] is None
    assert [draw["values"] for draw in game[1]] == [[1.0, 2.0, 4.0]] * 2
    assert game[1][0]["rows"] == [0, 3, 5, 6, 7]


def test_answers_become_predictions(fake_shapiq, monkeypatch, tmp_path):
    def run(_rival, _program, question, *, seconds):
        return {method.name: answers(method, question["games"], question["budgets"]) for method in METHODS[:1]}

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(package_rivals, "COUNTS", (2, 4))
    monkeypatch.setattr(package_rivals, "rival_environment", lambda: SimpleNamespace(run=run))
    game = random_game(0)
    predictions, problems = package_predictions(game)
    (draw,) = predictions["ShaplEIG (shapiq 1.8.0)", "score", 4]
    assert draw.evaluated.tolist() == [23, 27, 29, 30]
    assert draw.values[1] == pytest.approx(game.scores[31, 0] - game.scores[30, 0])
    assert problems == {"ShaplEIG (shapiq 1.8.0), 2 evaluations": "ValueError: budget too small"}


def test_what_cannot_be_installed_is_said(monkeypatch, tmp_path):
    def run(*_, **__):
        raise NotInstallableError("no network")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(package_rivals, "rival_environment", lambda: SimpleNamespace(run=run))
    assert package_predictions(random_game(0)) == ({}, {"shapiq 1.8.0": "no network"})
    assert COUNTS == (4, 8, 16, 32)


def test_scores_of_tokens_are_summed_by_the_span_that_they_begin_in():
    offsets = [(0, 2), (2, 5), (5, 6), (6, 9)]
    assert span_scores(["abc", "de", "fghi"], offsets, [1.0, 2.0, 4.0, 8.0]) == [3.0, 0.0, 12.0]
    with pytest.raises(ValueError, match="3 scores for 4 tokens"):
        span_scores(["abcdefghi"], offsets, [1.0, 2.0, 4.0])


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
def test_one_pass_scores_are_those_of_the_demonstrations(family, monkeypatch, tmp_path, tiny_llama, tiny_tokenizer):
    asked = []

    def run(_rival, _program, question, *, seconds):
        asked.append(question)
        return {"scores": [float(place) for place, _ in enumerate(question["spans"])]}

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(package_rivals, "rival_environment", lambda: SimpleNamespace(run=run))
    model = replace(language_model(tiny_llama), tokenizer=tiny_tokenizer)
    setting = SimpleNamespace(model=model, prompt=random_prompt(family), targets=(1, None))
    effects, problems = one_pass_effects(GameSubject(KINDS[0], "1", setting))
    (values,) = effects.values()
    assert values.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert problems == {}
    (question,) = asked
    target = setting.prompt.candidates[1].text
    assert (question["spans"][-1] if family == "yes_no" else question["answer"]) == target
