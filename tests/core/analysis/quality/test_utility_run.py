"""Does a score predict true utility? Truths against plain calls of the network, correlations against formulas."""

from __future__ import annotations

import copy
import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from questions import explain_task, labelled_case
from references import Pair, hand_written, language_model, random_prompt
from scipy import stats

from core.analysis.quality import utility_task
from core.analysis.quality.quality_work import scored_setting
from core.analysis.quality.score_rows import SCORES, TRUTHS, Truth, UtilityScore
from core.analysis.quality.scored_case import floors, quality_scores
from core.analysis.quality.scores import gain
from core.analysis.quality.utility_run import (
    CaseNumbers,
    drawn_users,
    rows_of,
    true_utility,
    tuned_users,
    utility,
)
from core.analysis.quality.utility_task import (
    LEAST_STORED,
    UtilityReport,
    UtilityRow,
    UtilityTask,
    keep,
    latest_utility,
    verdict,
)
from core.analysis.setting import Setting, set_up
from core.analysis.values import TargetScore
from core.data.dataset import Dataset, open_dataset
from core.errors import Cancelled, ComputeError, MaterialError, RequestError
from core.lm.loading.load import LanguageModel
from core.lm.scoring.score import Scorer
from core.metrics.ranking import ndcg
from core.prompt.families import Family
from core.question.case_spec import CaseSpec
from core.question.checked import checked
from core.question.kinds import KINDS

TITLES = ("Alien", "Heat", "Fargo", "Toy Story", "The Matrix", "Blade Runner", "Aliens", "Jaws", "Big", "Speed", "Gigi")


