"""From a task to its report, on a tiny model; and what cannot be asked."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from questions import LABELLED

from core.analysis.robustness.inference import recommend
from core.analysis.robustness.perturb import prompt_of_variant, variants
from core.analysis.robustness.perturbations import KINDS, QUICK, ROWS
from core.analysis.robustness.robustness_run import robustness
from core.analysis.robustness.robustness_task import RobustnessReport, RobustnessTask, kinds_of
from core.analysis.setting import Setting, set_up
from core.data.dataset import Dataset
from core.errors import Cancelled, RequestError
from core.lm.loading.load import LanguageModel
from core.lm.scoring.score import Scorer
from core.metrics.ranking import ndcg, ranks
from core.question.case_spec import CaseSpec
from core.question.checked import checked
from core.question.command_line import task_of

Settings = Callable[..., Setting]


def asked(*, case: dict[str, Any] | None = None, **choices: Any) -> RobustnessTask:
    flat = {"user": "u", "demos": 4, "candidates": 4, "history": 4, "repeats": 2, **(case or {}), **choices}
    return task_of(RobustnessTask, {**LABELLED, **flat})


@pytest.fixture(scope="module")
def done(planets: Dataset, model: LanguageModel) -> Callable[..., list[RobustnessReport]]:
    known: dict[RobustnessTask, list[RobustnessReport]] = {}

    def run(task: RobustnessTask) -> list[RobustnessReport]:
        if task not in known:
            known[task] = list(robustness(task, dataset=planets, model=model))
        return known[task]

    return run


Done = Callable[[RobustnessTask], list[RobustnessReport]]
OF_DEMOS = tuple(row.name for row in ROWS if row.least_demos)


def test_kinds_join_one_by_one(done: Done) -> None:
    reports = done(asked())
    assert [report.stage for report in reports] == ["partial"] * 11 + ["complete"], "dropping has two parts"
    grown = [len(kinds_of(report.rows)) for report in reports]
    assert grown == sorted(grown)
    last = reports[-1]
    assert set(kinds_of(last.rows)) == set(KINDS)
    assert Counter(row.kind for row in last.rows) == dict.fromkeys(KINDS, 2)
    assert (last.rows, last.variants, last.modes) == (reports[-2].rows, reports[-2].variants, reports[-2].modes)
    assert last.left_out == ()


def test_every_variant_has_the_scores_of_its_own_prompt(done: Done, planets: Dataset, model: LanguageModel) -> None:
    """Held against one forward pass per variant, read by the formulas."""
    task = asked(kinds=("inject", "label_flip", "typos"))
    report = done(task)[-1]
    setting = set_up(task, planets, model)
    base = Scorer(model, setting.prompt).full()
    chosen = setting.case.candidates.index(str(setting.case.target))
    made = variants(setting, kinds=task.kinds, strengths=task.strengths, repeats=2)
    assert len(made) == len(report.variants) == 12
    for one, row in zip(made, report.variants, strict=True):
        scores = Scorer(model, prompt_of_variant(setting, one)).full()
        shown = [setting.case.candidates.index(line.item_id) for line in report.lines]
        assert [row.ranks[place] for place in range(4)] == [int(ranks(scores)[index]) for index in shown]
        assert row.top == setting.case.candidates[int(np.argmax(scores))]
        assert row.flips == (np.argmax(scores) != np.argmax(base))
        assert row.score == pytest.approx(scores[chosen] - base[chosen], abs=1e-4)
        assert row.place == 1 + int((scores > scores[chosen]).sum())
        before, after = (one[chosen] - np.delete(one, chosen).mean() for one in (base, scores))
        assert row.margin == pytest.approx(after - before, abs=2e-4)
        expected = ndcg(int(ranks(scores)[chosen])) - ndcg(int(ranks(base)[chosen]))
        assert row.ndcg == pytest.approx(expected)
        assert (row.kind, row.strength, row.repeat, row.words) == (one.kind, one.strength, one.repeat, one.words)


def test_rows_and_modes_are_means_of_the_variants(done: Done) -> None:
    report = done(asked())[-1]
    for row in report.rows:
        mine = [one for one in report.variants if (one.kind, one.strength) == (row.kind, row.strength)]
        assert row.count == len(mine)
        assert row.flips.mean == pytest.approx(np.mean([one.flips for one in mine]))
        assert row.score is not None
        assert row.score.mean == pytest.approx(np.mean([one.score for one in mine if one.score is not None]))
        assert row.place is not None
        unchanged = report.lines[report.target_line or 0].rank
        assert row.place.mean == pytest.approx(np.mean([abs((one.place or 0) - unchanged) for one in mine]))
    places = report.target_places()
    assert places is not None
    assert (places.best, places.worst) == (
        min(one.place for one in report.variants if one.place),
        max(one.place for one in report.variants if one.place),
    )
    compared = {row.source for row in report.sensitivity} - {"difference"}
    assert {row.source for row in report.beside} == compared != set()
    (plain,) = report.modes
    assert (plain.mode, plain.name, plain.variants) == ("plain", "plain", len(report.variants))
    assert plain.flips is not None
    assert plain.flips.mean == pytest.approx(np.mean([one.flips for one in report.variants]))
    changes = [one.ndcg for one in report.variants if one.ndcg is not None]
    assert plain.ndcg is not None
    assert plain.ndcg_before is not None
    assert plain.ndcg.mean == pytest.approx(plain.ndcg_before + np.mean(changes))


def test_every_demonstration_has_its_turn_at_being_dropped(done: Done) -> None:
    report = done(asked())[-1]
    alone = [one.touched for one in report.variants if one.kind == "demo_drop" and one.strength == 0.1]
    assert sorted(alone) == [(0,), (1,), (2,), (3,)]
    assert report.weakest is not None
    assert report.weakest.label == f"D{report.weakest.place + 1}"
    touching = [one for one in report.variants if report.weakest.place in one.touched]
    assert report.weakest.variants == len(touching)
    fewest = [len(one.touched) for one in touching if one.flips]
    assert report.weakest.flips_with == min(fewest, default=None)
    assert all(one.kind in OF_DEMOS for one in touching)


def test_the_smallest_flip_is_one_of_the_variants(done: Done) -> None:
    report = done(asked(strengths=(0.1, 1.0)))[-1]
    flipped = [one for one in report.variants if one.flips]
    assert report.smallest is not None
    assert report.smallest.strength == min(one.strength for one in flipped)
    assert (report.smallest.words, report.smallest.top) in [(one.words, one.top) for one in flipped]
    assert report.smallest.top != report.lines[0].item_id


def test_cost_is_counted_and_less_than_one_by_one(done: Done) -> None:
    report = done(asked(sensitivity=False))[-1]
    assert report.sweep_tokens < 0.6 * report.separate_tokens
    assert report.passes == pytest.approx(report.sweep_tokens / report.tokens, rel=0.6)
    assert report.forwards == 1 + len(report.variants)


def test_quick_is_twelve_variants(done: Done) -> None:
    report = done(asked(quick=True, kinds=("inject",), strengths=(1.0,), repeats=9))[-1]
    assert len(report.variants) == 12
    assert kinds_of(report.rows) == QUICK
    assert asked(quick=True).predicted_passes < asked(repeats=3).predicted_passes


def test_the_changed_model_meets_the_same_variants(done: Done, planets: Dataset, model: LanguageModel) -> None:
    task = asked(kinds=("demo_drop", "inject"), strengths=(0.5,), alpha=0.2, sigma=0.2, samples=2)
    report = done(task)[-1]
    assert [mode.name for mode in report.modes] == ["plain", "decay 0.2 · noise 0.2 (2 samples)"]
    plain, changed = ([row for row in report.rows if row.mode == mode] for mode in ("plain", "changed"))
    assert [(row.kind, row.count) for row in plain] == [(row.kind, row.count) for row in changed]
    setting = set_up(task, planets, model)
    settings = task.inference
    assert settings is not None
    made = variants(setting, kinds=["inject"], strengths=[0.5], repeats=2)
    prompts = [setting.prompt, *(prompt_of_variant(setting, one) for one in made)]
    seed = setting.case.seed
    base, *after = (recommend(Scorer(model, prompt), settings, seed).scores for prompt in prompts)
    chosen = setting.case.candidates.index(str(setting.case.target))
    row = next(one for one in changed if one.kind == "inject")
    assert row.score is not None
    assert row.score.mean == pytest.approx(np.mean([scores[chosen] - base[chosen] for scores in after]), abs=1e-4)
    assert row.flips.mean == np.mean([np.argmax(scores) != np.argmax(base) for scores in after])
    assert report.passes > done(asked(kinds=("demo_drop", "inject"), strengths=(0.5,)))[-1].passes


def test_what_does_not_apply_is_left_out_with_a_reason(done: Done) -> None:
    report = done(asked(case={"demos": 0}, kinds=(*OF_DEMOS, "inject")))[-1]
    assert {one.kind for one in report.left_out} == set(OF_DEMOS)
    assert all("no demonstration" in one.reason for one in report.left_out)
    assert kinds_of(report.rows) == ("inject",)
    assert report.weakest is None
    flipping = done(asked(case={"family": "next_item"}, kinds=("label_flip",)))[-1]
    assert flipping.stage == "complete"
    assert flipping.variants == ()
    assert flipping.modes[0].flips is None
    assert "no answer" in flipping.left_out[0].reason


def test_a_case_without_a_target_still_has_flips(done: Done) -> None:
    case = {"candidate_ids": ("8", "9", "12")}
    report = done(asked(case=case, kinds=("demo_drop", "inject")))[-1]
    assert report.target is None
    assert all(one.ndcg is None and one.score is None for one in report.variants)
    assert all(row.ndcg is None and row.score is None and row.flips is not None for row in report.rows)
    assert report.modes[0].ndcg_before is None
    assert report.weakest is not None
    assert report.weakest.change is None
    assert any("not among the candidates, so NDCG and the target score" in notice for notice in report.notices)
    named = done(asked(case=case | {"target": "9"}, kinds=("inject",)))[-1]
    assert all(one.ndcg is None and one.score is not None for one in named.variants)
    assert named.target is not None


def test_the_rank_flow_holds_twenty_candidates_and_the_target(done: Done, planets: Dataset) -> None:
    report = done(asked(kinds=("history_drop",), repeats=1))[-1]
    assert [line.rank for line in report.lines] == [1, 2, 3, 4]
    assert sum(line.is_target for line in report.lines) == 1
    scores = [line.score for line in report.lines]
    assert scores == sorted(scores, reverse=True)


def test_a_longer_list_keeps_the_target(
    planets: Dataset, model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.analysis.robustness import robustness_run as measure

    monkeypatch.setattr(measure, "FLOW", 1)
    report = list(robustness(asked(kinds=("inject",), repeats=1), dataset=planets, model=model))[-1]
    assert [line.is_target for line in report.lines] == [True]


def test_a_calibrated_score_moves_levels_and_no_change(done: Done) -> None:
    case = {"family": "next_item"}
    plain = done(asked(case=case, kinds=("inject",)))[-1]
    calibrated = done(asked(case=case | {"scoring": "calibrated"}, kinds=("inject",)))[-1]
    one, other = ([row.score for row in report.variants] for report in (plain, calibrated))
    assert one == pytest.approx(other, abs=1e-5)
    assert [line.score for line in plain.lines] != pytest.approx([line.score for line in calibrated.lines])


def test_a_cut_prompt_is_said(planets: Dataset, tiny_llama: Any, tiny_tokenizer: Any) -> None:
    import copy
    from dataclasses import replace

    from references import language_model

    whole = language_model(copy.deepcopy(tiny_llama), tiny_tokenizer)
    small = replace(whole, context=300)
    reports = list(robustness(asked(case={"demos": 6}, repeats=1), dataset=planets, model=small))
    assert any("cut to fit" in notice for notice in reports[-1].notices)
    assert reports[-1].tokens <= 300


def test_equal_tasks_have_equal_reports_that_survive_json(planets: Dataset, model: LanguageModel) -> None:
    task = asked(kinds=("inject", "typos"))
    one, other = (list(robustness(task, dataset=planets, model=model))[-1] for _ in range(2))
    timings = {"seconds": 0.0, "provenance": one.provenance}
    assert one.model_copy(update=timings) == other.model_copy(update=timings)
    assert RobustnessReport.model_validate_json(one.model_dump_json()) == one


def test_cancelling_keeps_the_kinds_that_are_done(planets: Dataset, model: LanguageModel) -> None:
    reports: list[RobustnessReport] = []
    told: list[tuple[str, float]] = []

    def stop(label: str, fraction: float) -> None:
        told.append((label, fraction))
        if len(reports) == 2:
            raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        reports.extend(robustness(asked(), dataset=planets, model=model, progress=stop))
    assert len(reports) == 2
    assert len(kinds_of(reports[-1].rows)) == 2
    assert all(0 <= fraction < 1 for _, fraction in told)


def test_the_command_line_repeats_the_task(done: Done) -> None:
    report = done(asked(kinds=("inject",), strengths=(0.3,)))[-1]
    assert report.provenance.command == (
        "demolens robustness --user u --demos 4 --strategy recent --candidates 4 --family yes_no --history 4"
        " --kinds inject --strengths 0.3 --repeats 2"
    )


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"strengths": (0.0,)}, "strengths is 0.0; expected greater than 0"),
        ({"strengths": (1.2,)}, "strengths is 1.2; expected less than or equal to 1"),
        ({"strengths": ("nan",)}, "strengths is"),
        ({"strengths": ()}, "strengths is"),
        ({"kinds": ("earthquake",)}, "kinds is 'earthquake'"),
        ({"repeats": 0}, "repeats is 0"),
        ({"alpha": 1.0}, "alpha is 1.0"),
        ({"case": {"user": "u", "demos": 99}}, "demos is 99"),
    ],
)
def test_wrong_choices_are_one_sentence(choices: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        checked(RobustnessTask, "robustness", choices)


def test_the_default_is_about_sixty_variants() -> None:
    for family, expected in (("next_item", 59), ("yes_no", 65)):
        grids = RobustnessTask(case=CaseSpec(family=family)).grids(8)
        count = sum(len(grid.strengths) * grid.repeats for grid in grids if grid.kind != "label_flip")
        count += 6 * (family == "yes_no")
        assert count == expected


def test_the_forecast_grows_with_what_is_asked_for() -> None:
    base = RobustnessTask()
    assert base.predicted_passes > 10
    assert RobustnessTask(repeats=6).predicted_passes > base.predicted_passes
    assert RobustnessTask(sigma=0.1).predicted_passes > 2 * base.predicted_passes
    assert RobustnessTask(case=CaseSpec(demos=0)).predicted_passes < base.predicted_passes


def test_a_task_needs_no_torch() -> None:
    code = "import sys, core.analysis.robustness.robustness_task; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_changed_list_stands_beside_the_plain_one(done: Done, planets: Dataset, model: LanguageModel) -> None:
    task = asked(kinds=("inject",), strengths=(0.5,), alpha=0.2, sigma=0.2, samples=3)
    report = done(task)[-1]
    setting = set_up(task, planets, model)
    settings = task.inference
    assert settings is not None
    slow = recommend(Scorer(model, setting.prompt), settings, setting.case.seed)
    for line in report.lines:
        index = setting.case.candidates.index(line.item_id)
        assert line.changed_score == pytest.approx(slow.sampled[:, index].mean(), abs=1e-5)
        assert line.changed_spread == pytest.approx(slow.sampled[:, index].std(ddof=1), abs=1e-5)
        assert line.changed_rank == 1 + int((slow.scores > slow.scores[index]).sum())
    plain = done(asked(kinds=("inject",), strengths=(0.5,)))[-1]
    assert [(one.item_id, one.score, one.rank) for one in plain.lines] == [
        (one.item_id, one.score, one.rank) for one in report.lines
    ]
    assert all(one.changed_score is one.changed_rank is one.changed_spread is None for one in plain.lines)


def test_one_random_sample_has_no_spread(done: Done) -> None:
    report = done(asked(kinds=("inject",), strengths=(0.5,), sigma=0.2, samples=1))[-1]
    assert all(one.changed_spread is None and one.changed_rank is not None for one in report.lines)
    still = done(asked(kinds=("inject",), strengths=(0.5,), beta=0.5))[-1]
    assert all(one.changed_spread == 0 for one in still.lines)


def test_the_first_place_of_the_changed_list_is_always_shown(
    done: Done, monkeypatch: pytest.MonkeyPatch, planets: Dataset, model: LanguageModel
) -> None:
    monkeypatch.setattr("core.analysis.robustness.robustness_run.FLOW", 2)
    for alpha in (0.1, 0.5, 0.9):
        task = asked(kinds=("inject",), strengths=(0.5,), repeats=1, alpha=alpha)
        report = list(robustness(task, dataset=planets, model=model))[-1]
        assert len(report.lines) == 2
        assert [line.rank for line in report.lines] == sorted(line.rank for line in report.lines)
        assert sum(line.is_target for line in report.lines) == 1
        assert 1 in [line.changed_rank for line in report.lines]
