"""The quality task on a tiny model and twelve planets: what is reported, in which order, and what is undefined."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import pytest
from questions import LABELLED
from references import language_model

from core.analysis.quality.measures import ALONE, chosen_variants
from core.analysis.quality.quality_run import NO_DEMONSTRATIONS, NO_PROXY, quality
from core.analysis.quality.quality_task import QualityReport, QualityRow, QualityTask
from core.analysis.quality.quality_work import scored_setting
from core.analysis.quality.score_rows import QUALITY_SCORES, UTILITY_SCORES, QualityScore, UtilityScore
from core.analysis.quality.scores import alignment, gain
from core.analysis.robustness.perturb import prompt_of_variant
from core.analysis.setting import set_up
from core.analysis.values import TargetScore
from core.data.dataset import Dataset
from core.errors import Cancelled, DemoLensError, RequestError
from core.lm.loading.load import LanguageModel
from core.lm.scoring.score import Scorer
from core.question.command_line import task_of

PLANETS = (
    *("Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn"),
    *("Uranus", "Neptune", "Pluto", "Ceres", "Eris", "Vesta"),
)


@pytest.fixture(scope="module")
def planets(planets_of: Any) -> Iterator[Dataset]:
    """Four users over twelve items; user u has met eight of them, the last one, item 7, at moment 80."""
    with planets_of({"u": 0, "v": 3, "w": 6, "x": 9}, PLANETS) as dataset:
        yield dataset


@pytest.fixture(scope="module")
def model(tiny_llama: Any, tiny_tokenizer: Any) -> LanguageModel:
    return language_model(copy.deepcopy(tiny_llama), tiny_tokenizer)


def asked(own: dict[str, Any] | None = None, **choices: Any) -> QualityTask:
    flat = {"user": "u", "demos": 3, "candidates": 4, "history": 1, "budget": 6.0, **choices, **(own or {})}
    return task_of(QualityTask, {**LABELLED, **flat})


def reports(task: QualityTask, planets: Dataset, model: LanguageModel) -> list[QualityReport]:
    return list(quality(task, dataset=planets, model=model))


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
def test_scores_without_a_target_come_first(planets: Dataset, model: LanguageModel, family: Any) -> None:
    stages = reports(asked({"stability": 12}, family=family), planets, model)
    assert [one.stage for one in stages] == ["partial", "partial", "partial", "complete"]
    first, second, third, done = stages
    assert first.scored is None
    assert all(row.effect is not None and row.redundancy is not None and row.gain is None for row in first.rows)
    assert first.passes <= 1
    assert first.forwards == 1
    assert all(row.gain is not None and row.alignment is None for row in second.rows)
    assert all(row.alignment is not None and row.stability is None for row in third.rows)
    assert all(0 <= (row.stability or 0) <= 1 and row.perturbations > 0 for row in done.rows)
    assert [row.label for row in done.rows] == ["D1", "D2", "D3"]
    assert {row.nearest for row in done.rows} <= {"D1", "D2", "D3"}
    cosines = np.array(done.cosines, dtype=float)
    np.testing.assert_allclose(np.diag(cosines), 1.0)
    off = cosines - 2 * np.eye(3)
    np.testing.assert_allclose([row.redundancy for row in done.rows], off.max(axis=1))


def test_each_score_says_its_unit_and_its_cost(planets: Dataset, model: LanguageModel) -> None:
    done = reports(asked({"stability": 4}), planets, model)[-1]
    costs = {cost.score: cost for cost in done.costs}
    assert {name: cost.unit for name, cost in costs.items()} == {
        "gain": "nats",
        "effect": "ln of energy",
        "alignment": "cosine",
        "redundancy": "cosine",
        "stability": "share",
    }
    assert not costs["effect"].needs_target
    assert not costs["redundancy"].needs_target
    passes = {name: cost.passes or 0.0 for name, cost in costs.items()}
    assert 0.5 < passes["effect"] <= 1
    assert passes["redundancy"] == passes["effect"]
    prompt = set_up(asked(), planets, model).prompt
    spans = (*prompt.prefix, *prompt.candidates)  # The longest candidate alone is part of a full pass.
    whole = sum(len(span.token_ids) for span in spans) / prompt.length
    assert passes["gain"] == pytest.approx(3 * whole, rel=0.1)
    assert passes["alignment"] == pytest.approx(3 * whole, rel=0.1)
    assert passes["stability"] == pytest.approx(12 * whole, rel=0.4)
    assert done.passes == pytest.approx(sum(passes.values()) - passes["redundancy"])
    assert done.passes == pytest.approx(done.task.predicted_passes, rel=0.4)
    without = reports(asked(), planets, model)[-1]
    assert without.costs[-1].passes is None
    assert all(row.stability is None for row in without.rows)


def test_the_columns_are_those_of_the_scores(planets: Dataset, model: LanguageModel) -> None:
    done = reports(asked(), planets, model)[-1]
    setting = set_up(asked(), planets, model)
    score = TargetScore(Scorer(model, setting.prompt), setting.case.candidates.index("7"), explain="field")
    np.testing.assert_allclose([row.gain for row in done.rows], gain(score).values)
    np.testing.assert_allclose([row.alignment for row in done.rows], alignment(score).values)
    assert done.scored is not None
    assert done.scored.item_id == "7"
    assert not done.proxy


def test_refined_gains_have_intervals(planets: Dataset, model: LanguageModel) -> None:
    done = reports(asked({"gain_method": "default"}), planets, model)[-1]
    for row in done.rows:
        assert row.gain is not None
        assert row.gain_low is not None
        assert row.gain_high is not None
        assert row.gain_low <= row.gain <= row.gain_high


def test_a_proxy_is_the_latest_choice_that_no_demonstration_shows(planets: Dataset, model: LanguageModel) -> None:
    task = asked({"proxy": True})
    setting = set_up(task, planets, model)
    shown = {item for demo in setting.demos for item in (demo.item_id, *demo.history)}
    free = [one.item_id for one in setting.case.history if planets.liked(one) and one.item_id not in shown]
    held = scored_setting(setting, proxy=True)
    assert held is not None
    assert held.case.target == free[-1]
    assert free[-1] not in {one.item_id for one in held.case.history}
    assert len(held.prompt.demos) == 3
    assert PLANETS[int(free[-1])] not in "".join(span.text for span in held.prompt.prefix)
    assert "7" not in held.case.candidates
    done = reports(task, planets, model)[-1]
    assert done.proxy
    assert done.scored is not None
    assert done.scored.item_id == free[-1]
    assert all(row.gain is not None and row.alignment is not None for row in done.rows)
    assert all(row.gain_low is None for row in done.rows)


def test_a_proxy_is_judged_by_deletion_unless_another_way_is_asked_for(planets: Dataset, model: LanguageModel) -> None:
    task = asked({"proxy": True, "stability": 2})
    held = scored_setting(set_up(task, planets, model), proxy=True)
    assert held is not None
    scorer = Scorer(model, held.prompt)
    margin = [1.0] + [-1 / (scorer.candidates - 1)] * (scorer.candidates - 1)
    wanted = (scorer.full() - scorer.subsets(~np.eye(3, dtype=bool))) @ margin
    found = reports(task, planets, model)[-1]
    np.testing.assert_allclose([row.gain for row in found.rows], wanted, atol=1e-4)
    quick = reports(asked({"proxy": True, "stability": 2, "gain_method": "gradient"}), planets, model)[-1]
    np.testing.assert_allclose(
        [row.gain for row in quick.rows], gain(TargetScore(Scorer(model, held.prompt), 0, explain="field")).values
    )
    assert [row.stability for row in found.rows] == [row.stability for row in quick.rows]


def test_an_unknown_target_gives_way_to_the_proxy(planets: Dataset, model: LanguageModel) -> None:
    listed = {"candidate_ids": ("8", "9", "10")}
    done = reports(asked(**listed), planets, model)[-1]
    assert done.proxy
    named = reports(asked(**listed, target="9"), planets, model)[-1]
    assert not named.proxy
    assert named.scored is not None
    assert named.scored.item_id == "9"


def test_without_a_proxy_only_the_scores_that_need_none_are_there(planets: Dataset, model: LanguageModel) -> None:
    done = reports(asked({"proxy": True}, demos=7, history=5), planets, model)[-1]
    assert done.stage == "complete"
    assert NO_PROXY in done.notices
    assert all(row.gain is None and row.effect is not None for row in done.rows)


def test_no_demonstrations_are_a_complete_answer(planets: Dataset, model: LanguageModel) -> None:
    (done,) = reports(asked({"stability": 5}, demos=0), planets, model)
    assert done.stage == "complete"
    assert done.rows == ()
    assert done.cosines is None
    assert NO_DEMONSTRATIONS in done.notices


def test_one_demonstration_has_no_redundancy(planets: Dataset, model: LanguageModel) -> None:
    done = reports(asked({"stability": 4}, demos=1), planets, model)[-1]
    (row,) = done.rows
    assert row.redundancy is None
    assert row.nearest is None
    assert ALONE in done.notices
    assert done.cosines == ((1.0,),)
    assert row.gain is not None
    assert row.effect is not None


def test_perturbations_take_turns_over_kinds(planets: Dataset, model: LanguageModel) -> None:
    setting = set_up(asked(history=4), planets, model)
    few, many = chosen_variants(setting, 10), chosen_variants(setting, 45)
    assert len(many) == 45
    assert len({variant.kind for variant in few}) == len(few)
    assert many[:10] == few
    assert all(prompt_of_variant(setting, variant).answer_ids for variant in few)


def test_equal_tasks_have_equal_numbers(planets: Dataset, model: LanguageModel) -> None:
    one, other = (reports(asked({"stability": 6}), planets, model)[-1] for _ in range(2))
    assert one.rows == other.rows
    assert one.cosines == other.cosines


def test_a_report_survives_json(planets: Dataset, model: LanguageModel) -> None:
    done = reports(asked({"stability": 2}), planets, model)[-1]
    assert QualityReport.model_validate_json(done.model_dump_json()) == done
    assert done.provenance.command.startswith("demolens quality --user u")


@pytest.mark.parametrize("own", [{"stability": -1}, {"stability": 1000}, {"gain_method": "guess"}, {"colour": "red"}])
def test_wrong_options_are_refused(own: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        asked(own)


def test_a_target_that_is_no_candidate_is_one_sentence(planets: Dataset, model: LanguageModel) -> None:
    with pytest.raises(DemoLensError, match="target: item '99'"):
        reports(asked(target="99"), planets, model)


def test_cancelling_ends_the_work_between_passes(planets: Dataset, model: LanguageModel) -> None:
    told: list[tuple[str, float]] = []

    def stop(label: str, fraction: float) -> None:
        told.append((label, fraction))
        if len(told) == 5:
            raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        list(quality(asked({"stability": 8}), dataset=planets, model=model, progress=stop))
    assert len(told) == 5
    assert all(0 <= fraction < 1 for _, fraction in told)
    assert [fraction for _, fraction in told] == sorted(fraction for _, fraction in told)


def test_the_forecast_counts_what_is_asked() -> None:
    def passes(own: dict[str, Any] | None = None, **choices: Any) -> Any:
        return pytest.approx(asked(own, **choices).predicted_passes)

    gradient = 3 * 1.08  # Four candidates, each 0.02 of the prompt; of two 3 * 1.04.
    assert passes() == 2 * gradient + 1
    assert passes({"stability": 4}) == 6 * gradient + 1
    assert passes({"gain_method": "default"}) == 6 + gradient + 1
    assert passes({"gain_method": "leave_one_out"}, demos=8) == 5 + gradient + 1
    assert passes({"proxy": True}, demos=8) == 5 + gradient + 1
    assert passes({"proxy": True, "gain_method": "gradient"}, demos=8) == 2 * gradient + 1
    assert passes({}, demos=8, candidate_ids=("1", "2")) == 5 + 3 * 1.04 + 1, "the target may be none of them"
    assert passes({}, demos=8, candidate_ids=("1", "2"), target="1") == 6 * 1.04 + 1
    assert passes(demos=0) == 1


def test_every_score_is_a_row_with_a_column() -> None:
    assert tuple(row.name for row in QUALITY_SCORES) == get_args(QualityScore)
    assert tuple(row.name for row in UTILITY_SCORES) == get_args(UtilityScore)
    assert all(row.name in QualityRow.model_fields for row in QUALITY_SCORES)
    assert all((row.function is None) == (row.shared_with is not None) for row in QUALITY_SCORES)
