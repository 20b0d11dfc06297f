import copy

import numpy as np
import pytest
from references import hand_written, language_model, random_prompt

from bench import plain_forward
from bench.case_list import PromptSubject, packed_ids
from bench.product import contextcite
from core.lm.scoring.score import Scorer


@pytest.fixture(scope="module")
def twins(tiny_llama):
    """The untouched tiny network, and the same weights with our attention."""
    return copy.deepcopy(tiny_llama), language_model(copy.deepcopy(tiny_llama))


def subject_of(family):
    return PromptSubject("1", family, "recent", random_prompt(family), 2)


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
def test_every_way_of_scoring_gives_the_same(twins, family):
    reference, model = twins
    subject = subject_of(family)
    expected = Scorer(model, subject.prompt).full()
    assert plain_forward.by_second_pass(model.network, subject) == pytest.approx(expected, abs=1e-4)
    assert plain_forward.by_copied_cache(reference, subject) == pytest.approx(expected, abs=1e-4)
    assert plain_forward.target_score(reference, subject) == pytest.approx(expected[2], abs=1e-4)


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
def test_a_naive_ablation_is_the_hand_written_prompt(twins, family):
    reference, _ = twins
    subject, mask = subject_of(family), np.array([True, False, True, False])
    expected = hand_written(reference, subject.prompt, mask, 2)
    assert plain_forward.target_score(reference, subject, mask) == pytest.approx(expected, abs=1e-5)


def test_the_packed_tokens_are_those_of_the_packed_pass(twins):
    subject = subject_of("next_item")
    scorer = Scorer(twins[1], subject.prompt)
    scorer.full()
    assert len(packed_ids(subject.prompt)) == scorer.cost.tokens


def test_tokens_of_ablations_are_counted_as_written_out():
    subject = subject_of("yes_no")
    sets = [contextcite.masks_of(4, 4, repeat * contextcite.MOST) for repeat in range(contextcite.REPEATS)]
    written = [sum(len(subject.ids(mask)) for mask in masks) for masks in sets]
    assert contextcite.tokens_of(subject, 4) == pytest.approx(np.mean(written))
