"""The Bayesian surrogate against brute force over Walsh terms, and its intervals against its own prior."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from core.analysis.explain.ablation import banzhaf_of_table
from core.analysis.explain.refine import cross_validated_lds, subset_pool
from core.analysis.explain.surrogate import Prior, _average_step, interaction_kernel, next_subsets, posterior, signs
from core.analysis.values import all_masks


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


def test_with_every_subset_scored_the_posterior_is_the_banzhaf_value() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=32)
    belief = posterior(all_masks(5), scores, rng.normal(size=5))
    np.testing.assert_allclose(belief.mean, banzhaf_of_table(scores, 5), atol=1e-3)
    low, high = belief.interval()
    assert float((high - low).max()) < 0.02


def test_with_no_ablation_the_posterior_ranks_as_the_guess() -> None:
    guess = np.array([1.0, -0.5, 0.2, 0.0])
    ends = np.array([[False] * 4, [True] * 4])
    belief = posterior(ends, np.array([0.0, guess.sum()]), guess)
    assert list(np.argsort(belief.mean)) == list(np.argsort(guess))
    low, high = belief.interval()
    assert np.all((low < guess) & (guess < high))


def test_the_average_step_reads_the_banzhaf_value_of_a_size_effect() -> None:
    effect = np.log(1 + np.arange(6.0))
    table = effect[all_masks(5).sum(axis=1)]
    np.testing.assert_allclose(_average_step(5) @ effect, banzhaf_of_table(table, 5))


def test_a_shift_of_all_scores_changes_no_contribution() -> None:
    rng = np.random.default_rng(1)
    masks, scores = all_masks(5)[::2], rng.normal(size=16)
    one, other = (posterior(masks, scores + shift, rng.normal(size=5) * 0, seed=3) for shift in (0.0, 40.0))
    np.testing.assert_allclose(one.mean, other.mean, atol=1e-6)


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
        low, high = posterior(masks[chosen], scores[chosen], guess, seed=4).interval()
        covered += list((low <= banzhaf_of_table(scores, 6)) & (banzhaf_of_table(scores, 6) <= high))
    assert 0.84 <= np.mean(covered) <= 0.97


def test_the_design_never_repeats_a_subset_and_balances_the_demonstrations() -> None:
    pool = subset_pool(8, 0)
    ends = np.array([[False] * 8, [True] * 8])
    picks = next_subsets(ends, pool, np.ones(len(pool)), guess=np.ones(8) * 0.1, setting=(0.5, 0.5), count=16)
    assert len(set(picks.tolist())) == 16
    assert np.all(np.abs(pool[picks].mean(axis=0) - 0.5) <= 0.2)


def test_the_pool_of_many_demonstrations_is_seeded_and_leaves_out_the_ends() -> None:
    pool = subset_pool(16, 3)
    assert (pool == subset_pool(16, 3)).all()
    assert not pool.all(axis=1).any()
    assert pool.any(axis=1).all()


def test_cross_validation_finds_a_faithful_and_an_unfaithful_account() -> None:
    rng = np.random.default_rng(5)
    masks = np.concatenate([[[False] * 8, [True] * 8], rng.random((24, 8)) < 0.5])
    weights = rng.normal(size=8)
    additive, *_ = cross_validated_lds(masks, masks @ weights, weights, prior=Prior())
    parity = np.where(masks.sum(axis=1) % 2, 1.0, -1.0)
    noise, *_ = cross_validated_lds(masks, parity, np.zeros(8), prior=Prior())
    assert additive == pytest.approx(1.0, abs=0.01)
    assert noise < 0.5