@pytest.fixture(autouse=True)
def own_home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("sample") is None:
        monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    """Six users over eleven films, seven choices each; user `new` has two only."""
    folder = tmp_path_factory.mktemp("data") / "films"
    folder.mkdir()
    rows = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    for shift, user in enumerate("abcdef"):
        rows += [
            f"{user}\t{(2 * place + shift) % 11}\t{5 - place % 2}\t{10 * (place + 1) + shift}" for place in range(7)
        ]
    rows += ["new\t1\t5\t10", "new\t2\t5\t20"]
    (folder / "films.inter").write_text("\n".join(rows) + "\n")
    items = ["item_id:token\tmovie_title:token_seq", *(f"{n}\t{title}" for n, title in enumerate(TITLES))]
    (folder / "films.item").write_text("\n".join(items) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEMOLENS_HOME", str(tmp_path_factory.mktemp("home")))
        dataset = open_dataset(str(folder))
        yield dataset
        dataset.close()


@pytest.fixture(scope="module")
def model(tiny_llama: Any, tiny_tokenizer: Any) -> LanguageModel:
    return language_model(copy.deepcopy(tiny_llama), tiny_tokenizer)


def small(cases: int = 3, **choices: Any) -> UtilityTask:
    more = {name: choices.pop(name) for name in ("least_history", "users_seed") if name in choices}
    case = {"demos": 3, "candidates": 4, "history": 1, **choices}
    return UtilityTask(case=labelled_case(**case), users=cases, **({"least_history": 7} | more))


def last(task: UtilityTask, films: Dataset, model: LanguageModel, **more: Any) -> UtilityReport:
    return list(utility(task, dataset=films, model=model, **more))[-1]


def row(report: UtilityReport, score: UtilityScore, truth: Truth = "removal_score") -> UtilityRow:
    return next(one for one in report.of(truth) if one.score == score)


# ---- truths


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
def test_true_utility_is_what_plain_calls_give(tiny_llama: Any, family: Any) -> None:
    reference = copy.deepcopy(tiny_llama)
    reference.set_attn_implementation("eager")
    pair = Pair(reference, language_model(copy.deepcopy(tiny_llama)))
    prompt = random_prompt(family, demos=3, candidates=4)
    target, offsets = 2, np.array([0.0, 3.0, -1.0, 0.5])

    def scores(mask: list[bool]) -> np.ndarray:
        return np.array([hand_written(pair.reference, prompt, mask, c) for c in range(4)]) - offsets

    def worth(table: np.ndarray) -> float:
        return ndcg(1 + int((table > table[target]).sum()))

    full, empty = scores([True] * 3), scores([False] * 3)
    found = true_utility(Scorer(pair.model, prompt), target, offsets)
    for k in range(3):
        without, alone = scores([n != k for n in range(3)]), scores([n == k for n in range(3)])
        assert found["removal_score"][k] == pytest.approx(full[target] - without[target], abs=1e-3)
        assert found["addition_score"][k] == pytest.approx(alone[target] - empty[target], abs=1e-3)
        assert found["removal_ndcg"][k] == pytest.approx(worth(full) - worth(without))
        assert found["addition_ndcg"][k] == pytest.approx(worth(alone) - worth(empty))


# ---- correlations


def numbers(scores: dict[str, Any], truth: Any) -> CaseNumbers:
    table = {name: np.asarray(values, dtype=float) for name, values in scores.items()}
    return CaseNumbers(table, dict.fromkeys(get_args(Truth), np.asarray(truth, dtype=float)))  # type: ignore[arg-type]


def test_rows_hold_the_mean_and_the_pooled_rank_correlation() -> None:
    rng = np.random.default_rng(0)
    scores, truths = rng.normal(size=(12, 5)), rng.normal(size=(12, 5))
    truths[:, 0] += 3 * scores[:, 0]
    found = [numbers({"effect": a}, b) for a, b in zip(scores, truths, strict=True)]
    (made,) = (one for one in rows_of(found) if one.truth == "removal_score")
    each = [stats.spearmanr(a, b).statistic for a, b in zip(scores, truths, strict=True)]
    inside = [np.concatenate([stats.rankdata(line) for line in table]) for table in (scores, truths)]
    assert made.mean == pytest.approx(np.mean(each))
    assert made.pooled == pytest.approx(stats.spearmanr(*inside).statistic)
    assert made.low is not None
    assert made.high is not None
    assert made.low < made.mean < made.high
    assert made.high - made.low == pytest.approx(2 * 1.645 * np.std(each) / math.sqrt(12), rel=0.15)
    assert (made.cases, made.left_out, made.floor) == (12, 0, None)


def test_cases_without_a_varying_truth_or_score_are_left_out_and_counted() -> None:
    found = [
        numbers({"gain": [1, 2, 3], "length": [2, 2, 2]}, [1, 2, 3]),
        numbers({"gain": [1, 2, 3], "length": [5, 6, 7]}, [4, 4, 4]),
        numbers({"gain": [np.nan] * 3, "length": [5, 6, 7]}, [3, 2, 1]),
        numbers({"gain": [1, 2, np.nan], "length": [5, 6, 7]}, [1, 2, 3]),
        numbers({"length": [5, 6, 7]}, [1, 2, 3]),
    ]
    gain, length = (one for one in rows_of(found) if one.truth == "addition_ndcg")
    assert (gain.mean, gain.cases, gain.left_out) == (1.0, 1, 4)
    assert (gain.low, gain.high) == (None, None)
    assert (length.mean, length.cases, length.left_out) == (pytest.approx(1 / 3), 3, 2)
    assert gain.floor == length.mean


def test_nothing_that_varies_gives_no_number() -> None:
    (made, *_) = rows_of([numbers({"gain": [1, 1, 1]}, [1, 2, 3])] * 4)
    assert (made.mean, made.low, made.high, made.pooled, made.cases, made.left_out) == (None, None, None, None, 0, 4)
    assert verdict(made) == "predicts nothing on these cases: none of 4 cases has a correlation."


def test_the_floor_is_the_strongest_one_whichever_way_it_points() -> None:
    scores = {"gain": [1, 2, 3, 4], "random": [2, 1, 4, 3], "length": [4, 3, 1, 2], "position": [1, 4, 3, 2]}
    for made in rows_of([numbers(scores, [1, 2, 3, 4])] * 3):
        assert made.floor == pytest.approx(-stats.spearmanr([4, 3, 1, 2], [1, 2, 3, 4]).statistic)


def made_row(low: float | None, mean: float | None, high: float | None, floor: float | None, **more: Any) -> UtilityRow:
    fields = {"score": "effect", "truth": "removal_score", "pooled": mean, "cases": 40, "left_out": 2} | more
    return UtilityRow(mean=mean, low=low, high=high, floor=floor, **fields)


@given(
    low=st.floats(-1, 1), width=st.floats(0, 1), floor=st.none() | st.floats(-1, 1), score=st.sampled_from(list(SCORES))
)
@settings(max_examples=200, deadline=None)
def test_only_an_interval_above_zero_and_above_the_floor_predicts(
    low: float, width: float, floor: float | None, score: UtilityScore
) -> None:
    made = made_row(low, low + width / 2, low + width, floor, score=score)
    wanted = low > 0 and (floor is None or low > floor) and score not in ("random", "length", "position")
    assert made.predicts == wanted
    assert verdict(made).startswith("predicts: ") == wanted


def test_verdicts_are_one_sentence_with_numbers() -> None:
    assert verdict(made_row(0.31, 0.42, 0.53, 0.05)) == (
        "predicts: mean rank correlation 0.42, 90% interval 0.31 to 0.53, 40 cases; the strongest floor reaches 0.05."
    )
    assert verdict(made_row(-0.2, -0.1, 0.01, 0.05, cases=1)) == (
        "predicts nothing on these cases: mean rank correlation −0.10, 90% interval −0.20 to 0.01, 1 case;"
        " the strongest floor reaches 0.05."
    )
    assert verdict(made_row(None, 0.9, None, None)) == (
        "predicts nothing on these cases: mean rank correlation 0.90, 40 cases."
    )
    assert verdict(made_row(0.2, 0.3, 0.4, 0.3, score="length")) == (
        "is a floor that knows nothing of the model: mean rank correlation 0.30, 90% interval 0.20 to 0.40, 40 cases."
    )


# ---- the whole way


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
def test_reports_grow_case_by_case(films: Dataset, model: LanguageModel, family: Any) -> None:
    reports = list(utility(small(cases=2, family=family), dataset=films, model=model))
    assert [(one.cases, one.stage) for one in reports] == [(1, "partial"), (2, "complete")]
    done = reports[-1]
    pairs = itertools.product(get_args(UtilityScore), get_args(Truth))
    assert {(one.score, one.truth) for one in done.rows} == set(pairs)
    assert all(one.cases + one.left_out == 2 for one in done.rows)
    assert done.family == family
    assert row(done, "position").mean == done.of("removal_score")[-1].mean
    assert UtilityReport.model_validate_json(done.model_dump_json()) == done
    assert done.demos == ()
    assert done.provenance.command.startswith("demolens utility --demos 3")
    assert tuple(SCORES) == get_args(UtilityScore)
    assert set(TRUTHS) == set(get_args(Truth))


def test_a_score_that_is_the_truth_predicts_and_its_negative_does_not(films: Dataset, model: LanguageModel) -> None:
    def oracle(setting: Setting, scorer_of: Any) -> dict[UtilityScore, Any]:
        target = setting.case.candidates.index(str(setting.case.target))
        truth = true_utility(scorer_of(setting), target)["removal_score"]
        return {"gain": truth, "effect": -truth, "alignment": np.ones(3)}

    done = last(small(cases=3), films, model, scores_of=oracle)
    assert row(done, "gain").mean == pytest.approx(1.0)
    assert row(done, "effect").mean == pytest.approx(-1.0)
    assert not row(done, "effect").predicts
    assert (row(done, "alignment").mean, row(done, "alignment").left_out) == (None, 3)
    assert row(done, "gain").predicts == ((row(done, "gain").floor or 0) < 1)


def test_equal_tasks_have_equal_numbers_and_users_do_not_matter(films: Dataset, model: LanguageModel) -> None:
    one = last(small(cases=1, user="a"), films, model)
    other = last(small(cases=1, user="b", candidate_ids=("1", "2"), demo_ids=("a:1",)), films, model)
    assert one.rows == other.rows
    assert one.task.effective() == other.task.effective()


def test_gain_is_towards_the_target_or_its_proxy(films: Dataset, model: LanguageModel) -> None:
    request = explain_task(user="a", demos=3, candidates=4, history=1)
    setting = set_up(request, films, model)
    found = quality_scores(setting, lambda held: Scorer(model, held.prompt))
    assert set(found) == {"gain", "gain_proxy", "gain_proxy_gradient", "effect", "alignment", "redundancy"}
    assert all(values.shape == (3,) for values in found.values())
    assert bool((found["redundancy"] <= 1).all())
    held = scored_setting(setting, proxy=True)
    assert held is not None
    scorer = Scorer(model, held.prompt)
    without = scorer.subsets(~np.eye(3, dtype=bool))
    np.testing.assert_allclose(found["gain_proxy"], scorer.full()[0] - without[:, 0], atol=1e-4)
    np.testing.assert_allclose(found["gain_proxy_gradient"], gain(TargetScore(Scorer(model, held.prompt), 0)).values)
    assert not np.allclose(found["gain"], found["gain_proxy_gradient"])
    shown = replace(setting, case=replace(setting.case, history=setting.case.history[-1:]))
    nothing = quality_scores(shown, lambda held: Scorer(model, held.prompt))
    assert np.isnan(nothing["gain_proxy"]).all(), "the only known choice stands in a demonstration"
    np.testing.assert_allclose(nothing["gain"], found["gain"])


def test_the_floors_know_the_text_only(films: Dataset, model: LanguageModel) -> None:
    setting = set_up(explain_task(user="a", demos=3, candidates=4), films, model)
    found = floors(setting)
    assert found["length"].tolist() == [len(span.token_ids) for span in setting.prompt.demos]
    np.testing.assert_array_equal(found["random"], floors(setting)["random"])
    assert len(set(found["random"])) == 3


def test_calibrated_scores_are_ranked_less_what_an_empty_prompt_gives(films: Dataset, model: LanguageModel) -> None:
    seen: list[Any] = []

    def plain(setting: Setting, scorer_of: Any) -> dict[UtilityScore, Any]:
        seen.append(setting)
        return {}

    sums = last(small(cases=1, family="next_item"), films, model, scores_of=plain)
    calibrated = last(small(cases=1, family="next_item", scoring="calibrated"), films, model, scores_of=plain)
    assert calibrated.forwards == sums.forwards + 1
    for truth in ("removal_score", "addition_score"):
        assert row(calibrated, "length", truth) == row(sums, "length", truth)


# ---- users


def test_users_with_enough_history_are_drawn_by_the_seed(films: Dataset) -> None:
    assert sorted(drawn_users(small(), films)) == list("abcdef")
    assert drawn_users(small(users_seed=1), films) != drawn_users(small(users_seed=2), films)
    assert drawn_users(small(least_history=8), films) == []
    assert "new" in drawn_users(small(least_history=2), films)


def test_users_that_defaults_were_tuned_on_are_not_drawn(films: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.analysis.quality.utility_run.TUNED_HISTORY", 7)
    apart = tuned_users(films)
    assert len(apart) == 2
    assert sorted([*apart, *drawn_users(small(), films)]) == list("abcdef")


@pytest.mark.sample
def test_the_users_kept_apart_are_those_of_the_benchmark() -> None:
    from bench.case_list import measured_users

    dataset = open_dataset("sample")
    apart, measured = set(tuned_users(dataset)), set(measured_users(dataset, 0))
    assert len(apart) == 60
    assert not apart & measured
    assert set(drawn_users(UtilityTask(), dataset)) == measured
    dataset.close()


def test_users_without_a_case_are_skipped_and_counted(films: Dataset, model: LanguageModel) -> None:
    done = last(small(cases=10, least_history=2), films, model, scores_of=lambda setting, scorer_of: {})
    assert (done.cases, done.skipped, done.stage) == (6, 1, "complete")
    assert "Only 6 of the 10 cases asked for: the data have no more such users." in done.notices


def test_nobody_to_measure_is_one_sentence(films: Dataset, model: LanguageModel) -> None:
    with pytest.raises(RequestError, match="none of 0 users has a case to measure; expected users with 8 or more"):
        last(small(least_history=8), films, model)
    with pytest.raises(RequestError, match=r"none of 6 users has a case to measure .*tokens"):
        last(small(), films, replace(model, context=40))


# ---- bad choices


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"case": {"demos": 0}}, "utility: a rank correlation needs 3 or more demonstrations, not a prompt with 0"),
        ({"case": {"demos": 2}}, "not a prompt with 2"),
        ({"case": {"strategy": "manual", "demo_ids": ["a:1"]}}, "chosen by hand belong to one user"),
        ({"users": 0}, "users is 0; expected greater than or equal to 1"),
        ({"users": 501}, "users is 501; expected less than or equal to 500"),
        ({"users": "many"}, "users is 'many'"),
        ({"least_history": 1}, "least_history is 1"),
        ({"colour": 1}, "an unknown choice 'colour'"),
    ],
)
def test_wrong_choices_are_one_sentence(choices: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError) as error:
        checked(UtilityTask, "utility", choices)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_users_are_drawn_also_where_nobody_has_the_usual_id(films: Dataset) -> None:
    """A job asks the row of its kind what it is about; that was a case of user 12 before, whoever the data knew."""
    assert CaseSpec().user not in dict(films.users(limit=100))
    assert KINDS["utility"].subject(small(), films) == drawn_users(small(), films)


