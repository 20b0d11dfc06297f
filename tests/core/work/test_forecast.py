"""Forecasts: wide before anything was measured, the machine's own pace afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from fake_work_engine import explanation
from questions import explain_task

from core.analysis.explain.methods import Method
from core.question.case_spec import CaseSpec
from core.work.forecast import (
    BASE_BYTES,
    MOST_OBSERVATIONS,
    PARAMETER_SECONDS,
    START_SECONDS,
    Forecaster,
    prompt_tokens,
    time_left,
)

GIB = 2**30


def test_before_any_job_it_is_a_constant_with_wide_limits(tmp_path: Path) -> None:
    found = Forecaster(tmp_path / "forecast.json").forecast(explain_task())
    work = explain_task().predicted_passes * prompt_tokens(CaseSpec())
    assert found.seconds == pytest.approx(START_SECONDS + work * PARAMETER_SECONDS)
    assert found.high - START_SECONDS == pytest.approx(4 * (found.seconds - START_SECONDS))
    assert found.low < found.seconds < found.high
    assert (found.observations, found.memory_bytes) == (0, BASE_BYTES)


def test_the_speed_measured_at_start_replaces_the_constant(tmp_path: Path) -> None:
    forecaster = Forecaster(tmp_path / "forecast.json")
    forecaster.calibrate(1e-3)
    found = forecaster.forecast(explain_task(), tokens=1000)
    assert found.seconds == pytest.approx(START_SECONDS + explain_task().predicted_passes)
    assert found.observations == 0


def test_it_learns_the_pace_of_this_machine_and_keeps_it(tmp_path: Path) -> None:
    forecaster = Forecaster(tmp_path / "forecast.json")
    for number in range(9):
        seconds = START_SECONDS + explain_task().predicted_passes * 700 * 1e-3 * (1 + 0.01 * number)
        forecaster.learn(
            explain_task(user=str(number)), explanation(explain_task()), seconds=seconds, peak_bytes=2 * GIB
        )
    found = Forecaster(tmp_path / "forecast.json").forecast(explain_task(budget=24), tokens=700)
    expected = START_SECONDS + explain_task(budget=24).predicted_passes * 700 * 1e-3 * 1.04
    assert found.seconds == pytest.approx(expected)
    assert found.low < found.seconds < found.high < 1.5 * found.seconds
    assert (found.observations, found.memory_bytes) == (9, 2 * GIB)


def test_one_slow_outlier_does_not_move_the_middle(tmp_path: Path) -> None:
    forecaster = Forecaster(tmp_path / "forecast.json")
    for number in range(5):
        seconds = START_SECONDS + explain_task().predicted_passes * 700 * (1.0 if number == 2 else 1e-3)
        forecaster.learn(explain_task(), explanation(explain_task()), seconds=seconds, peak_bytes=GIB)
    found = forecaster.forecast(explain_task(), tokens=700)
    assert found.seconds == pytest.approx(START_SECONDS + explain_task().predicted_passes * 0.7)
    assert found.high > 2 * found.seconds


def test_another_model_is_another_pace(tmp_path: Path) -> None:
    forecaster = Forecaster(tmp_path / "forecast.json")
    forecaster.learn(explain_task(), explanation(explain_task()), seconds=100.0, peak_bytes=GIB)
    assert forecaster.forecast(explain_task(model="other")).observations == 0
    assert forecaster.forecast(explain_task(method="path")).observations == 1


def test_the_file_stays_small(tmp_path: Path) -> None:
    forecaster = Forecaster(tmp_path / "forecast.json")
    for _ in range(MOST_OBSERVATIONS + 5):
        forecaster.learn(explain_task(), explanation(explain_task()), seconds=5.0, peak_bytes=GIB)
    assert forecaster.forecast(explain_task()).observations == MOST_OBSERVATIONS
    assert (tmp_path / "forecast.json").stat().st_size < 100_000


@pytest.mark.parametrize("text", ["", "[]", "{", '{"observations": [{"model": 1}]}', "\0\0"])
def test_a_damaged_file_costs_only_what_was_learned(tmp_path: Path, text: str) -> None:
    (tmp_path / "forecast.json").write_text(text)
    forecaster = Forecaster(tmp_path / "forecast.json")
    assert forecaster.forecast(explain_task()).observations == 0
    forecaster.learn(explain_task(), explanation(explain_task()), seconds=5.0, peak_bytes=GIB)
    assert Forecaster(tmp_path / "forecast.json").forecast(explain_task()).observations == 1


def test_a_file_that_cannot_be_written_costs_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    forecaster = Forecaster(tmp_path / "file" / "forecast.json")
    forecaster.calibrate(1.0)
    assert forecaster.forecast(explain_task()).observations == 0


@pytest.mark.parametrize("method", get_args(Method))
def test_every_method_has_a_cost_that_grows_with_what_is_asked(method: Method) -> None:
    few = explain_task(method=method, demos=2, removals=0)
    many = explain_task(method=method, demos=10, candidates=100, faithfulness=32, budget=24)
    assert 1.0 < few.predicted_passes < many.predicted_passes


def test_hand_picked_demonstrations_and_candidates_are_counted() -> None:
    by_hand = explain_task(demo_ids=("1:1", "1:2"), candidate_ids=("1", "2", "3"))
    assert by_hand.predicted_passes == explain_task(demos=2, candidates=3).predicted_passes
    assert prompt_tokens(by_hand.case) == prompt_tokens(CaseSpec(demos=2))
    assert explain_task(demos=0).predicted_passes == explain_task(demos=0, faithfulness=9).predicted_passes


def test_what_another_process_learned_is_taken_in_and_kept(tmp_path: Path) -> None:
    page, command = Forecaster(tmp_path / "forecast.json"), Forecaster(tmp_path / "forecast.json")
    assert page.forecast(explain_task()).observations == 0
    command.learn(explain_task(), explanation(explain_task()), seconds=50.0, peak_bytes=GIB)
    assert page.forecast(explain_task()).observations == 1
    page.learn(explain_task(), explanation(explain_task()), seconds=50.0, peak_bytes=GIB)
    assert command.forecast(explain_task()).observations == 2


def test_the_remaining_time_never_rises() -> None:
    """A run of 100 s whose fraction stalls: the estimates by its own pace are 40, 36, 54 and 10 s."""
    said: list[float | None] = []
    last = None
    for elapsed, fraction in ((10.0, 0.2), (12.0, 0.25), (18.0, 0.25), (90.0, 0.9)):
        left = time_left(elapsed, fraction, expected=100.0, last=last)
        last = last if left is None else left
        said.append(left)
    assert said == [pytest.approx(40.0), pytest.approx(36.0), None, pytest.approx(10.0)]


def test_a_small_rise_of_the_remaining_time_is_held() -> None:
    assert time_left(11.0, 0.2, expected=100.0, last=40.0) == 40.0


def test_the_forecast_is_the_remaining_time_until_a_run_has_a_pace() -> None:
    assert time_left(3.0, 0.05, expected=20.0, last=None) == 17.0
    assert time_left(30.0, 0.05, expected=20.0, last=2.0) is None
