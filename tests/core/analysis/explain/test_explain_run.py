"""The whole way from a request to an explanation, on a tiny model and a small data set, and on the sample."""

from __future__ import annotations

import copy
from dataclasses import asdict, replace
from typing import Any, get_args

import numpy as np
import pytest
from explained_planets import PLANETS, last, small
from questions import explain_task

from core.analysis.explain.explain_run import content_key, explain
from core.analysis.explain.explain_task import Explain
from core.analysis.explain.explanation import Explanation
from core.analysis.explain.methods import Method
from core.analysis.setting import set_up
from core.cli.explanation_lines import explanation_lines
from core.data.dataset import Dataset
from core.errors import Cancelled, DemoLensError, RequestError
from core.lm.loading.load import LanguageModel
from core.lm.loading.self_check import proven
from core.metrics.ranking import ranks
from core.question.command_line import command_line, task_of
from core.question.targets import EXPLAINED, Explained


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
def test_an_explanation_grows_from_scores_to_complete(planets: Dataset, model: LanguageModel, family: Any) -> None:
    stages = list(explain(small(family=family), dataset=planets, model=model))
    assert [stages[0].stage, stages[1].stage, stages[-1].stage] == ["scores", "first", "complete"]
    assert stages[0].contributions is None
    assert stages[1].contributions is not None
    effects = stages[-1].list_effects
    assert effects is not None
    assert [len(row) for row in effects.effects] == [5, 5, 5]
    assert effects.measured_without() is not None


def test_what_was_measured_of_the_model_at_load_goes_with_its_numbers(planets: Dataset, model: LanguageModel) -> None:
    assert last(small(), planets, model).provenance.proof is None
    proof = proven(copy.deepcopy(model.network), where="tiny")
    record = last(small(), planets, replace(model, proof=proof)).provenance.proof
    assert record is not None
    assert record.model_dump() == asdict(proof)


def test_the_target_is_the_item_really_chosen_next(planets: Dataset, model: LanguageModel) -> None:
    done = last(small(), planets, model)
    assert done.target_index is not None
    assert done.candidates[done.target_index].item_id == "7"
    assert [row.item_id for row in done.history] == ["0", "1", "2", "3", "4", "5", "6"]
    assert [row.demo_id for row in done.demos] == ["u:4", "u:5", "u:6"]
    assert sorted(row.rank or 0 for row in done.candidates) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
@pytest.mark.parametrize("ids", [("10", "7", "9", "11"), ("9", "11", "10", "7")])
def test_equal_titles_share_a_place_whatever_the_order_of_the_list(
    planets_of: Any, model: LanguageModel, family: Any, ids: tuple[str, ...]
) -> None:
    titles = [*PLANETS[:9], "Ceres", "Ceres", "Ceres"]
    with planets_of({"u": 0, "v": 3, "w": 6}, titles) as dataset:
        done = last(small(family=family, candidate_ids=ids), dataset, model)
    rows = {row.item_id: row for row in done.candidates}
    alike = [rows[item] for item in ("9", "10", "11")]
    assert len({row.score for row in alike}) == len({row.zero_shot_score for row in alike}) == 1
    assert {row.rank for row in alike} == ({2} if rows["7"].rank == 4 else {3})
    assert rows["7"].rank in (1, 4)
    assert done.list_effects is not None
    for prompt in done.list_effects.measured:
        assert sorted(prompt.ranks) in ([1, 3, 3, 3], [2, 2, 2, 4])
    assert any(notice.startswith("3 of 4 candidates have exactly the score of another one") for notice in done.notices)
    listed = [line.split()[0] for line in explanation_lines(done) if "Ceres" in line][:3]
    assert listed == [f"{alike[0].rank}"] * 3


def test_calibrated_ranks_without_a_demonstration_are_calibrated_too(planets: Dataset, model: LanguageModel) -> None:
    done = last(small(family="next_item", scoring="calibrated"), planets, model)
    effects = done.list_effects
    assert effects is not None
    whole = effects.measured_without()
    assert whole is not None
    np.testing.assert_allclose(whole.scores, [row.score for row in done.candidates], atol=1e-6)
    assert whole.ranks == tuple(row.rank for row in done.candidates)
    for prompt in effects.measured:
        assert prompt.ranks == ranks(np.array(prompt.scores))
    for demo in range(3):
        single = effects.measured_without(demo)
        assert single is not None, "three removals are measured"
        np.testing.assert_allclose(effects.without.value[demo], single.ranks, atol=0.2)