def test_choices_of_one_case_have_no_effect() -> None:
    case = CaseSpec(user="9", demo_ids=("a:1",), candidate_ids=("1", "2"))
    assert UtilityTask(case=case).effective() == UtilityTask().effective()
    assert UtilityTask(case=case, users_seed=1).effective() != UtilityTask().effective()
    assert UtilityTask(case=CaseSpec(seed=1)).effective() != UtilityTask().effective()


def test_more_demonstrations_and_cases_are_predicted_to_cost_more() -> None:
    assert small(cases=20).predicted_passes == pytest.approx(2 * small(cases=10).predicted_passes)
    assert small(demos=8).predicted_passes > small(demos=4).predicted_passes
    measured = UtilityTask(case=CaseSpec(family="next_item", demos=4), users=3)
    assert measured.predicted_passes == pytest.approx(62.3, rel=0.1), "what three sample cases really took"


# ---- cancelling, failing


def test_cancelling_keeps_the_cases_that_were_done(films: Dataset, model: LanguageModel) -> None:
    told: list[tuple[str, float]] = []

    def stop(label: str, fraction: float) -> None:
        told.append((label, fraction))
        if label.startswith("measuring case 2"):
            raise Cancelled("cancelled")

    reports = utility(small(), dataset=films, model=model, progress=stop)
    assert next(reports).cases == 1
    with pytest.raises(Cancelled):
        next(reports)
    assert told[0][0] == "measuring case 1 of 3"
    assert all(0 <= fraction < 1 for _, fraction in told)
    assert [fraction for _, fraction in told] == sorted(fraction for _, fraction in told)


