"""Other words of the prompt beside other demonstrations: by hand, and against one pass per prompt of a tiny model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.analysis.robustness.robustness_run import robustness
from core.analysis.robustness.robustness_task import RewritingRow, RobustnessReport, RobustnessTask
from core.analysis.robustness.sensitivity import (
    Rewriting,
    RewritingScores,
    rewriting_rows,
    rewritings,
    sensitivity_rows,
)
from core.analysis.robustness.sensitivity_words import sensitivity_sentence
from core.analysis.setting import Setting, set_up
from core.cli.report_lines import robustness_lines
from core.data.dataset import Dataset, open_dataset
from core.errors import RequestError
from core.lm.loading.load import LanguageModel
from core.lm.scoring.score import Scorer
from core.metrics.ranking import ranks
from core.prompt.codes import Codes
from core.question.command_line import task_of

UNSET: Any = None


def rewriting(source: Any, name: str = "x") -> Rewriting:
    return Rewriting(source, name, f"words of {name}", UNSET, ())


SCORES = RewritingScores(
    (rewriting("unchanged"), rewriting("wording", "a"), rewriting("wording", "b"), rewriting("demonstrations")),
    np.array([[3.0, 2.0, 1.0], [2.0, 3.0, 1.0], [3.0, 1.0, 2.0], [0.0, 4.0, 5.0]]),
    np.array([[1.0, 1.0, 1.0], [1.0, 2.0, 1.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]),
    cut=False,
)
"""Three candidates; the target is the first."""


def test_places_and_effects_by_hand() -> None:
    rows = rewriting_rows(SCORES, 0, None)
    assert [row.place for row in rows] == [1, 2, 1, 3]
    assert [row.place_change for row in rows] == [0, 1, 0, 2]
    assert [row.order_change for row in rows] == pytest.approx([0, 2 / 3, 2 / 3, 4 / 3])
    margins = [3 - 1.5, 2 - 2, 3 - 1.5, 0 - 4.5]
    bare = [0, 1 - 1.5, 0, 0]
    effects = [whole - without for whole, without in zip(margins, bare, strict=True)]
    assert [row.effect for row in rows] == pytest.approx(effects)
    assert [row.effect_change for row in rows] == pytest.approx([effect - effects[0] for effect in effects])
    assert [row.flips for row in rows] == [False, True, False, True]
    assert [row.words for row in rows[1:3]] == ["words of a", "words of b"]


def test_a_margin_over_a_named_candidate() -> None:
    rows = rewriting_rows(SCORES, 0, 2)
    assert [row.effect for row in rows] == pytest.approx([3 - 1, 2 - 1, 3 - 2, 0 - 5])


def test_what_is_added_to_every_score_is_no_effect() -> None:
    """A prompt that makes all titles likelier moves no item against the others."""
    assert SCORES.bare is not None
    lifted = replace(SCORES, scores=SCORES.scores + 7, bare=SCORES.bare - 3)
    assert [row.effect for row in rewriting_rows(lifted, 0, None)] == pytest.approx(
        [row.effect for row in rewriting_rows(SCORES, 0, None)]
    )


def test_without_a_target_or_demonstrations_places_of_all_candidates_remain() -> None:
    for scores, target in ((SCORES, None), (replace(SCORES, bare=None), 0)):
        rows = rewriting_rows(scores, target, None)
        assert all(row.effect is None and row.effect_change is None for row in rows)
        assert [row.order_change for row in rows] == pytest.approx([0, 2 / 3, 2 / 3, 4 / 3])
        assert all((row.place is None) == (target is None) for row in rows)


def changed(source: Any, place: float | None, effect: float | None, order: float = 1.0) -> RewritingRow:
    return RewritingRow(
        source=source,
        name="x",
        words="x",
        place=None if place is None else 5 + place,
        place_change=place,
        order_change=order,
        effect=effect,
        effect_change=effect,
        flips=False,
    )


ROWS = (
    changed("unchanged", 0, 0.0, 0.0),
    *(changed("wording", place, effect) for place, effect in ((1, 0.1), (-1, -0.3), (0, 0.2))),
    *(changed("demonstrations", place, effect, 3.0) for place, effect in ((-4, 1.0), (6, -1.0), (5, 1.0))),
)


def test_means_are_over_sizes_and_the_difference_is_words_less_demonstrations() -> None:
    words, sets, apart = sensitivity_rows(ROWS, seed=0)
    assert [row.source for row in (words, sets, apart)] == ["wording", "demonstrations", "difference"]
    assert [row.count for row in (words, sets, apart)] == [3, 3, 6]
    for row, place, order, effect in ((words, 2 / 3, 1, 0.2), (sets, 5, 3, 1), (apart, 2 / 3 - 5, -2, -0.8)):
        assert row.place is not None
        assert row.effect is not None
        assert (row.place.mean, row.order.mean, row.effect.mean) == pytest.approx((place, order, effect))
        assert row.place.low is not None
        assert row.place.high is not None
        assert row.place.low <= row.place.mean <= row.place.high
    assert apart.place is not None
    assert apart.place.high is not None
    assert apart.place.high <= 1 - 4, "no sample of the words moves it further than any of the sets"
    assert sensitivity_rows(ROWS, seed=0) == (words, sets, apart)


def test_what_is_missing_is_left_out() -> None:
    assert sensitivity_rows(ROWS[:1], seed=0) == ()
    (words,) = sensitivity_rows(ROWS[:4], seed=0)
    assert words.source == "wording"
    words, _, apart = sensitivity_rows([ROWS[0], changed("wording", 1, None), *ROWS[4:]], seed=0)
    assert (words.effect, apart.effect) == (None, None)
    assert words.place is not None
    assert (words.place.low, words.place.high) == (None, None), "a single prompt tells nothing about others"
    assert apart.place is not None
    assert (apart.place.mean, apart.place.low) == (1 - 5, None)


# ---- a tiny model


@pytest.fixture(scope="module")
def moons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    """Ten users over sixteen items of three kinds, six each; user 0 met the last one after everybody's fourth."""
    folder = tmp_path_factory.mktemp("data") / "moons"
    folder.mkdir()
    rows = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    for user in range(10):
        rows += [f"{user}\t{(3 * place + user) % 16}\t5\t{10 * place + user}" for place in range(6)]
    (folder / "moons.inter").write_text("\n".join(rows) + "\n")
    items = ["item_id:token\tmoon_title:token_seq\tclass:token_seq"]
    items += [
        f"{number}\tMoon {'abcdefghijklmnop'[number]}\t{('ice', 'rock', 'gas')[number % 3]}" for number in range(16)
    ]
    (folder / "moons.item").write_text("\n".join(items) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEMOLENS_HOME", str(tmp_path_factory.mktemp("home")))
        dataset = open_dataset(str(folder))
        yield dataset
        dataset.close()


def asked(**choices: Any) -> RobustnessTask:
    flat = {"user": "0", "demos": 3, "candidates": 4, "history": 3, "kinds": ("typos",), "repeats": 1, **choices}
    return task_of(RobustnessTask, flat | {"strengths": (0.5,)})


Answer = Callable[..., RobustnessReport]


@pytest.fixture(scope="module")
def answer(moons: Dataset, model: LanguageModel) -> Answer:
    def run(**choices: Any) -> RobustnessReport:
        return list(robustness(asked(**choices), dataset=moons, model=model))[-1]

    return run


@pytest.mark.parametrize("choices", [{}, {"family": "next_item"}, {"family": "next_item", "scoring": "calibrated"}])
def test_every_rewriting_has_the_scores_of_its_own_prompt(
    answer: Answer, moons: Dataset, model: LanguageModel, choices: dict[str, Any]
) -> None:
    """Held against settings of their own, one pass per prompt."""

    def scores(**more: Any) -> np.ndarray[Any, Any]:
        setting = set_up(asked(**choices, **more), moons, model)
        plain = Scorer(model, setting.prompt).full()
        if "scoring" not in choices:
            return plain
        free = setting.write(setting.case, (), history=0)
        return plain - Scorer(model, free).full()

    report = answer(**choices)
    setting = set_up(asked(**choices), moons, model)
    target = setting.case.candidates.index(str(setting.case.target))

    def margin(row: np.ndarray[Any, Any]) -> float:
        return float(row[target] - (row.sum() - row[target]) / 3)

    unchanged = report.rewritings[0]
    assert [row.source for row in report.rewritings] == ["unchanged", *["wording"] * 5, *["demonstrations"] * 5]
    assert (unchanged.name, unchanged.place_change, unchanged.effect_change) == ("plain", 0, 0)
    sets = [each.demos for each in rewritings(setting) if each.source == "demonstrations"]
    names = [",".join(demo.demo_id for demo in demos) for demos in sets]
    for row in report.rewritings:
        if row.source == "demonstrations":
            more = {"demo_ids": tuple(names[int(row.name.split()[1]) - 1].split(","))}
            bare = {"demos": 0}
        else:
            more, bare = {"wording": row.name}, {"wording": row.name, "demos": 0}
        whole, without = scores(**more), scores(**bare)
        assert row.place == ranks(whole)[target]
        assert row.effect == pytest.approx(margin(whole) - margin(without), abs=1e-4)
    assert report.sensitivity == sensitivity_rows(report.rewritings, seed=("0", 0))


def test_sets_are_as_large_differ_and_hold_what_others_did_before(moons: Dataset, model: LanguageModel) -> None:
    setting: Setting = set_up(asked(), moons, model)
    made = [each for each in rewritings(setting) if each.source == "demonstrations"]
    assert len(made) == len({frozenset(demo.demo_id for demo in each.demos) for each in made}) == 5
    assert setting.case.moment is not None
    for each in made:
        assert len(each.demos) == 3
        for demo in each.demos:
            assert demo.user_id != setting.case.user_id
            moment = moons.history(demo.user_id)[demo.position].timestamp
            assert moment is not None
            assert moment < setting.case.moment
        assert each.setting.spec == setting.spec
        assert len(each.prompt().demos) == 3
    assert [each.demos for each in rewritings(setting) if each.source == "demonstrations"] == [e.demos for e in made]


def test_sets_and_words_are_equal_for_another_target(moons: Dataset, model: LanguageModel) -> None:
    """Neither who is compared with nor any word in front of the candidates knows what was chosen next."""
    setting = replace(set_up(asked(), moons, model), items={item.item_id: item for item in moons.all_items()})
    other = replace(setting, case=replace(setting.case, target="15", candidates=("15", "14")))
    for first, second in zip(rewritings(setting), rewritings(other), strict=True):
        assert first.prompt().prefix == second.prompt().prefix


def test_the_case_in_other_words_is_held_beside_its_own(answer: Answer) -> None:
    report = answer(wording="implicit")
    assert [row.name for row in report.rewritings if row.source != "demonstrations"] == [
        "implicit",
        "plain",
        "explicit_vague",
        "explicit_specific",
        "implicit_vague",
        "implicit_specific",
    ]
    assert "specific" not in [row.name for row in report.rewritings], "it leaves out the titles of the history"
    every = answer(wording="specific", repeats=2)
    assert len([row for row in every.rewritings if row.source == "wording"]) == 6


def test_without_demonstrations_there_are_words_alone(answer: Answer) -> None:
    report = answer(demos=0)
    assert [row.source for row in report.sensitivity] == ["wording"]
    assert report.sensitivity[0].effect is None
    assert any("holds no demonstration, so other words cannot" in notice for notice in report.notices)
    assert "demonstration" not in sensitivity_sentence(report)


def test_too_few_other_users_are_said(planets: Dataset, model: LanguageModel) -> None:
    task = asked(user="u", demos=4, history=4)
    report = list(robustness(task, dataset=planets, model=model))[-1]
    assert {row.source for row in report.rewritings} == {"unchanged", "wording"}
    assert "Other users have no other set of 4 demonstrations before this moment to hold beside." in report.notices


def test_a_model_that_reads_codes_has_no_other_words(moons: Dataset, model: LanguageModel) -> None:
    reading = replace(model, codes=Codes({"0": "1.2.3.4"}, {}, moons.dataset_id))
    report = list(robustness(asked(), dataset=moons, model=reading))[-1]
    assert {row.source for row in report.rewritings} == {"unchanged", "demonstrations"}
    assert any("which no other wording has" in notice for notice in report.notices)
    with pytest.raises(RequestError, match="wording implicit for a model that was tuned to read codes"):
        set_up(asked(wording="implicit"), moons, reading)


def test_a_cut_prompt_is_said(moons: Dataset, model: LanguageModel) -> None:
    setting = set_up(asked(), moons, model)
    tight = replace(model, context=setting.prompt.length)
    report = list(robustness(asked(), dataset=moons, model=tight))[-1]
    assert "Some prompts in other words or with other demonstrations are cut to fit the model." in report.notices
    assert report.tokens <= setting.prompt.length


def test_the_cost_is_counted_and_said_before(answer: Answer) -> None:
    report, without = answer(), answer(sensitivity=False)
    assert (without.sensitivity, without.rewritings) == ((), ())
    assert report.variants == without.variants
    assert report.forwards == without.forwards + 11 + 6, "every prompt whole, every wording without demonstrations"
    assert report.separate_tokens > without.separate_tokens
    assert report.passes > without.passes + 10, "ten of them are whole prompts that share next to nothing"
    assert asked().predicted_passes > asked(sensitivity=False).predicted_passes + 10
    assert asked(quick=True).predicted_passes == asked(quick=True, sensitivity=False).predicted_passes
    assert not answer(quick=True).sensitivity


def test_the_report_survives_json_and_a_terminal_reads_the_sentence(answer: Answer) -> None:
    report = answer()
    assert RobustnessReport.model_validate_json(report.model_dump_json()) == report
    lines = robustness_lines(report)
    assert sensitivity_sentence(report) in lines
    assert "Sensitivity (3)" in lines
    assert "Rewritings (11)" in lines


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-3.0, -1.0, "the demonstrations move it further"),
        (1.0, 3.0, "the words move it further"),
        (-1.0, 1.0, "which moves it further cannot be told from 6 prompts"),
        (0.0, 1.0, "which moves it further cannot be told from 6 prompts"),
        (None, None, "which moves it further cannot be told from 6 prompts"),
    ],
)
def test_the_sentence_says_which_is_larger_where_the_interval_does(
    answer: Answer, low: float | None, high: float | None, verdict: str
) -> None:
    words, sets, apart = sensitivity_rows(ROWS, seed=0)
    assert apart.place is not None
    place = apart.place.model_copy(update={"low": low, "high": high})
    rows = (words, sets, apart.model_copy(update={"place": place}))
    report = answer(sensitivity=False).model_copy(update={"sensitivity": rows})
    assert sensitivity_sentence(report) == (
        f"On average other words move the target by 0.7 places and other demonstrations by 5.0 places; {verdict}. "
        "The effect of the demonstrations changes by 0.20 nats with other words and by 1.00 nats with other "
        "demonstrations."
    )
    assert sensitivity_sentence(answer(sensitivity=False)) == ""


def test_without_a_target_the_sentence_is_about_candidates(answer: Answer) -> None:
    report = answer(candidate_ids=("14", "9", "11"))
    assert report.target is None
    assert math.isfinite(report.sensitivity[0].order.mean)
    assert "On average other words move a candidate by" in sensitivity_sentence(report)
