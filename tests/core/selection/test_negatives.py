"""Negatives of a held-out choice: never met, as popular as it was then, and blind to which candidate the target is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.cases import case_of
from core.selection.negatives import NEAREST, matched_negatives


def _likes_before(dataset, moment):
    """Likes of every item strictly before a moment, counted one by one."""
    count = dict.fromkeys(dataset.catalogue.ids, 0)
    for user, _ in dataset.users():
        for met in dataset.history(user):
            if dataset.liked(met) and met.timestamp < moment:
                count[met.item_id] += 1
    return count


@pytest.fixture(scope="module")
def crowd(made):
    """User u chose items 0 to 5; item n of the 24 has n likes of others before that, by as many users as needed."""
    lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    lines += [f"v{n}\t{item}\t5\t{item + n / 100}" for item in range(24) for n in range(item)]
    lines += [f"u\t{4 * place}\t5\t{100 + place}" for place in range(6)]
    return made(lines)


def test_they_are_drawn_among_the_nearest_in_popularity(crowd):
    case = case_of(crowd, "u", candidates=2)
    for choice in case.history[1:]:
        likes = _likes_before(crowd, choice.timestamp)
        met = {row.item_id for row in crowd.history("u")}
        free = [item for item in crowd.catalogue.ids if item not in met | set(case.candidates)]
        gaps = sorted(abs(np.log1p(likes[item]) - np.log1p(likes[choice.item_id])) for item in free)
        for item in matched_negatives(crowd, case, choice, 2):
            gap = abs(np.log1p(likes[item]) - np.log1p(likes[choice.item_id]))
            assert gap <= gaps[2 * NEAREST - 1] + 1e-12


def test_likes_at_or_after_the_choice_do_not_count(made):
    """Items 1 and 2 become popular only with the choice of item 0; before it items 3 to 6 are as unknown as item 0."""
    lines = ["user_id:token\titem_id:token\ttimestamp:float", "u\t7\t1", "u\t0\t5", "u\t8\t9"]
    lines += [f"v{n}\t{item}\t5" for n in range(6) for item in (1, 2)]
    lines += [f"w{n}\t{item}\t2" for n in range(3) for item in range(9, 24)]
    dataset = made(lines)
    case = replace(case_of(dataset, "u", candidates=2), candidates=("8",))
    choice = case.history[1]
    drawn = {item for seed in range(80) for item in matched_negatives(dataset, replace(case, seed=seed), choice, 1)}
    assert drawn == {"1", "2", "3", "4", "5", "6"}, "ties by popularity are drawn by the seed"


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**6), count=st.integers(1, 24), place=st.integers(1, 10), user=st.sampled_from("uvwxyz"))
def test_they_were_never_met_and_are_not_the_target(films, seed, count, place, user):
    case = replace(case_of(films, user, candidates=5), seed=seed)
    drawn = matched_negatives(films, case, case.history[place], count)
    met = {row.item_id for row in films.history(user)}
    assert not met & set(drawn)
    assert case.target not in drawn
    assert len(set(drawn)) == len(drawn) == min(count, 12)
    assert drawn == matched_negatives(films, case, case.history[place], count)


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**6), count=st.integers(1, 8), place=st.integers(1, 10))
def test_which_candidate_the_target_is_changes_nothing(films, seed, count, place):
    case = replace(case_of(films, "u", candidates=5), seed=seed)
    assert case.target in case.candidates
    drawn = [
        matched_negatives(films, replace(case, target=target), case.history[place], count) for target in case.candidates
    ]
    assert set(drawn) == {drawn[0]}, "8 items are neither met nor candidates"
