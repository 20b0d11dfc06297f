"""Part `recicl`: promises from written figures, and a whole run on a tiny network, cut short and taken up again."""

from __future__ import annotations

import copy
import dataclasses
from types import SimpleNamespace

import pytest
from adapters import saved_adapter
from evaluations import around, made
from references import language_model

from bench.recicl import recicl_part as recicl
from bench.recicl import step_costs as recicl_steps
from bench.recicl.promises import rows_of
from core.data.dataset import open_dataset
from core.lm.loading import adapter
from core.tuning.classical.sasrec import Shape, sasrec
from core.tuning.evaluation import evaluation_plan, reference_scores
from core.tuning.evaluation import evaluation_settings as settings
from core.tuning.evaluation.record import (
    DifferenceRow,
    MetricEstimate,
    RankingRow,
    StepCostRow,
    WayRow,
    read_evaluation,
)
from core.tuning.evaluation.ways import GAINS, RECICL, RECICL_BARE, TALLREC_BARE, minus
from core.tuning.training.card import Card
from core.tuning.training.training_settings import TuningSettings

# ---- promises


def rows(**more):
    evaluation = made().model_copy(update=more)
    return {one.measure: one for one in rows_of(evaluation)}


def difference(name, measure="auc", **apart):
    return DifferenceRow(name=name, measure=measure, apart=MetricEstimate(**apart))


def test_only_the_tuned_model_with_demonstrations_was_promised_an_auc():
    found = rows()
    label = "AUC, RecICL, 4 demonstrations (1000 test interactions)"
    assert found[label].met is False
    assert [one.measure for one in found.values() if one.target == ">= 0.7"] == [label]
    better = tuple(row.model_copy(update={"auc": around(0.7)}) for row in made().ways)
    assert rows(ways=better)[label].met is True


def test_a_gain_must_be_sure_and_a_reference_only_passed():
    found = rows(
        differences=(
            difference(GAINS, value=0.05, low=-0.01, high=0.1),
            difference(f"{RECICL.name} minus item mean", value=0.01, low=-0.02, high=0.04),
            difference(f"{RECICL.name} minus popularity", value=-0.01, low=-0.02, high=0.04),
            difference(minus(RECICL, RECICL_BARE), value=-0.5, low=-0.6, high=-0.4),
        )
    )
    assert found[f"AUC, {GAINS}"].met is False
    assert found[f"AUC, {RECICL.name} minus item mean"].met is True
    assert found[f"AUC, {RECICL.name} minus popularity"].met is False
    assert found[f"AUC, {minus(RECICL, RECICL_BARE)}"].met is None
    sure = rows(differences=(difference(GAINS, value=0.05, low=0.01, high=0.1),))
    assert sure[f"AUC, {GAINS}"].met is True


def test_every_later_period_counts():
    found = rows()
    label = f"AUC, {minus(RECICL, TALLREC_BARE)}, later period"
    assert [found[f"{label} {number}"].met for number in (1, 2)] == [True, False]


def test_the_better_family_and_steps_are_held_against_their_targets():
    ranking = tuple(
        RankingRow(family=family, way=RECICL.name, ndcg=around(value))
        for family, value in (("yes_no", 0.4), ("next_item", 0.5))
    )
    apart = tuple(
        difference(f"{family}, {minus(RECICL, RECICL_BARE)}", measure="ndcg", value=value, low=-0.1, high=0.2)
        for family, value in (("yes_no", 0.1), ("next_item", -0.1))
    )
    ratio = MetricEstimate(value=0.55, low=0.5, high=0.6)
    ratios = dict.fromkeys(("time_ratio", "token_ratio", "packed_ratio", "seconds"), ratio)
    step = StepCostRow(family="yes_no", tuned="recicl", steps=20, **ratios)
    others = step.model_copy(update={"strategy": "neighbours"})
    found = rows(ranking=ranking, steps=(step, others), differences=apart)
    best = f"NDCG@10, the better family with demonstrations: next_item, {RECICL.name}"
    assert (found[best].value, found[best].met) == (0.5, True)
    own = found[f"{best}, minus its own zero-shot"]
    assert (own.value, own.met) == (-0.1, False)
    assert found[f"NDCG@10, yes_no, {RECICL.name} (200 lists of 20)"].met is None
    taken = "one personalisation step, yes_no (20 steps)"
    assert found[f"{taken}, time / one forward over its whole prompt with all candidates"].met is True
    assert found[f"{taken}, seconds"].met is None
    label = "time / one forward over its whole prompt with all candidates"
    assert found[f"one personalisation step, yes_no, neighbours (20 steps), {label}"].met is None


def test_what_reads_the_test_is_no_bar_to_pass():
    read = WayRow(way="SASRec, fresh history", tuned=None, demos=None, auc=around(0.6), uauc=around(0.6))
    name = f"{RECICL.name} minus {read.way}"
    found = rows(ways=(*made().ways, read), differences=(difference(name, value=-0.1, low=-0.2, high=0.0),))
    assert found[f"AUC, {name}"].met is None


# ---- on a tiny network


