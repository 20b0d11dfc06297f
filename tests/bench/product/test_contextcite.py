import numpy as np
import pytest

from bench.product.contextcite import answer, log_odds, masks_of, row_of
from core.analysis.values import all_masks


def package_mask(sources, keep, seed):
    """`context_cite.utils._create_mask` of version 0.0.4, copied."""
    random = np.random.RandomState(seed)
    return random.choice([False, True], size=sources, p=[1 - keep, keep])


def test_masks_are_those_of_the_package():
    masks = masks_of(5, 8, base_seed=64)
    assert masks.dtype == bool
    for place in range(5):
        assert (masks[place] == package_mask(8, 0.5, 64 + place)).all()


def test_more_ablations_begin_with_the_same_ones():
    assert (masks_of(16, 8)[:4] == masks_of(4, 8)).all()


def test_row_of_finds_the_mask_in_the_table():
    masks = masks_of(12, 6)
    assert (all_masks(6)[row_of(masks)] == masks).all()


def test_log_odds_of_a_title_and_of_an_answer():
    probability = np.array([0.25, 1e-9])
    scores = np.log(probability)
    assert log_odds(scores, "next_item") == pytest.approx(np.log(probability / (1 - probability)))
    assert log_odds(scores, "yes_no") is scores
    assert np.isfinite(log_odds(np.array([0.0]), "next_item")).all()


def test_an_additive_score_is_found_but_for_the_shrinkage():
    effects = np.array([3.0, -2.0, 0.0, 1.0])
    truth = all_masks(4) @ effects
    found = answer(truth, "yes_no", 64)
    assert found == pytest.approx(effects, abs=0.06)


def test_the_solver_is_that_of_the_package():
    from sklearn.linear_model import Lasso
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    truth = np.random.default_rng(3).normal(size=256)
    masks = masks_of(32, 8)
    scaler, lasso = StandardScaler(), Lasso(alpha=0.01, random_state=0, fit_intercept=True)
    make_pipeline(scaler, lasso).fit(masks.astype(np.float32), truth[row_of(masks)])
    assert answer(truth, "yes_no", 32) == pytest.approx(lasso.coef_ / scaler.scale_, abs=1e-4)
