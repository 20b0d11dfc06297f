import re

import pytest
from questions import explain_task

from app import sentences
from app.pages.explore.selection import words
from core.analysis.explain.explain_task import Explain
from core.question.case_spec import CaseSpec


@pytest.fixture
def complete(example):
    """A complete explanation of 8 demonstrations with answers, and 20 candidates."""
    return example.explanation(explain_task())


def _plain(html):
    return re.sub(r"<[^>]+>", "", html)


def test_the_headline_says_rank_and_direction(complete):
    assert (
        _plain(sentences.headline(complete))
        == "Dead Man Walking (1995) ranks 7th of 20, down from 3rd without demonstrations."
    )


def test_the_lead_names_the_strongest_demonstration(complete):
    made = complete.contributions
    index = sentences.strongest(made)
    assert abs(made.values[index]) == max(map(abs, made.values))
    told = _plain(sentences.lead(complete))
    assert told.startswith(f"D{index + 1} (")
    assert "nats" in told
    assert "90 %" in told


def test_words_for_faithfulness_follow_the_thresholds(example):
    words = {
        lds: sentences.faithfulness_note(example.explanation(lds=lds)).word
        for lds in (0.85, 0.8, 0.62, 0.5, 0.31, None)
    }
    assert words == {0.85: "strong", 0.8: "strong", 0.62: "fair", 0.5: "fair", 0.31: "weak", None: "not measured"}
    weak = sentences.faithfulness_note(example.explanation(lds=0.1)).sentence
    assert "weak" in weak
    assert "no better than chance" in weak


def test_text_ablations_speak_before_the_methods_own(example):
    told = sentences.faithfulness_note(example.explanation(Explain(faithfulness=32)))
    assert told.origin == "32 text ablations"


def test_no_demonstrations_and_no_contributions_are_said(example):
    none = example.explanation(Explain(case=CaseSpec(demos=0)))
    assert "without any demonstration" in sentences.headline(none)
    assert sentences.lead(none) == ""
    assert sentences.lead(example.explanation(stage="scores")) == ""


def test_a_pair_has_amount_and_both_ranks(complete):
    told = _plain(sentences.pair(complete, 0, 4))
    fall, after = complete.matrix.values[0][4], complete.matrix.ranks_without[0][4]
    assert fall > 0
    assert after == 3
    assert told == f"Without D1, Usual Suspects, The (1995) scores {fall:.2f} nats lower and ranks 3rd instead of 5th."


def test_words_of_direction_are_for_contributions_alone_and_their_amounts_have_no_sign(complete):
    for demo in range(len(complete.demos)):
        told = _plain(sentences.demonstration(complete, demo))
        assert len(re.findall(r"\b(?:raises|lowers)\b", told)) == 1
        assert re.search(r"(raises|lowers) .* by \d", told)
        for candidate in range(len(complete.candidates)):
            of_pair = _plain(sentences.pair(complete, demo, candidate))
            assert not re.search(r"raises|lowers|[+\u2212]\d", of_pair)


def test_a_removal_that_contradicts_the_contribution_says_so(complete):
    at = complete.target_index
    made, matrix = complete.contributions, complete.matrix
    for demo in range(len(complete.demos)):
        told = _plain(sentences.demonstration(complete, demo))
        assert ("depends on the other demonstrations" in told) == (made.values[demo] * matrix.values[demo][at] < 0)


def test_the_target_is_not_told_twice(complete):
    at = complete.target_index
    assert words(complete, 2, complete.candidates[at].item_id) == sentences.demonstration(complete, 2)
    other = words(complete, 2, complete.candidates[at - 1].item_id)
    assert other == f"{sentences.demonstration(complete, 2)} {sentences.pair(complete, 2, at - 1)}"


def test_hostile_titles_are_escaped(example):
    record = example.explanation(titles=["<script>alert(1)</script>"] * 28)
    for told in (
        sentences.headline(record),
        sentences.lead(record),
        sentences.demonstration(record, 0),
        sentences.pair(record, 0, 0),
    ):
        assert "<script" not in told
