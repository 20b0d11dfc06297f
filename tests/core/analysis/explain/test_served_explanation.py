"""Explanations by a server's scores, held against the same model loaded here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from explained_planets import last, small

from bench.own.protocol_server import Fault, ProtocolServer
from core.analysis.explain.explanation import Explanation
from core.analysis.noise import ALONE, MIXED, Repeats
from core.analysis.noise_floor import NoiseFloor, drift_sentence, noise_sentence, within_noise
from core.cli.explanation_lines import explanation_lines
from core.data.dataset import Dataset
from core.errors import RequestError
from core.lm.loading.load import LanguageModel, load
from core.metrics.similarity import spearman

Serve = Callable[..., ProtocolServer]


@pytest.mark.parametrize("family", ["next_item", "yes_no"])
def test_bars_are_those_of_the_model_loaded_here(
    serve: Serve, planets: Dataset, local_model: LanguageModel, family: Any
) -> None:
    serve()
    task = small(family=family, method="ablations")
    here, there = last(task, planets, local_model), last(task, planets, load("server"))
    assert here.contributions is not None
    assert there.contributions is not None
    np.testing.assert_allclose(there.contributions.values, here.contributions.values, atol=1e-4)
    assert spearman(np.array(there.contributions.values), np.array(here.contributions.values)) >= 0.99
    for served, local in zip(there.candidates, here.candidates, strict=True):
        assert (served.score, served.zero_shot_score) == pytest.approx((local.score, local.zero_shot_score), abs=1e-4)
        assert served.rank == local.rank
    assert there.noise is not None
    assert there.noise.floor == 0
    assert here.noise is None
    assert here.contributions.within_noise is None


def test_the_default_says_that_it_goes_without_a_gradient(serve: Serve, planets: Dataset) -> None:
    server = serve()
    done = last(small(), planets, load("server"))
    assert done.contributions is not None
    assert done.contributions.method == "ablations"
    assert done.contributions.by_layer is None
    assert any("come from designed ablations, without a gradient" in notice for notice in done.notices)
    assert "The server gave the same scores in 10 repeats: no noise was seen." in done.notices
    record = done.provenance.server
    assert record is not None
    assert (record.address, record.model, record.tokenizer_compared) == (server.address, "tiny", True)
    assert done.provenance.command.endswith(f"--tokenizer {record.tokenizer}")
    assert (done.provenance.layers, done.provenance.device) == (0, "server")
    assert Explanation.model_validate_json(done.model_dump_json()) == done


@pytest.mark.parametrize("method", ["gradient", "path", "attention", "captum_kernel_shap", "captum_feature_ablation"])
def test_methods_that_need_the_weights_are_refused_before_anything_is_scored(
    serve: Serve, planets: Dataset, method: Any
) -> None:
    server = serve()
    served = load("server")
    before = len(server.seen)
    with pytest.raises(RequestError, match="a server gives scores only; expected one of ablations, leave_one_out"):
        last(small(method=method), planets, served)
    assert len(server.seen) == before


@pytest.mark.parametrize("method", ["leave_one_out", "shapley", "shapley_sampling", "regression"])
def test_methods_of_scores_alone_agree_with_local_ones(
    serve: Serve, planets: Dataset, local_model: LanguageModel, method: Any
) -> None:
    serve("sglang")
    task = small(method=method, family="yes_no")
    here, there = last(task, planets, local_model), last(task, planets, load("server"))
    assert here.contributions is not None
    assert there.contributions is not None
    np.testing.assert_allclose(there.contributions.values, here.contributions.values, atol=1e-3)


@pytest.mark.parametrize("method", ["default", "leave_one_out"])
def test_effects_under_the_floor_are_all_called_noise_and_intervals_are_wider(
    serve: Serve, planets: Dataset, method: Any
) -> None:
    server = serve()
    served = load("server")
    server.noise = 0.05
    done = last(small(method=method), planets, served)
    assert done.noise is not None
    assert done.contributions is not None
    floor, values = done.noise.floor, np.array(done.contributions.values)
    assert floor >= 0.05
    assert done.contributions.within_noise == tuple((np.abs(values) <= floor).tolist())
    low, high = np.array(done.contributions.low), np.array(done.contributions.high)
    assert (values - low >= floor - 1e-12).all()
    assert (high - values >= floor - 1e-12).all()
    if done.list_effects is not None:
        assert done.list_effects.noise == floor
    for label, noisy in zip(["D1", "D2", "D3"], done.contributions.within_noise, strict=True):
        line = next(line for line in explanation_lines(done) if line.strip().startswith(label))
        assert (" noise" in line) is noisy


def test_noise_that_drowns_everything_is_said(serve: Serve, planets: Dataset) -> None:
    """Effects of these demonstrations are below 2 nats in truth; the noise of one difference is far above."""
    server = serve()
    served = load("server")
    server.noise = 20.0
    done = last(small(method="leave_one_out", family="yes_no"), planets, served)
    assert done.contributions is not None
    assert done.contributions.within_noise == (True, True, True)
    assert any("D1, D2, D3." in notice for notice in done.notices)


def test_the_floor_is_the_largest_distance_to_the_median() -> None:
    whole = np.array([[1.0, 5.0], [1.1, 5.0], [0.8, 5.0], [1.0, 5.0], [1.0, 5.0], [1.0, 5.5]])
    repeats = Repeats(whole, np.zeros((6, 2)))
    noise = repeats.floor(np.array([1.0, -1.0]))
    differences = np.array([-4.0, -3.9, -4.2, -4.0, -4.0, -4.5])
    assert noise.effect == noise.score == pytest.approx(0.5)
    deviations = [np.std([5.0, 5, 5, 5, 5, 5.5], ddof=1), np.std(differences, ddof=1)]
    assert noise.deviation == pytest.approx(max(deviations))
    assert noise.floor == pytest.approx(3 * max(deviations))
    assert (noise.alone, noise.mixed) == (ALONE, 6 - ALONE)


def test_words_about_noise() -> None:
    noise = NoiseFloor(alone=5, mixed=5, score=0.1, effect=0.2, deviation=0.05, floor=0.2)
    marks = within_noise([0.3, -0.2, 0.1], noise.floor)
    assert marks == (False, True, True)
    assert noise_sentence(noise, ["D1", "D2", "D3"], marks) == (
        "Effects up to 0.2 nats are noise of the server (10 repeats): D2, D3."
    )
    assert noise_sentence(noise, ["D1"], [False]).endswith("none of these is that small.")
    assert drift_sentence(noise) is None
    assert drift_sentence(noise.model_copy(update={"drift": 0.3})) is not None
    assert ALONE + MIXED == 10


def test_a_wrong_count_in_the_middle_of_a_run_ends_it_with_one_sentence(serve: Serve, planets: Dataset) -> None:
    server = serve()
    served = load("server")
    server.faults.append(Fault("count"))
    with pytest.raises(Exception, match="the server read"):
        last(small(), planets, served)
