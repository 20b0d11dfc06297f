"""A set's held-out scores against prompts scored one by one, and what they cost."""

from __future__ import annotations

import numpy as np
import pytest
from questions import labelled_case

from core.analysis.setting import prompt_of, setting_for
from core.analysis.subject import item_ids
from core.data.cases import case_of
from core.lm.scoring.score import Scorer
from core.selection.heldout import held_out, prediction_score
from core.selection.judge import PromptJudge
from core.selection.members import latest, pool_of
from core.selection.search import Question, rotated, views


def _judge(films, model, request, objective="margin"):
    case = case_of(films, "u", candidates=5)
    held = held_out(films, case, count=2, negatives=2, family=request.family, history=2)
    moving = latest(films, case, held, k=2, history=2)
    members = (*moving, *pool_of(films, held, size=9, history=2, taken=moving))
    return PromptJudge(setting_for(request, films, model), held, members, objective=objective, unit=100)


def _one_by_one(judge, question, films, model):
    values = []
    for number, one in enumerate(judge.held):
        case = one.shortened if question.changed and number == 1 else one.case
        order = rotated(question.order) if question.changed and number == 0 else question.order
        demos = judge.demos(order, number)
        items = films.items(sorted(item_ids(case, demos)))
        aggregate = "mean" if judge.spec.scoring == "mean" else "sum"
        scores = Scorer(model, prompt_of(judge.spec, films, model, case, demos, items), aggregate=aggregate).full()
        if judge.spec.scoring == "calibrated":
            bare = judge.spec.model_copy(update={"history": 0})
            scores = scores - Scorer(model, prompt_of(bare, films, model, case, (), items)).full()
        values.append(prediction_score(scores, one, judge.spec.family, judge.objective))
    return values


@pytest.mark.parametrize(
    "choices", [{}, {"family": "next_item", "scoring": "mean"}, {"family": "next_item", "scoring": "calibrated"}]
)
def test_scores_equal_those_of_prompts_one_by_one(films, model, choices):
    judge = _judge(films, model, labelled_case(user="u", history=2, **choices))
    asked = [Question(()), Question((1, 3)), Question((3, 1)), Question((1, 3), changed=True), Question((0, 2, 4))]
    scores = judge.scores(asked)
    expected = [_one_by_one(judge, question, films, model) for question in asked]
    assert scores == pytest.approx(np.array(expected), abs=2e-4)
    single = judge.ask([(asked[4], 1), (asked[3], 0), (asked[0], 1)])
    assert single == pytest.approx([expected[4][1], expected[3][0], expected[0][1]], abs=2e-4)


@pytest.mark.parametrize("objective", ["log_share", "ndcg"])
def test_every_objective_is_taken_of_the_same_scores(films, model, objective):
    judge = _judge(films, model, labelled_case(user="u", history=2, family="next_item"), objective)
    asked = [Question((1, 3)), Question((), changed=True)]
    expected = [_one_by_one(judge, question, films, model) for question in asked]
    assert judge.scores(asked) == pytest.approx(np.array(expected), abs=2e-4)


def test_the_cost_told_is_the_cost_run(films, model):
    judge = _judge(films, model, labelled_case(user="u", history=2, family="next_item", scoring="calibrated"))
    told = 0.0
    for order in ((), (0, 2), (0, 3), (2, 0)):
        told += judge.passes(views(order))
        judge.scores(views(order))
        assert judge.spent == pytest.approx(told)


def test_what_sets_share_is_run_once(films, model):
    judge = _judge(films, model, labelled_case(user="u", history=2))
    alone = judge.passes([Question((2, 3))]) + judge.passes([Question((2, 4))])
    assert judge.passes([Question((2, 3)), Question((2, 4))]) < 0.9 * alone


def test_an_interaction_stands_once_in_each_prompt(films, model):
    judge = _judge(films, model, labelled_case(user="u", history=2))
    own = next(n for n, one in enumerate(judge.members) if one.back is None and one.here.user_id == "u")
    shown = judge.demos((own, 0, 1), 0)
    ids = [demo.demo_id for demo in shown]
    assert len(set(ids)) == len(ids)
    assert all(demo.position < judge.held[0].position for demo in shown if demo.user_id == "u")
