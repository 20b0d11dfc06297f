"""Robustness of a blended list: every variant has the same popularity, and the margins move as the model's do."""

from __future__ import annotations

import numpy as np
from questions import labelled_case

from core.analysis.robustness.perturb import prompt_of_variant, variants
from core.analysis.robustness.robustness_run import robustness
from core.analysis.robustness.robustness_task import RobustnessReport, RobustnessTask
from core.analysis.setting import setting_for
from core.data.dataset import Dataset
from core.data.item_prior import log_popularity
from core.lm.loading.load import LanguageModel
from core.metrics.ranking import ranks

CASE = {"user": "u", "demos": 3, "candidates": 5, "history": 3}


def reported(planets: Dataset, model: LanguageModel, prior: float) -> RobustnessReport:
    task = RobustnessTask(case=labelled_case(**CASE, prior=prior))
    return list(robustness(task, dataset=planets, model=model))[-1]


def test_every_variant_has_the_popularity_of_the_case(planets: Dataset, model: LanguageModel) -> None:
    setting = setting_for(labelled_case(**CASE, prior=2.0), planets, model)
    popularity = dict(zip(setting.case.candidates, 2.0 * log_popularity(planets, setting.case), strict=True))
    assert len(set(popularity.values())) > 1
    for variant in variants(setting, repeats=1):
        prompt = prompt_of_variant(setting, variant)
        np.testing.assert_array_equal(prompt.prior, [popularity[item] for item in variant.case.candidates])
    assert setting.content_free().prior == ()


def test_places_are_blended_and_margins_move_as_the_models_do(planets: Dataset, model: LanguageModel) -> None:
    alone, blended = reported(planets, model, 0.0), reported(planets, model, 30.0)
    setting = setting_for(labelled_case(**CASE), planets, model)
    prior = dict(zip(setting.case.candidates, 30.0 * log_popularity(planets, setting.case), strict=True))
    before = {row.item_id: row for row in alone.lines}
    scores = np.array([before[row.item_id].score + prior[row.item_id] for row in blended.lines])
    assert [row.rank for row in blended.lines] == list(ranks(scores.round(6)))
    assert [row.rank for row in blended.lines] != [before[row.item_id].rank for row in blended.lines]
    assert any("30 x log(1 + likes before the moment)" in notice for notice in blended.notices)