@pytest.mark.parametrize("method", get_args(Method))
def test_every_method_gives_the_same_kind_of_answer(planets: Dataset, model: LanguageModel, method: Method) -> None:
    done = last(small(method=method), planets, model)
    answer = done.contributions
    assert answer is not None
    assert answer.method == method
    assert len(answer.values) == 3
    assert answer.zero_shot + sum(answer.values) + answer.residual == pytest.approx(answer.few_shot, abs=1e-9)
    assert answer.forwards >= 1
    assert answer.passes > 0
    if answer.low is not None and answer.high is not None:
        assert all(
            low <= value <= high for low, value, high in zip(answer.low, answer.values, answer.high, strict=True)
        )


def test_small_sets_are_read_exactly_by_the_default(planets: Dataset, model: LanguageModel) -> None:
    """With three demonstrations every subset fits the budget, so the default is the Banzhaf value."""
    from core.analysis.explain.ablation import banzhaf_of_table
    from core.analysis.values import all_masks
    from core.lm.scoring.score import Scorer

    request = small(budget=50.0)
    done = last(request, planets, model)
    setting = set_up(request, planets, model)
    table = Scorer(model, setting.prompt).subsets(all_masks(3))
    assert done.contributions is not None
    margins = table @ EXPLAINED["field"].weights(5, setting.targets[0])
    np.testing.assert_allclose(done.contributions.values, banzhaf_of_table(margins, 3), atol=2e-3)


@pytest.mark.parametrize("explain", get_args(Explained))
def test_contributions_are_the_effects_of_the_list_on_what_is_explained(
    planets: Dataset, model: LanguageModel, explain: Explained
) -> None:
    done = last(small(explain=explain, against="9" if explain == "pair" else None), planets, model)
    shares, effects = done.contributions, done.list_effects
    assert shares is not None
    assert effects is not None
    assert shares.target.explain == explain
    ids = [row.item_id for row in done.candidates]
    against = None if shares.target.against_id is None else ids.index(shares.target.against_id)
    weights = EXPLAINED[explain].weights(5, ids.index("7"), against)
    whole, empty = effects.measured_without(), effects.measured_without(0, 1, 2)
    assert whole is not None
    assert empty is not None
    estimates = effects.belief.on(weights)
    np.testing.assert_allclose(shares.values, estimates.value, atol=1e-9)
    np.testing.assert_allclose([shares.low, shares.high], [estimates.low, estimates.high], atol=1e-9)
    assert shares.few_shot == pytest.approx(np.array(whole.scores) @ weights, abs=1e-6)
    assert shares.zero_shot == pytest.approx(np.array(empty.scores) @ weights, abs=1e-6)


def test_a_pair_names_its_second_candidate(planets: Dataset, model: LanguageModel) -> None:
    assert small(against="1").explained == "pair"
    with pytest.raises(RequestError, match="name it as against"):
        task_of(Explain, {"explain": "pair"}, "explain")


def test_faithfulness_is_measured_when_asked_for(planets: Dataset, model: LanguageModel) -> None:
    done = last(small(faithfulness=12), planets, model)
    assert done.faithfulness is not None
    assert done.faithfulness.ablations == 12
    assert done.faithfulness.lds is None or -1 <= done.faithfulness.lds <= 1


def test_spans_hold_every_token_and_their_text(planets: Dataset, model: LanguageModel) -> None:
    done = last(small(chat=True), planets, model)
    assert [span.kind for span in done.prompt.spans] == ["instruction", "demo", "demo", "demo", "query", "candidate"]
    for span in done.prompt.spans:
        assert len(span.tokens) == len(span.token_ids)
        assert "".join(span.tokens) == span.text


def test_equal_requests_have_equal_numbers_and_keys(planets: Dataset, model: LanguageModel) -> None:
    one, other = (last(small(), planets, model) for _ in range(2))
    assert one.key == other.key
    assert one.contributions is not None
    assert other.contributions is not None
    assert one.contributions.values == other.contributions.values
    assert [row.score for row in one.candidates] == [row.score for row in other.candidates]