def test_a_model_that_fails_is_not_taken_for_a_missing_case(films: Dataset, model: LanguageModel) -> None:
    def fails(setting: Setting, scorer_of: Any) -> Any:
        raise ComputeError("the model gave scores that are not finite numbers")

    with pytest.raises(ComputeError, match="not finite"):
        last(small(), films, model, scores_of=fails)


# ---- kept for the page


@pytest.fixture
def whole(films: Dataset, model: LanguageModel) -> UtilityReport:
    done = last(small(cases=1), films, model, scores_of=lambda setting, scorer_of: {})
    return done.model_copy(update={"cases": 20})


def found(report: UtilityReport, **more: Any) -> UtilityReport | None:
    asked = {
        "model_id": report.provenance.model_id,
        "dataset_id": report.provenance.dataset_id,
        "family": report.family,
    } | more
    return latest_utility(**asked)  # type: ignore[arg-type]


def test_a_complete_report_over_enough_cases_is_kept(whole: UtilityReport) -> None:
    assert found(whole) is None
    for too_little in ({"cases": 19}, {"stage": "partial"}):
        keep(whole.model_copy(update=too_little))
        assert found(whole) is None
    keep(whole)
    assert found(whole) == whole
    for other in ({"model_id": "x"}, {"dataset_id": "../../etc"}, {"family": "next_item"}):
        assert found(whole, **other) is None
    newer = whole.model_copy(update={"cases": 30})
    keep(newer)
    assert found(whole) == newer


