"""The fit of popularity's weight on validation lists, and its place among the defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import choices
import numpy as np
import pytest

from core.analysis.setting import setting_for
from core.cli import command
from core.comparison.arm import Arm
from core.comparison.blend_fit import BlendFit
from core.comparison.blend_settings import BlendSettings
from core.comparison.blending import GRID, blend, fit_of
from core.comparison.compared_lists import validation_lists
from core.comparison.comparison import blend_lists, popularity
from core.comparison.default_choices import default_choices, sentence_of, stated_prior, without_explicit
from core.comparison.kept_choice import Choice, kept_choice, with_fitted_blend
from core.comparison.list_outcomes import ListOutcomes
from core.data.dataset import Dataset
from core.lm.loading.load import LanguageModel
from core.lm.scoring.score import Scorer
from core.metrics.blend import BlendLists
from core.metrics.ranking import expected_ndcg
from core.question.case_spec import CaseSpec

QUICK: dict[str, Any] = {"lists": 6, "candidates": 3, "share": 0.9, "device": "cpu"}


def planted(lists: int = 300) -> BlendLists:
    random = np.random.default_rng(2)
    scores, popular = random.normal(size=(lists, 6)), np.log1p(random.integers(0, 60, (lists, 6)))
    chosen = (scores + 1.5 * popular + random.gumbel(size=scores.shape)).argmax(axis=1)
    return BlendLists(tuple(scores), tuple(popular), tuple(chosen.tolist()), tuple(f"u{n}" for n in range(lists)))


def fit(weight: float = 1.5) -> BlendFit:
    return fit_of(planted(), seed=0, command="demolens blend").model_copy(update={"weight": weight})


def test_the_figures_are_paired_and_the_weight_is_kept_where_it_surely_helps() -> None:
    lists = planted()
    measured = fit_of(lists, seed=0, command="c")
    assert measured.weight == measured.fitted == pytest.approx(1.5, abs=0.4)
    assert measured.model.value == pytest.approx(lists.ndcg(0.0).mean())
    assert measured.popularity.value == pytest.approx(lists.ndcg_of_popularity().mean())
    assert measured.over_model.value == pytest.approx((measured.blend.value or 0) - (measured.model.value or 0))
    assert measured.over_popularity.value == pytest.approx(
        (measured.blend.value or 0) - (measured.popularity.value or 0)
    )
    assert (measured.over_model.low or 0) > 0
    assert [point.weight for point in measured.grid] == list(GRID)
    assert measured.grid[3].ndcg == pytest.approx(lists.ndcg(1.0).mean())
    assert "Popularity has weight" in measured.sentence
    no_help = BlendLists(lists.popularity, tuple(np.zeros(6) for _ in range(300)), lists.targets, lists.users)
    without = fit_of(no_help, seed=0, command="c")
    assert (without.weight, without.over_model.value) == (0.0, 0.0)
    assert "Popularity is left out" in without.sentence


def test_the_lists_are_those_of_the_choice_and_the_scores_those_of_a_page(
    watched: Dataset, llama: LanguageModel
) -> None:
    lists = validation_lists(watched, count=4, candidates=3, history=5, share=0.9)
    arm = Arm(family="yes_no", strategy="recent", demos=2)
    outcomes = ListOutcomes(watched, {None: llama}, 5)
    outcomes.measure([arm], lists)
    numbers = blend_lists(outcomes, arm, "sum", lists)
    np.testing.assert_allclose(numbers.ndcg_of_popularity(), popularity(watched, lists))
    for row, case in enumerate(lists):
        spec = CaseSpec(family="yes_no", strategy="recent", demos=2, prior=1.5)
        setting = setting_for(
            spec.model_copy(update={"user": case.user_id, "candidate_ids": case.candidates}), watched, llama
        )
        prompt = setting.write(case, outcomes._picked(arm, spec, case))
        scores = Scorer(llama, prompt).full()
        np.testing.assert_allclose(numbers.scores[row] + 1.5 * numbers.popularity[row], scores, atol=1e-5)
        assert numbers.ndcg(1.5)[row] == pytest.approx(expected_ndcg(scores, numbers.targets[row]))


def test_a_kept_choice_gets_the_weight_and_another_set_is_named(watched: Dataset, llama: LanguageModel) -> None:
    kept = choices.choice(most=1)
    again = blend(BlendSettings(**QUICK), watched, llama, kept)
    assert again.blend is not None
    assert again.model_copy(update={"blend": None}) == kept
    named = blend(BlendSettings(family="yes_no", strategy="recent", demos=2, **QUICK), watched, llama, kept)
    assert (named.raced, named.family, named.demos, named.scoring) == (False, "yes_no", 2, "sum")
    assert [row.demos for row in named.rows] == [0, 2]
    assert named.sentence.startswith("Named by a person: 2 demonstrations")
    assert Choice.model_validate_json(named.model_dump_json()) == named


def test_another_race_keeps_the_weight_of_the_same_demonstrations() -> None:
    kept = choices.choice().model_copy(update={"blend": fit()})
    assert with_fitted_blend(choices.choice(created="later"), kept).prior == 1.5
    assert with_fitted_blend(choices.choice(most=1), kept).blend is None
    assert with_fitted_blend(choices.choice(), None) == choices.choice()


def test_the_weight_is_a_default_and_explicit_ones_win() -> None:
    kept = choices.choice().model_copy(update={"blend": fit()})
    assert default_choices(kept)["prior"] == 1.5
    assert default_choices(kept, 9.0)["prior"] == 1.5  # What was fitted for these data comes before a card.
    assert default_choices(choices.choice(), 9.0)["prior"] == default_choices(None, 9.0)["prior"] == 9.0
    assert "prior" not in without_explicit(kept, {"prior": "0"})
    assert without_explicit(None, {}, 2.0) == {"prior": 2.0}
    assert without_explicit(None, {}) == {}
    case = CaseSpec(adapter="mine")
    assert "Popularity has weight 1.5: NDCG@10" in sentence_of(kept, case, 9.0)
    assert sentence_of(None, case, 9.0).startswith("Popularity has weight 9, as the card of mine states.")
    assert stated_prior(None) == stated_prior("/no/such/folder") == stated_prior("recicl") == 0.0


def test_a_card_states_a_weight(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[3] / "assets" / "adapters" / "recicl" / "card.json"
    text = shipped.read_text()
    (tmp_path / "card.json").write_text(text.replace('"format": 1,', '"format": 1, "prior": 1.25,', 1))
    assert stated_prior(str(tmp_path)) == 1.25
    (tmp_path / "card.json").write_text(text.replace('"format": 1,', '"format": 1, "prior": -3,', 1))
    assert stated_prior(str(tmp_path)) == 0.0


def test_the_command_keeps_the_weight(
    watched_folder: Path,
    watched: Dataset,
    llama_folder: Path,
    comparison_home: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = ["blend", "--dataset", str(watched_folder), "--model", str(llama_folder), "--device", "cpu"]
    line += ["--lists", "4", "--candidates", "3", "--share", "0.9", "--family", "yes_no", "--demos", "0"]
    assert command.status_of(lambda: command.app(line, standalone_mode=False)) == 0
    kept = kept_choice(watched.dataset_id, str(llama_folder), None)
    assert kept is not None
    assert kept.blend is not None
    assert (kept.demos, kept.family, kept.raced) == (0, "yes_no", False)
    out = capsys.readouterr().out
    assert "blend minus popularity alone" in out
    assert f"kept {kept.blend.weight:g}" in out
    assert "--lists 4" in kept.blend.command
    assert kept.blend.command.endswith("--family yes_no --demos 0")
