"""Likeness of words, and the choice that weighs relevance against it."""

from __future__ import annotations

import numpy as np
import pytest

from core.data.similarity import bm25, marginal_order, word_likeness


def test_likeness_is_the_share_of_words_in_common() -> None:
    found = word_likeness([frozenset("abc"), frozenset("bcd"), frozenset()])
    assert found == pytest.approx(np.array([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]]))


def test_documents_without_a_word_of_the_query_score_nothing() -> None:
    assert bm25([["red"], ["blue"]], ["green"]).tolist() == [0, 0]
    scores = bm25([["red", "fox"], ["blue", "fox"]], ["blue", "green"])
    assert scores[1] > scores[0] == 0


def test_places_that_may_not_follow_come_last() -> None:
    relevance, likeness = np.array([3.0, 2.0, 1.0]), np.zeros((3, 3))
    assert marginal_order(relevance, likeness, 3, 1.0) == [0, 1, 2]
    assert marginal_order(relevance, likeness, 2, 1.0, first=[2]) == [2, 0]
    barred = np.array([True, False, False])
    assert marginal_order(relevance, likeness, 3, 1.0, barred=lambda _: barred) == [1, 2, 0]