def test_a_finished_task_is_kept_for_the_page(
    films: Dataset, model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(utility_task, "LEAST_STORED", 2)
    done = last(small(cases=2), films, model, scores_of=lambda setting, scorer_of: {})
    assert found(done) == done


def test_a_disk_that_cannot_be_written_is_said(
    films: Dataset, model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise MaterialError("the disk is full")

    monkeypatch.setattr(utility_task, "LEAST_STORED", 1)
    monkeypatch.setattr(utility_task, "write_atomically", full)
    done = last(small(cases=1), films, model, scores_of=lambda setting, scorer_of: {})
    assert done.stage == "complete"
    assert done.notices[-1] == "The report is not kept for the page: the disk is full."


@settings(max_examples=30, deadline=None)
@given(raw=st.binary(max_size=200) | st.sampled_from([b"{}", b"null", b'{"task":{}}', b"\xff\xfe"]))
def test_a_damaged_file_is_as_good_as_none(raw: bytes) -> None:
    path = utility_task._path("m", "d", "yes_no")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)
    assert latest_utility("m", "d", "yes_no") is None


@pytest.mark.parametrize("family", get_args(Family))
def test_the_reports_that_come_along_are_whole_and_of_the_sample(family: Family) -> None:
    sample = json.loads((utility_task.CARDS / "adapters" / "recicl" / "card.json").read_text())
    report = latest_utility(sample["model_id"], sample["dataset_id"], family)
    assert report is not None
    assert (report.stage, report.task.case.adapter, report.task.case.dataset) == ("complete", None, "sample")
    assert report.cases >= LEAST_STORED
    assert {(row.score, row.truth) for row in report.rows} == set(itertools.product(SCORES, TRUTHS))
    assert all(row.cases + row.left_out == report.cases for row in report.rows)


def test_a_shipped_report_is_read_for_its_own_model_and_data_only(
    whole: UtilityReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(utility_task, "CARDS", tmp_path)
    (tmp_path / "utility-yes_no.json").write_text(json.dumps(whole.model_dump(mode="json")))
    assert found(whole) == whole
    assert found(whole, model_id="x") is None
    keep(whole.model_copy(update={"cases": 55}))
    own = found(whole)
    assert own is not None
    assert own.cases == 55, "a report of this machine comes first"
