"""Part `lrgd`: figures from written records against formulas, and every measurement once on a tiny network."""

import copy
import dataclasses
import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
from references import language_model

from bench import case_list as cases
from bench.lrgd import costs, inference_rows, search_sets, utility_over_users
from bench.lrgd import lrgd_part as lrgd
from bench.lrgd.inference_rows import SETTINGS
from bench.lrgd.search_sets import OTHERS, OURS
from core.analysis.quality.utility_run import utility
from core.analysis.quality.utility_task import UtilityReport
from core.analysis.setting import setting_for
from core.analysis.values import all_masks
from core.data.dataset import open_dataset
from core.lm.scoring.score import Scorer
from core.question.case_spec import CaseSpec
from core.selection.improve import improve
from core.selection.improve_task import ImproveTask

# ---- the order of measuring


def test_every_measure_has_its_share_after_every_round():
    steps = lrgd.plan(40, lrgd.UTILITY_SHARE, lrgd.SWEEPS, lrgd.INFERENCE_SHARE)
    assert [sum(part == name for part, _ in steps) for name in ("utility", "sets", "inference", "sweep", "pool")] == [
        *(104, 40, 60, 5, 1)
    ]
    for part in ("utility", "inference"):
        assert [place for name, place in steps if name == part] == list(range(sum(name == part for name, _ in steps)))
    for rounds in (1, 7, 20):
        end = steps.index(("sets", rounds))
        done = [part for part, _ in steps[:end]]
        assert done.count("sets") == rounds
        assert abs(done.count("inference") - 1.5 * rounds) <= 0.5
        assert abs(done.count("utility") - 2.6 * (rounds + 1)) <= 0.5, "those of the next round come first in it"


def test_one_case_alone_measures_everything():
    parts = ["utility", "sets", "inference", "sweep", "pool"]
    assert [part for part, _ in lrgd.plan(1, 1.0, 2)] == parts
    assert list(dict.fromkeys(part for part, _ in lrgd.plan(1, 1.0, 2, lrgd.INFERENCE_SHARE))) == parts


# ---- two-stage sets


def searched(family, target, liked, ours, other, *, ids=("u:1",), best=1.0, zero=0.5, objective=None, p=0.2):
    scores = {OURS: ours} | dict.fromkeys(OTHERS, other)
    judged = [{"objective": value, "mean": value} for value in (best, zero)]
    return {
        "family": family,
        "objective": objective,
        "scores": scores,
        "target": target,
        "liked": liked,
        "demo_ids": list(ids),
        "best": judged[0],
        "zero_shot": judged[1],
        "stands": not liked,
        "confirmed": {"chance": {"gap": 0.1, "p": p}} if ids else {},
        "search_passes": 80.0 + target,
        "seconds": 2.0,
    }


def test_auc_of_a_case_counts_ties_half():
    assert search_sets.auc(searched("yes_no", 1, True, [0.0, 1.0, 1.0, 2.0], [0.0] * 4), OURS) == pytest.approx(0.5)
    assert search_sets.auc(searched("yes_no", 1, True, [0.0, 3.0, 1.0, 2.0], [0.0] * 4), OURS) == 1.0


def test_rows_compare_in_pairs_and_turn_the_sign_of_a_dislike():
    records = [
        searched("yes_no", 0, True, [2.0, 0.0, 1.0], [1.0, 2.0, 0.0]),
        searched("yes_no", 0, False, [-2.0, 0.0, 1.0], [1.0, 2.0, 0.0]),
        searched("next_item", 2, True, [0.0, 1.0, 2.0], [0.0, 2.0, 1.0], ids=()),
        searched("yes_no", 0, False, [-4.0, 0.0, 1.0], [1.0, 2.0, 0.0], objective="truth", p=0.05),
    ]
    rows = {one.measure: one for one in search_sets.rows_of(records)}
    truth = rows["yes_no, log-odds of the true answer, nats (2 cases), two-stage minus random 8"]
    assert (truth.value, truth.met) == (pytest.approx((1.0 + 3.0) / 2), None)
    truth = rows["yes_no, log-odds of the true answer, nats, set judged by the truth (1 cases), two-stage minus BM25 8"]
    assert (truth.value, truth.met) == (5.0, True)
    area = rows["yes_no, AUC of the target against items never met (2 cases), two-stage minus BM25 8"]
    assert (area.value, area.met) == (pytest.approx((1.0 + 0.0) / 2 - 0.5), False)
    assert rows["yes_no, AUC of a liked target against items never met (1 cases), two-stage set"].value == 1.0
    gained = rows["next_item, NDCG@10 (1 cases), two-stage minus zero-shot"]
    assert gained.value == pytest.approx(1 - 1 / np.log2(3))
    assert gained.low is None
    assert rows["yes_no, AUC of liked against disliked targets (2 cases), two-stage set"].value == 1.0
    assert rows["yes_no, AUC of liked against disliked targets (2 cases), two-stage minus zero-shot"].value == 0.5
    search = rows["two-stage search, pool of 200, K=16, most full-prompt forwards"]
    assert (search.value, search.low, search.met) == (82.0, 80.0, False)
    assert rows["cases whose own demonstrations stand, share"].value == pytest.approx(2 / 4)
    chance = rows["cases whose set is better than chance would choose (p <= 0.05), share"]
    assert chance.value == pytest.approx(1 / 4)
    assert rows["cases where no set is advised, share"].value == pytest.approx(1 / 4)
    assert rows["cases whose set is below zero-shot on the held-out choices, share"].met is True
    assert "next_item, NDCG@10" in search_sets.text_of(records)


