"""Recommending under changed dual models, and choosing a setting from measured cases."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from references import Pair, random_prompt

from core.analysis.robustness.inference import changes_of, choose_setting, recommend
from core.analysis.robustness.inference_settings import GRID, PLAIN, InferenceSettings, checked_settings
from core.errors import DemoLensError, RequestError
from core.lm.forward.dual_change import DualChange
from core.lm.scoring.score import Scorer
from core.seeds import seed_of

FAMILIES = ["yes_no", "next_item"]
MIXED = InferenceSettings(alpha=0.1, beta=0.2, sigma=0.2, dropout=0.3, samples=5)


@pytest.mark.parametrize("family", FAMILIES)
def test_plain_settings_are_the_model_as_it_is(pair: Pair, family: Any) -> None:
    prompt = random_prompt(family)
    plain = Scorer(pair.model, prompt).full()
    found = recommend(Scorer(pair.model, prompt), PLAIN, seed=3)
    np.testing.assert_array_equal(found.scores, plain)
    assert (found.agreement, found.spread.tolist(), found.notices) == (1.0, [0.0] * 5, ())
    np.testing.assert_array_equal(recommend(Scorer(pair.model, prompt), PLAIN, seed=3).scores, plain)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_recommendation_is_the_mean_over_the_changed_models(pair: Pair, family: Any) -> None:
    prompt = random_prompt(family)
    found = recommend(Scorer(pair.model, prompt), MIXED, seed=8)
    each = np.concatenate([Scorer(pair.model, prompt).changed([change]) for change in changes_of(MIXED, 4, 8)])
    assert each.shape == (5, 5)
    np.testing.assert_allclose(found.sampled, each, atol=1e-4)
    np.testing.assert_allclose(found.scores, found.sampled.sum(0) / 5)
    np.testing.assert_allclose(found.spread, np.sqrt(((found.sampled - found.scores) ** 2).sum(0) / 4))
    assert [int(c) for c in np.argsort(found.ranks)] == sorted(range(5), key=lambda c: -found.scores[c])
    winner = int(np.argmin(found.ranks))
    assert found.agreement == sum(max(range(5), key=lambda c: row[c]) == winner for row in found.sampled) / 5
    assert found.spent.forwards == 5
    assert found.spent.passes > 0


def test_equal_seeds_repeat_and_other_seeds_differ(pair: Pair) -> None:
    prompt = random_prompt("yes_no")
    first, again, other = (recommend(Scorer(pair.model, prompt), MIXED, seed).scores for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4


def test_without_noise_or_dropout_one_model_is_run() -> None:
    settings = InferenceSettings(alpha=0.1, beta=0.2, samples=64)
    assert changes_of(settings, 4, 0) == (DualChange(alpha=0.1, beta=0.2, seed=seed_of("dual sample", 0, 0)),)


def test_gates_are_one_on_average_and_fewer_samples_are_the_first_of_more() -> None:
    """Each of 64 x 32 gates has mean 1 and variance p / (1 - p)."""
    many = changes_of(InferenceSettings(dropout=0.25, samples=64), 32, 5)
    gates = np.array([change.gates for change in many])
    assert set(gates.ravel()) == {0.0, 1 / 0.75}
    assert gates.mean() == pytest.approx(1, abs=4 * np.sqrt((0.25 / 0.75) / gates.size))
    assert changes_of(InferenceSettings(dropout=0.25, samples=3), 32, 5) == many[:3]
    assert len({change.seed for change in many}) == 64


@pytest.mark.parametrize(
    ("demos", "settings", "sentence"),
    [
        (0, MIXED, "Without demonstrations, negative samples, noise and gate dropout change nothing"),
        (1, InferenceSettings(beta=0.5), "With one demonstration there are no negative samples"),
        (4, InferenceSettings(sigma=0.1, samples=1), "One sample has no spread"),
    ],
)
def test_what_has_no_effect_is_said(pair: Pair, demos: int, settings: InferenceSettings, sentence: str) -> None:
    prompt = random_prompt("yes_no", demos=demos)
    found = recommend(Scorer(pair.model, prompt), settings, seed=0)
    assert len(found.notices) == 1
    assert found.notices[0].startswith(sentence)
    assert np.isnan(found.spread).all() == (demos == 4)
    if demos < 4:
        left = InferenceSettings(alpha=settings.alpha)
        np.testing.assert_array_equal(found.scores, recommend(Scorer(pair.model, prompt), left, 0).scores)
        assert found.spread.tolist() == [0.0] * 5


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("alpha", 1.0, "alpha is 1.0; expected less than 1"),
        ("alpha", -0.1, "alpha is -0.1; expected greater than or equal to 0"),
        ("beta", 1.5, "beta is 1.5; expected less than or equal to 1"),
        ("sigma", -1, "sigma is -1; expected greater than or equal to 0"),
        ("sigma", float("nan"), "sigma is nan; expected a finite number"),
        ("dropout", 1, "dropout is 1; expected less than 1"),
        ("samples", 0, "samples is 0; expected greater than or equal to 1"),
        ("samples", 65, "samples is 65; expected less than or equal to 64"),
        ("samples", 2.5, "samples is 2.5; expected a valid integer"),
        ("alpha", "much", "alpha is 'much'; expected a valid number"),
        ("gamma", 1, "an unknown choice 'gamma'; expected one of alpha, beta, sigma, dropout, samples"),
    ],
)
def test_choices_out_of_range_are_refused_in_one_sentence(option: str, value: object, expected: str) -> None:
    with pytest.raises(RequestError) as error:
        checked_settings(**{option: value})
    assert str(error.value).startswith(f"inference: {expected}")
    assert "\n" not in str(error.value)


@given(
    choices=st.dictionaries(
        st.sampled_from(["alpha", "beta", "sigma", "dropout", "samples"]),
        st.one_of(st.floats(), st.integers(), st.text(max_size=5), st.none()),
    )
)
def test_any_choices_give_settings_in_range_or_a_sentence(choices: dict[str, object]) -> None:
    try:
        settings = checked_settings(**choices)
    except DemoLensError:
        return
    assert 0 <= settings.alpha < 1
    assert 0 <= settings.beta <= 1
    assert 0 <= settings.sigma <= 1
    assert 0 <= settings.dropout < 1
    assert 1 <= settings.draws <= settings.samples <= 64
    assert settings.plain == (settings.name == "plain")


def test_names_say_what_is_changed_and_the_grid_starts_plain() -> None:
    assert PLAIN.name == "plain"
    assert InferenceSettings(alpha=0.1, sigma=0.25).name == "decay 0.1 · noise 0.25 (8 samples)"
    assert InferenceSettings(beta=0.5, samples=9).name == "negatives 0.5"
    assert [one.plain for one in GRID] == [True] + [False] * (len(GRID) - 1)
    assert len({one.name for one in GRID}) == len(GRID)


def test_settings_can_be_chosen_where_no_model_library_is() -> None:
    code = "import sys, core.analysis.robustness.inference_settings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


NAN = np.nan
CHOICES = {
    "the fewest flips among those that keep NDCG": (
        [[0.5, 0.5], [0.5, 0.5], [0.6, 0.5], [0.4, 0.5]],
        [[0.3, 0.3], [0.2, 0.3], [0.2, 0.2], [0.0, 0.0]],
        2,
    ),
    "equal flips: the higher NDCG": ([[0.5, 0.5], [0.5, 0.6], [0.7, 0.5]], [[0.4, 0.4], [0.1, 0.3], [0.2, 0.2]], 2),
    "equal flips and NDCG: the earlier": ([[0.5], [0.6], [0.6]], [[0.3], [0.1], [0.1]], 1),
    "rounding is no loss": ([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]], [[1.0, 1.0, 1.0], [0.0, 1.0, 1.0]], 1),
    "no setting keeps NDCG": ([[0.5, 0.5], [0.4, 0.5]], [[0.3, 0.3], [0.0, 0.0]], None),
    "no setting flips less": ([[0.5, 0.5], [0.9, 0.9]], [[0.3, 0.3], [0.4, 0.2]], None),
    "cases without a number are left out of both": (
        [[0.2, NAN, 0.8], [0.3, 0.9, NAN], [NAN, 0.9, NAN]],
        [[0.5, 0.5, NAN], [0.1, 0.5, 0.9], [0.0, 0.0, 0.0]],
        1,
    ),
    "the plain model alone": ([[0.5, 0.5]], [[0.3, 0.3]], None),
    "no cases": ([[], []], [[], []], None),
}


@pytest.mark.parametrize("name", list(CHOICES))
def test_the_setting_chosen(name: str) -> None:
    ndcg, flips, expected = CHOICES[name]
    assert choose_setting(np.array(ndcg), np.array(flips)) == expected


def test_the_plain_row_may_stand_anywhere() -> None:
    assert choose_setting(np.array([[0.5], [0.5]]), np.array([[0.1], [0.3]]), plain=1) == 0


def test_tables_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="setting, case"):
        choose_setting(np.zeros((2, 3)), np.zeros((2, 4)))