@pytest.fixture(scope="module")
def bench(tiny_llama, tiny_tokenizer, tmp_path_factory, store):
    """Eight users with 22 choices each among 41 items, two choices in the same second."""
    rows = (
        (f"u{user}", (7 * user + 3 * place) % 41, 5 if (user + place) % 3 else 2, 100 * (place // 2) + user)
        for user in range(8)
        for place in range(22)
    )
    folder = store(tmp_path_factory.mktemp("data") / "things", rows, items=41)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEMOLENS_HOME", str(tmp_path_factory.mktemp("home")))
        dataset = open_dataset(folder)
        model = dataclasses.replace(language_model(copy.deepcopy(tiny_llama), tiny_tokenizer), context=4096)
        yield SimpleNamespace(model=model, dataset=dataset, seed=0)
        dataset.close()


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Rounds of six interactions and two lists of five, one play, quick references, no adapter shipped."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluation_plan, "ROUND", 6)
    monkeypatch.setattr(evaluation_plan, "LISTS", 2)
    monkeypatch.setattr(settings, "PER_LIST", 3)
    monkeypatch.setattr(recicl, "CANDIDATES", 5)
    monkeypatch.setattr(recicl_steps, "PLAYS", 1)
    quick = Shape(width=8, length=8, epochs=1)
    fits = {name: reference_scores.FITS[name] for name in ("item mean", "popularity")}
    fits["SASRec"] = lambda data, window, seed: sasrec(data, window, seed, quick)
    monkeypatch.setattr(reference_scores, "FITS", fits)
    monkeypatch.setattr(adapter, "ADAPTERS", tmp_path / "adapters")
    return tmp_path


def card(**more):
    """The card of a run that learned nothing from the test."""
    fields = {
        **dict.fromkeys(("command", "key", "dataset_name", "dataset_licence"), "x"),
        **dict.fromkeys(("model_id", "model_name", "model_licence", "device"), "x"),
        **dict.fromkeys(("validation_examples", "weights", "steps", "planned_steps", "best_step"), 1),
        "settings": TuningSettings(history=2),
        "dataset_id": "x",
        "processes": 1,
        "versions": {},
        "learned": (),
        "train_until": 5.0,
        "validation_until": 6.0,
        "stop": "steps",
        "best": "last",
        "curve": (),
        "seconds": 1.0,
    }
    return Card.model_validate(fields | more)


@pytest.fixture
def tuned(small, tiny_llama):
    """Both shipped adapters for the tiny network, and a card that names two titles."""
    for seed, name in enumerate(adapter.SHIPPED):
        saved_adapter(tiny_llama, small / "adapters" / name, seed=seed)
    (small / "adapters" / "recicl" / "card.json").write_text(card().model_dump_json())
    return small


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("build/bench-cases-recicl/*.json")}


def test_a_run_that_is_cut_short_is_taken_up_again(bench, tuned, capsys):
    first = next(recicl.recicl(bench, 12))
    before = times(tuned)
    assert any("6 test interactions" in one.measure for one in first)
    found = list(recicl.recicl(bench, 12))
    assert found[0] == first
    after = times(tuned)
    assert {path: after[path] for path in before} == before
    assert len(after) > len(before)
    evaluation = read_evaluation(tuned / recicl.RESULT)
    assert (evaluation.interactions, evaluation.ranked, evaluation.history) == (12, 4, 2)
    assert set(evaluation.adapters) == {"tallrec", "recicl"}
    measures = [one.measure for one in found[-1]]
    assert len(set(measures)) == len(measures)
    assert f"AUC, {GAINS}" in measures
    speeds = [one for one in found[-1] if "time of a plain transformers and PEFT loop / ours" in one.measure]
    assert len(speeds) == 2
    assert all(one.value is not None and one.value > 0 and one.target == ">= 1.3" for one in speeds)
    tokens = [one.value for one in found[-1] if "tokens that the plain loop runs" in one.measure]
    assert all(value is not None and value > 2 for value in tokens)
    assert {row.way for row in evaluation.ways} >= {RECICL.name, "SASRec, fresh history"}
    assert {row.family for row in evaluation.ranking} == {"yes_no", "next_item", None}
    assert [(row.strategy, row.family, row.steps) for row in evaluation.steps] == [
        ("recent", "yes_no", 4),
        ("recent", "next_item", 4),
        ("neighbours", "yes_no", 4),
        ("neighbours", "next_item", 4),
    ]
    assert all(row.token_ratio.value < 1 for row in evaluation.steps)
    assert "RecICL, 8 demonstrations" in capsys.readouterr().out


def test_a_missing_adapter_leaves_its_rows_out_and_is_told(bench, small):
    *_, last = recicl.recicl(bench, 6)
    assert not any("RecICL" in one.measure or "TALLRec" in one.measure for one in last)
    evaluation = read_evaluation(small / recicl.RESULT)
    assert evaluation.adapters == {}
    absent = [notice.split(" is not measured")[0] for notice in evaluation.notices if " is not measured" in notice]
    assert absent == ["TALLRec-style", "RecICL"]
    assert {row.tuned for row in evaluation.ways} == {"base", None}
    assert {row.tuned for row in evaluation.steps} == {"base"}


def test_an_adapter_that_has_seen_the_test_is_not_measured(bench, tuned):
    seen = card(dataset_id=bench.dataset.dataset_id, validation_until=1_000_000.0)
    (tuned / "adapters" / "tallrec" / "card.json").write_text(seen.model_dump_json())
    with pytest.raises(SystemExit, match="TALLRec-style was tuned on interactions of the test"):
        recicl.plan_of(bench, 6)


def test_the_tokens_told_before_are_those_of_the_rounds(bench, small):
    plan = recicl.plan_of(bench, 6)
    found = evaluation_plan.EvaluationScores()
    found.add(plan, 0)
    assert plan.rounds == 1
    assert found.tokens == plan.tokens
