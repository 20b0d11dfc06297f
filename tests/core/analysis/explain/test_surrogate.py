"""The Bayesian surrogate against brute force over Walsh terms, and its intervals against its own prior."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from core.analysis.explain.ablation import banzhaf_of_table
from core.analysis.explain.list_estimates import LEVEL, Estimates
from core.analysis.explain.list_posterior import Guesses, ListPosterior
from core.analysis.explain.refine import subset_pool
from core.analysis.explain.surrogate import (
    Prior,
    Surrogate,
    _average_bend,
    _average_step,
    _Kernel,
    interaction_kernel,
    pairs_of,
    signs,
)
from core.analysis.values import all_masks
from core.metrics.ranking import ranks
from core.question.targets import EXPLAINED

Floats = NDArray[np.float64]


def surrogate(masks: NDArray[np.bool_], scores: Floats, guess: Floats, **choices: float) -> Surrogate:
    """Of one function of subsets."""
    return Surrogate(masks, scores[:, None], guess, Prior(**choices))  # type: ignore[arg-type]


def ends_of(of: Surrogate) -> tuple[Floats, Floats]:
    """Ends of the 90 % intervals of the contributions, [demo]."""
    belief, quantile = of.effects(), stats.t.ppf((1 + LEVEL) / 2, of.freedom)
    half = quantile * np.sqrt(belief.variance[:, 0])
    return belief.mean[:, 0] - half, belief.mean[:, 0] + half


def interactions_of_table(table: Floats, demos: int) -> Floats:
    """Average second difference of every pair over all subsets of the others, [pair], by brute force."""
    masks = all_masks(demos)
    score = {mask.tobytes(): value for mask, value in zip(masks, table, strict=True)}
    averages = []
    for first, second in pairs_of(demos):
        differences = []
        for mask in masks[~masks[:, first] & ~masks[:, second]]:
            corners = {}
            for with_first in (False, True):
                for with_second in (False, True):
                    corner = mask.copy()
                    corner[[first, second]] = with_first, with_second
                    corners[with_first, with_second] = score[corner.tobytes()]
            differences.append(
                corners[True, True] - corners[True, False] - corners[False, True] + corners[False, False]
            )
        averages.append(float(np.mean(differences)))
    return np.array(averages)


def test_the_interaction_kernel_is_the_sum_over_walsh_terms() -> None:
    demos, decay = 5, 0.4
    x = signs(all_masks(demos))
    expected, total = np.zeros((32, 32)), 0.0
    for degree in range(2, demos + 1):
        terms = [x[:, list(members)].prod(axis=1) for members in combinations(range(demos), degree)]
        weight = decay ** (degree - 2) / len(terms)
        expected += weight * sum(np.outer(term, term) for term in terms)
        total += decay ** (degree - 2)
    agreement = ((demos + x @ x.T) / 2).round().astype(np.int64)
    np.testing.assert_allclose(interaction_kernel(agreement, demos, decay), expected / total, atol=1e-12)


def test_covariances_with_pairs_are_those_of_their_second_differences() -> None:
    """cov(pair, score at y) is the average second difference of cov(score at x, score at y) over x."""
    kernel = _Kernel(4, np.array([0.5, -0.2, 0.1, 0.3]), Prior(), 0.4, 2.0)
    x = signs(all_masks(4))
    between = kernel.between(x, x)
    expected = np.array([interactions_of_table(column, 4) for column in between.T]).T
    np.testing.assert_allclose(kernel.pairs_with(x), expected, atol=1e-10)
    variances = np.array([interactions_of_table(row, 4) for row in kernel.pairs_with(x)])
    np.testing.assert_allclose(np.diag(variances), np.full(6, kernel.pairs), atol=1e-10)
    np.testing.assert_allclose(kernel.diagonal(x), np.diag(between), atol=1e-10)


def test_covariances_with_contributions_are_those_of_their_average_differences() -> None:
    kernel = _Kernel(4, np.array([0.5, -0.2, 0.1, 0.3]), Prior(), 0.4, 2.0)
    x = signs(all_masks(4))
    expected = np.array([banzhaf_of_table(column, 4) for column in kernel.between(x, x).T]).T
    np.testing.assert_allclose(kernel.effects_with(x), expected, atol=1e-10)
    variances = np.array([banzhaf_of_table(row, 4) for row in kernel.effects_with(x)])
    np.testing.assert_allclose(np.diag(variances), kernel.effects, atol=1e-10)


def test_with_every_subset_scored_the_posterior_is_the_banzhaf_value() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=32)
    of = surrogate(all_masks(5), scores, rng.normal(size=5))
    np.testing.assert_allclose(of.effects().mean[:, 0], banzhaf_of_table(scores, 5), atol=1e-3)
    low, high = ends_of(of)
    assert float((high - low).max()) < 0.02


def test_with_every_subset_scored_pairs_are_average_second_differences() -> None:
    scores = np.random.default_rng(6).normal(size=32)
    of = surrogate(all_masks(5), scores, np.ones(5))
    np.testing.assert_allclose(of.pairs().mean[:, 0], interactions_of_table(scores, 5), atol=1e-3)


def test_a_score_that_was_measured_is_predicted_as_it_is() -> None:
    rng = np.random.default_rng(7)
    masks, scores = all_masks(5)[::2], rng.normal(size=16)
    belief = surrogate(masks, scores, rng.normal(size=5)).predicted(masks)
    np.testing.assert_allclose(belief.mean[:, 0], scores, atol=1e-3)
    assert float(belief.variance.max()) < 1e-3


def test_with_no_ablation_the_posterior_ranks_as_the_guess() -> None:
    guess = np.array([1.0, -0.5, 0.2, 0.0])
    masks = np.array([[False] * 4, [True] * 4])
    of = surrogate(masks, np.array([0.0, guess.sum()]), guess)
    assert list(np.argsort(of.effects().mean[:, 0])) == list(np.argsort(guess))
    low, high = ends_of(of)
    assert np.all((low < guess) & (guess < high))


def test_the_average_step_and_bend_read_a_size_effect() -> None:
    effect = np.log(1 + np.arange(6.0))
    table = effect[all_masks(5).sum(axis=1)]
    np.testing.assert_allclose(_average_step(5) @ effect, banzhaf_of_table(table, 5))
    np.testing.assert_allclose(_average_bend(5) @ effect, interactions_of_table(table, 5))


def test_a_shift_of_all_scores_changes_no_contribution() -> None:
    rng = np.random.default_rng(1)
    masks, scores = all_masks(5)[::2], rng.normal(size=16)
    plain, lifted = (surrogate(masks, scores + shift, np.zeros(5)).effects() for shift in (0.0, 40.0))
    np.testing.assert_allclose(plain.mean, lifted.mean, atol=1e-6)


def test_intervals_cover_games_drawn_from_the_prior() -> None:
    """Additive errors of the guess and pair interactions of known size: nine tenths of 90 % intervals must cover."""
    rng = np.random.default_rng(2)
    masks = all_masks(6)
    x, covered = signs(masks), []
    pairs = np.stack([x[:, i] * x[:, j] for i, j in combinations(range(6), 2)], axis=1)
    for _ in range(60):
        guess = rng.normal(size=6)
        scores = x @ (guess + 0.5 * rng.normal(size=6)) / 2 + pairs @ rng.normal(size=15) * 0.15
        chosen = rng.choice(64, 18, replace=False)
        low, high = ends_of(surrogate(masks[chosen], scores[chosen], guess))
        covered += list((low <= banzhaf_of_table(scores, 6)) & (banzhaf_of_table(scores, 6) <= high))
    assert 0.84 <= np.mean(covered) <= 0.97


def test_scores_left_out_in_closed_form_are_those_of_a_fit_without_them() -> None:
    """With the settings of all, which one setting alone makes the same for both."""
    rng = np.random.default_rng(8)
    masks = all_masks(5)[rng.choice(32, 14, replace=False)]
    scores, guess = rng.normal(size=14), rng.normal(size=5)
    fixed = Prior(additive_shares=(0.5,), size_shares=(2.0,))
    whole, additive = Surrogate(masks, scores[:, None], guess, fixed).left_out()
    for row in range(14):
        rest = np.arange(14) != row
        refit = Surrogate(masks[rest], scores[rest, None], guess, fixed)
        assert whole[row, 0] == pytest.approx(refit.predicted(masks[[row]]).mean[0, 0], abs=1e-2)
        value = signs(masks[[row]])[0] @ refit.effects().mean[:, 0] / 2
        assert additive[row, 0] == pytest.approx(value, abs=1e-2)


def test_the_design_never_repeats_a_subset_and_balances_the_demonstrations() -> None:
    pool = subset_pool(8, 0)
    masks = np.array([[False] * 8, [True] * 8])
    picks = surrogate(masks, np.array([0.0, 0.8]), np.ones(8) * 0.1).next_subsets(pool, np.ones(len(pool)), 16)
    assert len(set(picks.tolist())) == 16
    assert np.all(np.abs(pool[picks].mean(axis=0) - 0.5) <= 0.2)


def test_the_pool_of_many_demonstrations_is_seeded_and_leaves_out_the_ends() -> None:
    pool = subset_pool(16, 3)
    assert (pool == subset_pool(16, 3)).all()
    assert not pool.all(axis=1).any()
    assert pool.any(axis=1).all()


# ---- the whole list


def listed(seed: int = 9, demos: int = 5, candidates: int = 4) -> tuple[ListPosterior, Floats]:
    """The posterior of a game of some candidates at half of the subsets, and its scores at all [subset, candidate]."""
    rng = np.random.default_rng(seed)
    masks = all_masks(demos)
    scores = masks @ rng.normal(size=(demos, candidates)) + 0.2 * rng.normal(size=(len(masks), candidates))
    guesses = Guesses(rng.normal(size=demos), {1: rng.normal(size=demos)})
    return ListPosterior(masks[::2], scores[::2], guesses), scores


def test_an_effect_on_a_score_is_its_field_part_and_its_lift_part() -> None:
    posterior, _ = listed()
    for candidate in range(4):
        score, field, lift = (
            posterior.effects_on(EXPLAINED[name].weights(4, candidate)).value for name in ("score", "field", "lift")
        )
        np.testing.assert_allclose(score, field + lift, atol=1e-12)
        np.testing.assert_allclose(score, posterior.effects[:, candidate], atol=1e-12)


def test_a_pair_is_the_difference_of_two_scores_and_has_no_lift() -> None:
    posterior, _ = listed()
    value = posterior.effects_on(EXPLAINED["pair"].weights(4, 2, 3)).value
    np.testing.assert_allclose(value, posterior.effects[:, 2] - posterior.effects[:, 3], atol=1e-12)


def test_places_of_measured_subsets_are_the_measured_ones() -> None:
    posterior, scores = listed()
    places: Estimates = posterior.places(all_masks(5)[::2])
    np.testing.assert_allclose(np.round(places.value), [ranks(row) for row in scores[::2]])


def test_deviations_of_all_candidates_sum_to_nothing() -> None:
    posterior, _ = listed()
    predicted = posterior.predicted(all_masks(5))
    level = posterior._mean.predicted(all_masks(5)).mean[:, 0]
    np.testing.assert_allclose(predicted.mean(axis=1), level, atol=1e-9)


def test_a_faithful_and_an_unfaithful_account_are_told_apart_by_what_is_left_out() -> None:
    rng = np.random.default_rng(5)
    masks = np.concatenate([[[False] * 8, [True] * 8], rng.random((24, 8)) < 0.5])
    weights = rng.normal(size=8)
    _, additive = surrogate(masks, masks @ weights, weights).left_out()
    assert stats.spearmanr(additive[2:, 0], (masks @ weights)[2:]).statistic == pytest.approx(1.0, abs=0.01)
    parity = np.where(masks.sum(axis=1) % 2, 1.0, -1.0)
    _, noise = surrogate(masks, parity, np.zeros(8)).left_out()
    assert stats.spearmanr(noise[2:, 0], parity[2:]).statistic < 0.5