def test_a_set_below_zero_shot_is_told():
    records = [searched("next_item", 0, True, [1.0, 0.0], [0.0, 1.0], best=0.4)]
    (row,) = (one for one in search_sets.rows_of(records) if "below zero-shot" in one.measure)
    assert (row.value, row.met) == (1.0, False)


def test_auc_over_cases_is_the_share_of_pairs_in_order():
    label = "yes_no, AUC of liked against disliked targets (4 cases), two-stage"
    cases = list(zip([3.0, 1.0, 1.0, 2.0], [True, False, True, False], strict=True))
    records = [searched("yes_no", 0, liked, [score, 0.0], [0.0, 0.0]) for score, liked in cases]
    rows = {row.measure: row for row in search_sets.rows_of(records)}
    row = rows[f"{label} set"]
    assert row.value == pytest.approx((1 + 1 + 0.5 + 0) / 4)
    assert row.low <= row.value <= row.high
    assert rows[f"{label} minus random 8"].value == pytest.approx(row.value - 0.5)
    one_answer = {row.measure: row for row in search_sets.rows_of([{**record, "liked": True} for record in records])}
    assert one_answer[f"{label} set"].value is None


# ---- inference


def inferred(flips, ndcg, *, family="yes_no", alone=False):
    """A record of two variants from flip rates and NDCG by setting: of all settings, or of those given `alone`.

    The settings not given are as bad as can be.
    """
    settings = SETTINGS[: len(flips)] if alone else SETTINGS
    filled = [*flips, *[1.0] * (len(settings) - len(flips))]
    worth = [*ndcg, *[0.0] * (len(settings) - len(ndcg))]
    return {
        "family": family,
        "settings": [one.name for one in settings],
        "flips": [[rate, rate] for rate in filled],
        "ndcg": [[value, value] for value in worth],
        "ndcg_before": worth,
    }


def test_a_family_takes_the_setting_that_its_first_cases_choose():
    helped, harmed = inferred([0.5, 0.25], [0.4, 0.5]), inferred([0.5, 0.25], [0.4, 0.3], family="next_item")
    tried = inference_rows.first_all(2)
    asked = {family: CaseSpec(family=family) for family in ("yes_no", "next_item")}
    assert tried(asked["yes_no"], [helped]) == SETTINGS
    assert tried(asked["yes_no"], [helped, harmed]) == SETTINGS[:2]
    assert tried(asked["next_item"], [helped, harmed]) == ()
    after = [helped, harmed, inferred([0.5, 1.0], [0.4, 0.0], alone=True)]
    assert tried(asked["yes_no"], after) == SETTINGS[:2], "what a setting does on the other cases chooses nothing"


def test_the_setting_chosen_on_some_cases_is_measured_on_the_others():
    first = [inferred([0.5, 0.25], [0.4, 0.5])] * 2
    others = [inferred([0.5, 0.75], [0.5, 0.25], alone=True), inferred([0.5, 0.75], [0.25, 0.5], alone=True)]
    rows = {one.measure: one for one in inference_rows.rows_of([*first, *others])}
    label = f"{SETTINGS[1].name} (chosen of {len(SETTINGS) - 1} on 2 other cases) minus plain (2 cases)"
    flips = rows[f"yes_no, top-1 flip rate, {label}"]
    assert (flips.value, flips.met) == (pytest.approx(0.25), False)
    ranked = rows[f"yes_no, NDCG@10 under the standard perturbations, {label}"]
    assert (ranked.value, ranked.met) == (0.0, True)
    assert rows["plain inference, top-1 flip rate under the standard perturbations"].value == pytest.approx(0.5)
    assert SETTINGS[1].name in inference_rows.text_of([*first, *others])
    given = [one.measure for one in inference_rows.rows_of(others)]
    assert any("chosen on the sample's cases" in one for one in given)
    assert inference_rows.text_of(others) == ""


