"""Which subsets the design may choose, by hand and for any number of demonstrations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.analysis.explain.refine import eligible_subsets, subset_pool


@pytest.mark.parametrize(("demos", "sizes"), [(2, {1}), (3, {1, 2}), (4, {1, 2, 3}), (8, {3, 4, 5}), (10, {4, 5, 6})])
def test_the_first_ablations_keep_about_half_of_the_demonstrations(demos: int, sizes: set[int]) -> None:
    pool = subset_pool(demos, 0)
    eligible = eligible_subsets(pool, np.ones(len(pool), dtype=bool), demos - 1)
    assert set(pool[eligible].sum(axis=1).tolist()) == sizes


@given(demos=st.integers(2, 12), designed=st.integers(0, 30), share=st.floats(0, 1), seed=st.integers(0, 99))
def test_only_unmeasured_subsets_are_eligible_and_some_always_are(
    demos: int, designed: int, share: float, seed: int
) -> None:
    pool = subset_pool(demos, 0)
    unmeasured = np.random.default_rng(seed).random(len(pool)) < share
    eligible = eligible_subsets(pool, unmeasured, designed)
    assert not (eligible & ~unmeasured).any()
    assert eligible.any() == unmeasured.any()
    if designed >= demos:
        assert (eligible == unmeasured).all()
