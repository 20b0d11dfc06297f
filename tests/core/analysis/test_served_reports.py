"""Quality and Robustness by a server's scores: what needs only scores works, the rest is said."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from explained_planets import PLANETS
from questions import LABELLED

from core.analysis.quality.quality_run import GAIN_ALONE, quality
from core.analysis.quality.quality_task import QualityTask
from core.analysis.robustness.robustness_run import robustness
from core.analysis.robustness.robustness_task import RobustnessTask
from core.analysis.setting import set_up
from core.errors import RequestError
from core.lm.loading.load import LanguageModel, load
from core.question.command_line import task_of

CASE = {**LABELLED, "user": "u", "demos": 3, "candidates": 5, "history": 2}


@pytest.fixture(scope="module")
def planets(planets_of: Any) -> Any:
    with planets_of({"u": 0, "v": 3, "w": 6}, PLANETS) as dataset:
        yield dataset


def test_gain_is_measured_by_deletion_and_the_rest_is_left_out(
    serve: Any, planets: Any, local_model: LanguageModel
) -> None:
    serve()
    done = list(quality(task_of(QualityTask, CASE), dataset=planets, model=load("server")))[-1]
    here = task_of(QualityTask, CASE | {"gain_method": "leave_one_out"})
    local = list(quality(here, dataset=planets, model=local_model))[-1]
    gains = [[row.gain for row in report.rows] for report in (done, local)]
    np.testing.assert_allclose(gains[0], gains[1], atol=1e-4)
    assert all(row.effect is None and row.alignment is None and row.redundancy is None for row in done.rows)
    assert GAIN_ALONE in done.notices
    assert done.noise is not None
    assert done.noise.floor == 0
    assert local.noise is None
    assert [row.within_noise for row in local.rows] == [None] * 3
    assert done.stage == "complete"
    with pytest.raises(RequestError, match="a server gives scores only"):
        list(quality(task_of(QualityTask, CASE | {"gain_method": "gradient"}), dataset=planets, model=load("server")))


@pytest.mark.parametrize("method", ["auto", "default"])
def test_gains_below_the_floor_are_noise_and_their_intervals_are_wider(serve: Any, planets: Any, method: str) -> None:
    server = serve()
    served = load("server")
    server.noise = 0.05
    task = task_of(QualityTask, CASE | {"gain_method": method})
    done = list(quality(task, dataset=planets, model=served))[-1]
    assert done.noise is not None
    floor = done.noise.floor
    assert floor >= 0.05
    for row in done.rows:
        assert row.within_noise is (abs(row.gain) <= floor)
        assert row.gain - row.gain_low >= floor - 1e-9
        assert row.gain_high - row.gain >= floor - 1e-9
    assert any(f"Effects up to {floor:.2g} nats are noise of the server" in notice for notice in done.notices)


def test_changes_below_the_floor_are_called_noise(serve: Any, planets: Any) -> None:
    server = serve()
    served = load("server")
    server.noise = 0.05
    task = task_of(RobustnessTask, CASE | {"repeats": 1, "strengths": (0.5,), "sensitivity": False})
    done = list(robustness(task, dataset=planets, model=served))[-1]
    assert done.noise is not None
    assert [row.within_noise for row in done.variants] == [
        abs(row.margin or 0.0) <= done.noise.floor for row in done.variants
    ]
    small = sum(bool(row.within_noise) for row in done.variants)
    assert any(f": {small} of {len(done.variants)} variants change it by no more." in text for text in done.notices)


def test_every_perturbation_gives_the_local_report(serve: Any, planets: Any, local_model: LanguageModel) -> None:
    serve()
    task = task_of(RobustnessTask, CASE | {"repeats": 1, "strengths": (0.5,), "sensitivity": False})
    reports = [list(robustness(task, dataset=planets, model=model))[-1] for model in (local_model, load("server"))]
    here, there = ([(row.kind, row.ranks, row.top) for row in report.variants] for report in reports)
    assert there == here
    assert reports[0].sweep_tokens == reports[1].sweep_tokens
    assert reports[0].noise is None
    assert reports[1].noise is not None
    changed = task_of(RobustnessTask, CASE | {"repeats": 1, "strengths": (0.5,), "alpha": 0.5})
    with pytest.raises(RequestError, match="a server gives scores only"):
        list(robustness(changed, dataset=planets, model=load("server")))


def test_a_strategy_that_reads_hidden_states_is_refused(serve: Any, planets: Any) -> None:
    serve()
    with pytest.raises(RequestError, match="strategy semantic reads the model's hidden states"):
        set_up(task_of(QualityTask, CASE | {"strategy": "semantic"}), planets, load("server"))


def test_the_key_stands_in_no_report(serve: Any, planets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(key="s3cret-key")
    monkeypatch.setenv("DEMOLENS_SERVER_KEY", "s3cret-key")
    done = list(quality(task_of(QualityTask, CASE), dataset=planets, model=load("server")))[-1]
    assert done.stage == "complete"
    assert "s3cret" not in json.dumps(done.model_dump(mode="json"))