@pytest.mark.parametrize("count", [1, 4])
def test_where_no_setting_helps_a_family_the_row_says_so(count):
    records = [inferred([0.5, 0.25], [0.4, 0.3]), inferred([0.5, 0.25], [0.4, 0.5], family="next_item")] * count
    (row,) = (one for one in inference_rows.rows_of(records) if "no setting" in one.measure)
    assert row.measure.startswith("yes_no")
    assert row.measure.endswith(f"({count} cases)")
    assert (row.value, row.met) == (None, False)


def test_the_plain_model_is_the_first_setting():
    assert [one.plain for one in SETTINGS].index(True) == 0
    assert sum(one.random for one in SETTINGS) == 2


# ---- costs


def test_costs_are_ratios():
    swept = {"variants": 60, "seconds": 2.0, "naive_seconds": 8.0, "tokens": 30, "naive_tokens": 100}
    time, tokens = costs.sweep_rows([swept, {**swept, "variants": 54, "seconds": 6.0}])
    assert (time.value, time.met) == (pytest.approx(0.5), True)
    assert tokens.value == pytest.approx(0.3)
    assert "54 for next_item" in time.measure
    pool = {"demos": 1000, "tokens": 121, "each_once": 100, "seconds": 1.0, "cosine_error": 0.01}
    ratio = costs.pool_rows([pool])[0]
    assert (ratio.measure, ratio.met) == (
        "label-free quality of a pool of 1,000, tokens run / encoding each once",
        False,
    )


# ---- on a tiny network


