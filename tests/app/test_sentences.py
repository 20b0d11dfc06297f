import re

from app import sentences
from core.analysis.request import Request


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
    words = {lds: sentences.measured(example.explanation(lds=lds)).word for lds in (0.85, 0.8, 0.62, 0.5, 0.31, None)}
    assert words == {0.85: "strong", 0.8: "strong", 0.62: "fair", 0.5: "fair", 0.31: "weak", None: "not measured"}
    weak = sentences.measured(example.explanation(lds=0.1)).sentence
    assert "weak" in weak
    assert "no better than chance" in weak


def test_text_ablations_speak_before_the_methods_own(example):
    told = sentences.measured(example.explanation(Request(faithfulness=32)))
    assert told.origin == "32 text ablations"


def test_no_demonstrations_and_no_contributions_are_said(example):
    none = example.explanation(Request(demos=0))
    assert "without any demonstration" in sentences.headline(none)
    assert sentences.lead(none) == ""
    assert sentences.lead(example.explanation(stage="scores")) == ""


def test_a_pair_has_amount_and_both_ranks(complete):
    told = _plain(sentences.pair(complete, 0, 4))
    assert f"rank 5 with it, {complete.matrix.ranks_without[0][4]} without it" in told


def test_hostile_titles_are_escaped(example):
    record = example.explanation(titles=["<script>alert(1)</script>"] * 28)
    for told in (
        sentences.headline(record),
        sentences.lead(record),
        sentences.demonstration(record, 0),
        sentences.pair(record, 0, 0),
    ):
        assert "<script" not in told