def test_an_explanation_survives_json(planets: Dataset, model: LanguageModel) -> None:
    done = last(small(), planets, model)
    assert Explanation.model_validate_json(done.model_dump_json()) == done


def test_no_demonstrations_and_an_empty_history_are_answers_too(planets: Dataset, model: LanguageModel) -> None:
    done = last(small(demos=0, history=0), planets, model)
    assert done.stage == "complete"
    assert done.contributions is None
    assert any("no demonstrations" in notice for notice in done.notices)
    assert all(row.score == pytest.approx(row.zero_shot_score) for row in done.candidates)


def test_one_demonstration_takes_the_whole_change(planets: Dataset, model: LanguageModel) -> None:
    answer = last(small(demos=1), planets, model).contributions
    assert answer is not None
    assert answer.values[0] == pytest.approx(answer.few_shot - answer.zero_shot, abs=1e-3)


def test_a_calibrated_score_shifts_candidates_and_no_contribution(planets: Dataset, model: LanguageModel) -> None:
    plain = last(small(family="next_item"), planets, model)
    calibrated = last(small(family="next_item", scoring="calibrated"), planets, model)
    shifts = [(a.score or 0) - (b.score or 0) for a, b in zip(plain.candidates, calibrated.candidates, strict=True)]
    zero = [
        (a.zero_shot_score or 0) - (b.zero_shot_score or 0)
        for a, b in zip(plain.candidates, calibrated.candidates, strict=True)
    ]
    np.testing.assert_allclose(shifts, zero, atol=1e-9)
    assert plain.contributions is not None
    assert calibrated.contributions is not None
    np.testing.assert_allclose(plain.contributions.values, calibrated.contributions.values, atol=1e-6)


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"target": "99"}, "target: item '99'; expected one of this case's candidates"),
        ({"target": "7", "against": "99"}, "against: item '99'"),
        ({"against": "7"}, "margin of a candidate over itself"),
        ({"user": "nobody"}, "nobody"),
        ({"demo_ids": ("u:99",)}, "u:99"),
        ({"candidate_ids": ("1", "1")}, "1"),
        ({"method": "shapley", "demos": 9, "strategy": "recent", "user": "u"}, None),
    ],
)
def test_wrong_choices_are_one_sentence(
    planets: Dataset, model: LanguageModel, choices: dict[str, Any], sentence: str | None
) -> None:
    if sentence is None:
        assert last(small(**choices), planets, model).contributions is not None, "only seven demonstrations exist"
        return
    with pytest.raises(DemoLensError, match=sentence):
        last(small(**choices), planets, model)


def test_cancelling_ends_the_work_between_passes(planets: Dataset, model: LanguageModel) -> None:
    told: list[tuple[str, float]] = []

    def stop(label: str, fraction: float) -> None:
        told.append((label, fraction))
        if len(told) == 4:
            raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        list(explain(small(), dataset=planets, model=model, progress=stop))
    assert len(told) == 4
    assert all(0 <= fraction < 1 for _, fraction in told)


def test_an_unknown_choice_names_the_known_ones() -> None:
    with pytest.raises(
        RequestError, match=r"explain: an unknown choice 'colour'; expected one of cases, case, dataset, user"
    ):
        task_of(Explain, {"colour": "red"}, "explain")


def test_the_command_line_writes_only_what_differs() -> None:
    assert command_line(Explain()) == "demolens explain"
    written = command_line(task_of(Explain, {"user": "7", "demo_ids": ("a,b:1", "c:2"), "explain": "score"}))
    assert written == """demolens explain --user 7 --demo-ids '"a,b:1"' --demo-ids c:2 --explain score"""


def test_the_content_key_changes_with_data_model_and_choices() -> None:
    keys = {
        content_key(explain_task(), dataset_id="a", model_id="b"),
        content_key(explain_task(), dataset_id="a", model_id="c"),
        content_key(explain_task(), dataset_id="c", model_id="b"),
        content_key(explain_task(user="13"), dataset_id="a", model_id="b"),
    }
    assert len(keys) == 4