@pytest.fixture(scope="module")
def bench(tiny_llama, tiny_tokenizer, tmp_path_factory, store):
    """Nine users with 31 choices each among 40 items; u0 to u8, each meeting one earlier than the next does."""
    rows = (
        (f"u{user}", (5 * user + 3 * place) % 40, 5 - 3 * (place % 3 == 1), 10 * place + user)
        for user in range(9)
        for place in range(31)
    )
    folder = store(tmp_path_factory.mktemp("data") / "things", rows, items=40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEMOLENS_HOME", str(tmp_path_factory.mktemp("home")))
        dataset = open_dataset(folder)
        model = dataclasses.replace(language_model(copy.deepcopy(tiny_llama), tiny_tokenizer), context=4096)
        plain = copy.deepcopy(tiny_llama)
        patch.setattr(cases, "plain_network", lambda folder: plain)
        yield cases.Bench(model, dataset, 0)
        dataset.close()


def test_a_whole_run_and_going_on_after_it(bench, small, capsys):
    last, *_ = list(lrgd.lrgd(bench, 1))[::-1]
    text = capsys.readouterr().out
    assert "gain by deletion, proxy target" in text
    measures = [one.measure for one in last]
    assert len(set(measures)) == len(measures)
    for wanted in ("two-stage search", "rank correlation", "flip rate", "pool of 14", "robustness sweep of 10"):
        assert any(wanted in measure for measure in measures)
    before = {path: path.stat().st_mtime_ns for path in small.rglob("*.json")}
    assert len(before) == 6, "one of each part, and sets judged by the truth"
    assert list(lrgd.lrgd(bench, 1))[-1] == last
    assert {path: path.stat().st_mtime_ns for path in small.rglob("*.json")} == before


def test_sets_are_scored_as_the_search_scores_them(bench, small):
    (asked,) = search_sets.specs(bench, 1)
    task = ImproveTask(case=asked, k=2, pool=10, budget=8, held_out=2, confirm=2, negatives=3, shortlist=5)
    record = search_sets.search_and_score(bench, task)
    *_, report = improve(task, dataset=bench.dataset, model=bench.model)
    told = {one.which: one.score for one in report.outcomes}
    at = record["target"]
    assert record["scores"][OURS][at] == pytest.approx(told["best"], abs=1e-4)
    assert record["scores"]["zero-shot"][at] == pytest.approx(told["zero_shot"], abs=1e-4)
    assert record["scores"]["default"][at] == pytest.approx(told["current"], abs=1e-4)
    assert record["stands"] is (report.best.demo_ids == report.outcomes[1].demo_ids and report.current is not None)
    assert record["liked"] is (report.target_answer == "Yes")
    assert record["search_passes"] <= 8


def test_a_case_starts_from_what_was_chosen_for_its_data_and_family(bench, monkeypatch):
    spec = CaseSpec(user="u3", family="next_item", demos=4)
    assert search_sets.as_chosen(bench, spec) == spec
    chosen = SimpleNamespace(family="next_item", strategy="co_likes", demos=2, order="nearest_first", each=1)
    monkeypatch.setattr(search_sets, "kept_choice", lambda *named: chosen)
    expected = spec.model_copy(update={"strategy": "co_likes", "demos": 2, "order": "nearest_first"})
    assert search_sets.as_chosen(bench, spec) == expected
    other = spec.model_copy(update={"family": "yes_no"})
    assert search_sets.as_chosen(bench, other) == other
    assert all(change["demos"] == 8 for way, change in OTHERS.items() if "strategy" in change)


def test_utility_cases_take_turns_of_families_each_with_users_of_its_own(bench):
    made = list(utility_over_users.settings(bench))
    assert [one.spec.family for one in made[:3]] == ["yes_no", "next_item", "yes_no"]
    users = [user for user, _ in bench.ranked()]
    for family in cases.FAMILIES:
        own = [one.spec.user for one in made if one.spec.family == family]
        assert own == users[: len(own)]


def test_a_shipped_card_is_the_report_of_the_command_that_it_names(bench, monkeypatch):
    made = list(itertools.islice(utility_over_users.settings(bench), 5))
    records = [utility_over_users.measure_case(bench, one) for one in made]
    monkeypatch.setattr(utility_over_users, "LEAST_STORED", 2)
    for card in utility_over_users.cards(bench, records):
        *_, report = utility(card.task, dataset=bench.dataset, model=bench.model)
        assert UtilityReport.model_validate_json(card.model_dump_json()) == card
        for name in ("task", "family", "rows", "cases", "skipped", "stage", "tokens", "forwards", "notices"):
            assert getattr(card, name) == getattr(report, name)
        assert card.passes == pytest.approx(report.passes)
        assert card.provenance.command == report.provenance.command


def test_too_few_users_for_the_utility_check_end_the_run_with_a_sentence(bench, small, monkeypatch):
    monkeypatch.setattr(utility_over_users, "settings", lambda bench: iter([]))
    with pytest.raises(SystemExit, match="too few users"):
        list(lrgd.lrgd(bench, 1))


def test_utility_truths_are_those_of_deletion(bench):
    setting = setting_for(CaseSpec(user="u3", demos=3, candidates=4, history=2), bench.dataset, bench.model)
    record = utility_over_users.measure_case(bench, setting)
    table = Scorer(bench.model, setting.prompt).subsets(all_masks(3))
    at = setting.case.candidates.index(setting.case.target)
    expected = [table[7, at] - table[7 - (1 << k), at] for k in range(3)]
    assert record["truths"]["removal_score"] == pytest.approx(expected, abs=1e-4)
    json.dumps(record, allow_nan=False)
    numbers = utility_over_users.numbers_of(record)
    assert numbers.scores["length"].tolist() == [len(one.token_ids) for one in setting.prompt.demos]


def test_the_plain_setting_is_the_scorer_itself(bench, few_settings):
    asked = CaseSpec(user="u3", demos=3, candidates=4, history=3)
    record = inference_rows.measure_case(bench, asked, few_settings)
    setting = setting_for(asked, bench.dataset, bench.model)
    scores = Scorer(bench.model, setting.prompt).full()
    rank = 1 + int((scores > scores[setting.case.candidates.index(setting.case.target)]).sum())
    assert record["ndcg_before"][0] == pytest.approx(1 / np.log2(1 + rank))
    assert np.array(record["flips"]).shape == np.array(record["ndcg"]).shape == (len(few_settings), 12)


def test_a_pool_reaches_back_for_what_the_latest_of_others_lack(bench):
    setting = setting_for(CaseSpec(user="u3", demos=0, candidates=4), bench.dataset, bench.model)
    found = costs.latest_of_others(setting, 20)
    assert len({one.demo_id for one in found}) == 20
    assert "u3" not in {one.user_id for one in found}
    pool = costs.time_pool(bench, setting.spec, 6)
    assert pool["tokens"] == pool["each_once"] - 5 * len(setting.prompt.instruction.token_ids)
