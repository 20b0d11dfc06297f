"""Pairs and place curves against Gaussian algebra on all subsets and brute force, and as their record holds them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import stats

from core.analysis.explain.explanation import ListEffects
from core.analysis.explain.list_posterior import Guesses, ListPosterior
from core.analysis.explain.list_record import list_effects
from core.analysis.explain.list_removals import pair_rows, place_curves, posterior_of
from core.analysis.explain.surrogate import FLAT, NUGGET, Prior, pairs_of, signs
from core.analysis.values import Array, Masks, all_masks
from core.metrics.ranking import ranks
from core.question.targets import EXPLAINED

ONE_SETTING = Prior(additive_shares=(0.6,), size_shares=(2.0,))


def list_of(demos: int, candidates: int, seed: int = 0) -> tuple[Masks, Array, Guesses]:
    """Scores [subset, candidate] at all subsets of a game with interactions; gradients of two candidates."""
    rng = np.random.default_rng(seed)
    masks = all_masks(demos)
    scores = masks @ rng.normal(size=(demos, candidates)) + 0.4 * rng.normal(size=(len(masks), candidates))
    return masks, scores, Guesses(rng.normal(size=demos), {0: rng.normal(size=demos), 2: rng.normal(size=demos)})


# ---- by direct Gaussian algebra


def prior_covariance(masks: Masks, guess: Array) -> tuple[Array, float]:
    """Of a function at all subsets [subset, subset], term by Walsh term, and its prior scale; see `surrogate`."""
    prior, demos = ONE_SETTING, masks.shape[1]
    share, size_share = prior.additive_shares[0], prior.size_shares[0]
    x = signs(masks)
    degree = masks.sum(axis=1)
    walsh = np.array([np.prod(np.where(term, x, 1.0), axis=1) for term in masks]).T
    of_degree = {d: prior.decay ** (d - 2) for d in range(2, demos + 1)}
    variance = np.zeros(len(masks))
    variance[degree == 1] = share / demos
    for d, weight in of_degree.items():
        variance[degree == d] = (1 - share) * weight / sum(of_degree.values()) / (degree == d).sum()
    size = np.log2(1 + degree)
    by_size = size_share * np.exp(-((size[:, None] - size[None, :]) ** 2) / 2)
    scale = prior.scale_guess * float(guess @ guess) / 4 + 1e-8
    along = x @ guess / 2
    covariance = (walsh * variance) @ walsh.T + by_size + prior.guess_spread**2 / scale * np.outer(along, along)
    return covariance + FLAT, scale


def pairs_by_algebra(masks: Masks, rows: Array, values: Array, guess: Array) -> tuple[Array, Array]:
    """Mean and variance [pair, function] of the interactions of functions `values` [row, function]."""
    covariance, scale = prior_covariance(masks, guess)
    x, freedom = signs(masks), ONE_SETTING.degrees_of_freedom + len(rows) - 1
    expected = (x @ guess / 2 * ONE_SETTING.guess_factor)[:, None] + values.mean(axis=0)
    inverse = np.linalg.inv(covariance[np.ix_(rows, rows)] + NUGGET * np.eye(len(rows)))
    gain = covariance[:, rows] @ inverse
    residual = values - expected[rows]
    squares = np.einsum("nf,nm,mf->f", residual, inverse, residual)
    if not guess.any():
        scale = float(squares.mean()) / (len(rows) - 1) + 1e-12
    spread = (ONE_SETTING.degrees_of_freedom * scale + squares) / freedom
    second = np.array([x[:, j] * x[:, k] for j, k in pairs_of(masks.shape[1])]) / (len(masks) / 4)
    variance = np.diag(second @ (covariance - gain @ covariance[rows]) @ second.T)
    return second @ (expected + gain @ residual), variance[:, None] * spread


@pytest.mark.parametrize("name", ["field", "score", "lift", "pair"])
@pytest.mark.parametrize("candidate", [0, 1, 3])
def test_pairs_on_any_target_are_those_of_gaussian_algebra_on_all_subsets(name: str, candidate: int) -> None:
    masks, scores, guesses = list_of(4, 5)
    rows = np.array([0, 15, 3, 6, 9, 12, 5, 8])
    weights = EXPLAINED[name].weights(5, candidate, (candidate + 1) % 5)  # type: ignore[index]
    level = scores[rows].mean(axis=1, keepdims=True)
    mean, variance = pairs_by_algebra(masks, rows, level, guesses.mean)
    deviations, spread = (np.zeros((6, 5)) for _ in range(2))
    rest = [1, 3, 4]
    for places, guess in (([0], guesses.deviations[0]), ([2], guesses.deviations[2]), (rest, np.zeros(4))):
        each = pairs_by_algebra(masks, rows, (scores[rows] - level)[:, places], guess)
        deviations[:, places], spread[:, places] = each
    deviations[:, rest] -= deviations.sum(axis=1, keepdims=True) / len(rest)
    value = mean[:, 0] * weights.sum() + deviations @ weights
    error = np.sqrt(variance[:, 0] * weights.sum() ** 2 + spread @ (weights - weights.mean()) ** 2)
    half = stats.t.ppf(0.95, ONE_SETTING.degrees_of_freedom + len(rows) - 1) * error
    pairs = ListPosterior(masks[rows], scores[rows], guesses, prior=ONE_SETTING).pairs_on(weights)
    np.testing.assert_allclose(pairs.value, value, atol=1e-6)
    np.testing.assert_allclose(pairs.high - pairs.low, 2 * half, rtol=1e-4)


# ---- places


def posterior(seed: int = 0, every: int = 3) -> ListPosterior:
    masks, scores, guesses = list_of(5, 6, seed)
    rows = np.unique([0, *range(0, 32, every), 31])
    return ListPosterior(masks[rows], scores[rows], guesses)


def test_expected_places_are_the_means_over_draws() -> None:
    belief = posterior()
    places = belief.places(all_masks(5)).value
    for candidate in range(6):
        assert belief.expected_places(all_masks(5), candidate) == pytest.approx(places[:, candidate], abs=0.25)


def test_ends_of_places_are_places() -> None:
    places = posterior().places(all_masks(5))
    for ends in (places.low, places.high):
        np.testing.assert_array_equal(ends, np.round(2 * ends) / 2)


def test_a_set_has_the_same_places_in_every_table() -> None:
    belief, masks = posterior(), all_masks(5)
    whole, alone = belief.places(masks, seed=3), belief.places(masks[[11]], seed=3)
    for name in ("value", "low", "high"):
        np.testing.assert_array_equal(getattr(alone, name)[0], getattr(whole, name)[11])


def test_a_curve_takes_out_what_moves_the_place_most_where_all_is_measured() -> None:
    masks, scores, guesses = list_of(4, 6, seed=4)
    belief = ListPosterior(masks, scores, guesses)
    for candidate in range(6):
        for curve, best in zip(place_curves(belief, candidate), (min, max), strict=True):
            out: list[int] = []
            assert curve.measured == (True,) * 5
            for step, demo in enumerate(curve.order):
                assert curve.value[step] == curve.low[step] == curve.high[step] == _place(scores, out, candidate)
                left = [index for index in range(4) if index not in out]
                reachable = [_place(scores, [*out, index], candidate) for index in left]
                out.append(demo)
                assert _place(scores, out, candidate) == best(reachable)
            assert sorted(curve.order) == [0, 1, 2, 3]


def _place(scores: Array, out: list[int], candidate: int) -> float:
    return float(ranks(scores[15 - sum(1 << demo for demo in out)])[candidate])


def test_the_ends_of_a_curve_are_the_measured_places_with_all_and_without_any() -> None:
    belief = posterior(2)
    for candidate in range(6):
        up, down = place_curves(belief, candidate)
        assert (up.direction, down.direction) == ("up", "down")
        for curve in (up, down):
            assert curve.value[0] == ranks(belief.scores[-1])[candidate]
            assert curve.value[-1] == ranks(belief.scores[0])[candidate]
            assert all(low <= high for low, high in zip(curve.low, curve.high, strict=True))


def test_equal_scores_share_the_middle_of_a_curve() -> None:
    masks = all_masks(2)
    scores = np.array([[1.0, 1.0, 0.0]] * 4)
    curves = place_curves(ListPosterior(masks, scores, Guesses(np.zeros(2), {})), 1)
    assert all(curve.value == (1.5, 1.5, 1.5) for curve in curves)


# ---- from the record


@given(seed=some.integers(0, 99), candidate=some.integers(0, 5), shifted=some.booleans())
@settings(max_examples=10, deadline=None)
def test_the_record_holds_what_any_other_candidate_needs(seed: int, candidate: int, shifted: bool) -> None:
    belief = posterior(seed, every=4)
    free = np.linspace(0.0, 1.0, 6) if shifted else 0.0
    record = list_effects(belief, 0, EXPLAINED["field"].weights(6, 0), free=free, seed=seed)
    again = posterior_of(ListEffects.model_validate_json(record.model_dump_json()))
    weights = EXPLAINED["field"].weights(6, candidate)
    before, after = belief.pairs_on(weights), again.pairs_on(weights)
    np.testing.assert_allclose(after.value, before.value, atol=1e-9)
    np.testing.assert_allclose([after.low, after.high], [before.low, before.high], atol=1e-9)
    shift = -np.asarray(free)
    for curve, same in zip(
        place_curves(belief, candidate, shift=shift, seed=seed), place_curves(again, candidate, seed=seed), strict=True
    ):
        assert curve.order == same.order
        np.testing.assert_allclose(curve.value, same.value, atol=1e-9)
    assert record.curves == place_curves(again, 0, seed=seed)
    assert record.pairs == pytest.approx(pair_rows(belief, EXPLAINED["field"].weights(6, 0)))
    assert len(record.pairs) <= 3
    assert all(row.low > 0 or row.high < 0 for row in record.pairs)
