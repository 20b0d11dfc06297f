"""The dual model of a case, from a task to a complete report, on a tiny model and a small data set."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from questions import LABELLED
from references import language_model

from core.analysis.dual.dual_run import dual
from core.analysis.dual.dual_task import DualReport, DualTask
from core.analysis.dual.features import explicit, kernel_of
from core.analysis.dual.parts import dual_parts, labels_of
from core.analysis.setting import set_up
from core.data.dataset import Dataset
from core.errors import Cancelled, RequestError
from core.lm.loading.load import LanguageModel
from core.question.checked import checked
from core.question.command_line import task_of
from core.seeds import generator

PLANETS = ("Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune", "Pluto", "Ceres")


@pytest.fixture(scope="module")
def planets(planets_of: Any) -> Iterator[Dataset]:
    """Two users over ten items, eight interactions each."""
    with planets_of({"u": 0, "v": 3}, PLANETS) as dataset:
        yield dataset


@pytest.fixture(scope="module")
def model(tiny_llama: Any, tiny_tokenizer: Any) -> LanguageModel:
    return language_model(copy.deepcopy(tiny_llama), tiny_tokenizer)


def asked(*, demos: int = 3, target: str | None = None, **choices: Any) -> DualTask:
    case = {**LABELLED, "user": "u", "demos": demos, "candidates": 5, "history": 2, "target": target}
    return task_of(DualTask, {**case, "features": (16, 64), "draws": 3, "steps": 4, **choices})


def stages(task: DualTask, planets: Dataset, model: LanguageModel) -> list[DualReport]:
    return list(dual(task, dataset=planets, model=model))


def last(task: DualTask, planets: Dataset, model: LanguageModel) -> DualReport:
    return stages(task, planets, model)[-1]


@pytest.fixture(scope="module")
def report(planets: Dataset, model: LanguageModel) -> DualReport:
    return last(asked(), planets, model)


def test_a_report_grows_from_parts_to_descents(planets: Dataset, model: LanguageModel) -> None:
    grown = stages(asked(), planets, model)
    assert [one.stage for one in grown] == ["partial", "partial", "complete"]
    assert [bool(one.curve) for one in grown] == [False, True, True]
    assert [len(one.descents) for one in grown] == [0, 0, 2]
    assert DualReport.model_validate_json(grown[-1].model_dump_json()) == grown[-1]


def test_every_head_is_exact_and_told_in_full(report: DualReport, model: LanguageModel) -> None:
    assert np.shape(report.residual) == np.shape(report.zero_factor) == (model.layers, model.heads)
    assert np.shape(report.mass) == np.shape(report.norm) == (model.layers, model.heads, 3)
    assert np.max(report.residual) <= 1e-5
    np.testing.assert_allclose(np.array(report.zero_factor) + np.array(report.mass).sum(-1), 1.0, atol=1e-12)


def test_the_numbers_are_those_of_the_target_s_prompt(planets: Dataset, model: LanguageModel) -> None:
    task = asked(target="8", layer=1, head=2, position=-2)
    setting = set_up(task, planets, model)
    parts = dual_parts(model, setting.prompt, setting.case.candidates.index("8"), position=-2)
    found = stages(task, planets, model)[0]
    assert (found.layer, found.head, found.position) == (1, 2, parts.position)
    np.testing.assert_allclose(found.norm, np.linalg.norm(parts.outputs, axis=-1)[..., :3], rtol=1e-12)
    whole = parts.outputs[1, 2].sum(axis=0)
    for row, part in zip(found.parts, (3, 0, 1, 2), strict=True):
        vector = parts.outputs[1, 2, part]
        assert row.norm == pytest.approx(np.linalg.norm(vector))
        assert row.cosine == pytest.approx(vector @ whole / np.linalg.norm(vector) / np.linalg.norm(whole))
        assert row.mass == pytest.approx(parts.masses[1, 2, part])
    assert sum(row.share or 0.0 for row in found.parts) == pytest.approx(1.0)
    assert [row.label for row in found.parts] == ["W0", "D1", "D2", "D3"]


def test_by_default_it_looks_at_the_head_in_which_the_demonstrations_write_most(
    report: DualReport, planets: Dataset, model: LanguageModel
) -> None:
    setting = set_up(asked(), planets, model)
    parts = dual_parts(model, setting.prompt, setting.case.candidates.index(str(setting.case.target)))
    sizes = np.linalg.norm(parts.outputs[:, :, :3].sum(axis=2), axis=-1)
    assert (report.layer, report.head) == tuple(np.unravel_index(sizes.argmax(), sizes.shape))
    in_layer = stages(asked(layer=0), planets, model)[0]
    assert (in_layer.layer, in_layer.head) == (0, int(sizes[0].argmax()))
    of_head = stages(asked(head=1), planets, model)[0]
    assert (of_head.layer, of_head.head) == (int(sizes[:, 1].argmax()), 1)


def test_the_token_is_named_with_its_span(planets: Dataset, model: LanguageModel) -> None:
    setting = set_up(asked(), planets, model)
    prompt, candidate = setting.prompt, setting.case.candidates.index(str(setting.case.target))
    spans = (*prompt.prefix, prompt.candidates[candidate])
    texts = [span.text[first:end] for span in spans for first, end in span.offsets]
    places = [f"D{span.index + 1}" if span.kind == "demo" else span.kind for span in spans for _ in span.offsets]
    inside = places.index("D2") + 1
    for position in (0, inside, -1):
        found = stages(asked(position=position), planets, model)[0]
        assert (found.token, found.place) == (texts[position], places[position])
        assert any("inside D2" in notice for notice in found.notices) == (position == inside)


def test_one_step_of_descent_is_the_prediction_of_the_features(
    report: DualReport, planets: Dataset, model: LanguageModel
) -> None:
    setting = set_up(asked(), planets, model)
    prompt, candidate = setting.prompt, setting.case.candidates.index(str(setting.case.target))
    labels, heads = labels_of(prompt, candidate), []
    dual_parts(
        model,
        prompt,
        candidate,
        see=lambda attention, _: heads.append(attention.head(report.head, labels, 3)),
    )
    kernel = kernel_of(heads[report.layer])
    assert kernel is not None
    assert report.exponent == pytest.approx(kernel.exponent)
    assert report.softening == pytest.approx(min(1.0, 4.0 / kernel.exponent))
    made = explicit(kernel.softened(float(report.softening or 0)), 64, generator("features", 0, 64, 0))
    both = made.start() + sum(made.update(label) for label in range(3))
    for descent in report.descents:
        assert descent.error[0] == pytest.approx(made.error(made.start()))
        assert descent.limit_error is None or math.isfinite(descent.limit_error)
    assert report.descents[0].error[1] == pytest.approx(made.error(both))
    assert report.descents[1].error[1] == pytest.approx(made.error(both - 0.1 * made.start()))
    assert report.descent_features == 64


def test_plain_loss_falls_one_unit_a_step_and_decay_has_a_minimum(planets: Dataset, model: LanguageModel) -> None:
    plain, decayed = last(asked(steps=60, weight_decay=0.3), planets, model).descents
    np.testing.assert_allclose(np.diff(plain.loss), -1.0, rtol=1e-8)
    assert plain.limit_error is plain.limit_loss is None
    assert decayed.limit_loss == pytest.approx(-1 / 0.6)
    assert decayed.loss[-1] == pytest.approx(-1 / 0.6, rel=1e-6)
    assert decayed.error[-1] == pytest.approx(decayed.limit_error, rel=1e-6)


def test_points_hold_a_bar_around_their_middle(report: DualReport) -> None:
    for curve in (report.curve, report.softened):
        assert [point.features for point in curve] == [16, 64]
        assert all(0 < point.low <= point.error <= point.high for point in curve)


def test_equal_tasks_have_equal_reports(report: DualReport, planets: Dataset, model: LanguageModel) -> None:
    again = last(asked(), planets, model)
    same = {"seconds": 0.0, "provenance": report.provenance}
    assert again.model_copy(update=same) == report.model_copy(update=same)


def test_without_demonstrations_all_is_start_weights(planets: Dataset, model: LanguageModel) -> None:
    found = last(asked(demos=0), planets, model)
    np.testing.assert_allclose(found.zero_factor, 1.0, atol=1e-12)
    assert [row.label for row in found.parts] == ["W0"]
    assert found.parts[0].cosine == pytest.approx(1.0)
    assert np.shape(found.norm) == (model.layers, model.heads, 0)
    assert found.descents == ()
    assert found.curve
    assert any("no demonstrations" in notice for notice in found.notices)


def test_one_demonstration_is_enough(planets: Dataset, model: LanguageModel) -> None:
    assert len(last(asked(demos=1), planets, model).descents) == 2


def test_soft_capped_heads_have_parts_but_no_features(planets: Dataset, tiny_gemma2: Any, tiny_tokenizer: Any) -> None:
    found = last(asked(), planets, language_model(copy.deepcopy(tiny_gemma2), tiny_tokenizer))
    assert np.max(found.residual) <= 1e-5
    assert found.stage == "complete"
    assert found.curve == ()
    assert found.exponent is None
    assert any("caps its attention logits" in notice for notice in found.notices)


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"layer": 3}, "layer: layer 3 of a model with 3 layers; expected a number from 0 to 2"),
        ({"head": 4}, "head: head 4 of a model with 4 heads; expected a number from 0 to 3"),
        (
            {"position": 5_000},
            "position: token 5000 of a prompt of [0-9]+ tokens; expected a number from 0",
        ),
        ({"position": -5_000}, "position: token -5000 of a prompt"),
    ],
)
def test_what_the_model_or_the_prompt_does_not_have_is_said(
    choices: Any, sentence: str, planets: Dataset, model: LanguageModel
) -> None:
    with pytest.raises(RequestError, match=sentence):
        stages(asked(**choices), planets, model)


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"layer": -1}, "layer is -1; expected greater than or equal to 0"),
        ({"head": -2}, "head is -2"),
        ({"steps": 0}, "steps is 0; expected greater than or equal to 1"),
        ({"steps": 201}, "steps is 201; expected less than or equal to 200"),
        ({"draws": 2}, "draws is 2"),
        ({"features": [1]}, "features is 1; expected greater than or equal to 2"),
        ({"features": [16_385]}, "features is 16385; expected less than or equal to 16384"),
        ({"features": []}, "features is "),
        ({"weight_decay": 0}, "weight_decay is 0; expected greater than 0"),
        ({"weight_decay": 1.5}, "weight_decay is 1.5; expected less than or equal to 1"),
        ({"position": "last"}, "position is 'last'"),
    ],
)
def test_options_out_of_bounds_are_said(choices: Any, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        checked(DualTask, "dual", choices)


def test_it_can_be_cancelled_at_every_step(planets: Dataset, model: LanguageModel) -> None:
    told: list[tuple[str, float]] = []
    list(dual(asked(), dataset=planets, model=model, progress=lambda label, share: told.append((label, share))))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[0] >= 0
    assert shares[-1] <= 1
    for stop in (0, 2, len(told) // 2, len(told) - 1):
        count = iter(range(len(told)))

        def progress(label: str, share: float, count: Iterator[int] = count, stop: int = stop) -> None:
            if next(count) == stop:
                raise Cancelled("cancelled")

        with pytest.raises(Cancelled):
            list(dual(asked(), dataset=planets, model=model, progress=progress))


def test_the_forecast_is_little_more_than_one_pass(report: DualReport) -> None:
    assert asked().predicted_passes == 1.2
    assert report.forwards == 1
    assert 0 < report.passes <= 1
    assert report.provenance.command.startswith("demolens dual --")
