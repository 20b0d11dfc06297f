import re

import pytest
from questions import explain_task

from app import sentences
from app.charts import ranks
from app.list_reading import about, place_without, target_of
from app.pages.explore.selection import words
from core.analysis.explain.explain_task import Explain
from core.analysis.explain.explanation import PlaceTable
from core.question.case_spec import CaseSpec
from core.question.targets import EXPLAINED
from core.words import ordinal


@pytest.fixture
def complete(example):
    """A complete explanation of 8 demonstrations with answers, and 20 candidates."""
    return example.explanation(explain_task())


def _plain(html):
    return re.sub(r"<[^>]+>", "", html)


def test_the_headline_says_place_direction_and_cause(complete):
    changes = [row.score - row.zero_shot_score for row in complete.candidates]
    behind = sum(change > changes[6] for change in changes)
    assert 0 < changes[6] < sum(changes) / 20
    assert _plain(sentences.headline(complete)) == (
        "Dead Man Walking (1995) ranks 7th of 20, down from 3rd without demonstrations: they raise the list as a "
        f"whole, this item less than {behind} of 19 others."
    )


def test_a_blended_place_stands_beside_that_of_the_model(complete):
    rows = [row.model_copy(update={"prior": 0.25, "model_rank": 20 - at}) for at, row in enumerate(complete.candidates)]
    blended = complete.model_copy(update={"candidates": tuple(rows)})
    assert "ranks 7th of 20 (without the blend 14th), down from 3rd" in _plain(sentences.headline(blended))
    assert "is 7th of 20 (without the blend 14th), 3rd without" in _plain(sentences.standing(rows[6], 20))
    table = ranks.table(blended)
    assert list(table["model_rank"]) == [20 - list(complete.candidates).index(row) for row in _best(complete)]
    assert set(table["prior"]) == {0.25}
    assert not {"model_rank", "prior"} & set(ranks.table(complete))


def _best(complete):
    return sorted(complete.candidates, key=lambda row: row.rank)


@pytest.mark.parametrize(
    ("own", "others", "words"),
    [
        (2.0, 1.0, "they raise the list as a whole, this item more than 19 of 19 others"),
        (-2.0, -1.0, "they lower the list as a whole, this item more than 19 of 19 others"),
        (-0.5, -1.0, "they lower the list as a whole, this item less than 19 of 19 others"),
        (-0.5, 1.0, "they raise the other candidates on average and lower this one"),
        (0.5, -1.0, "they lower the other candidates on average and raise this one"),
    ],
)
def test_the_cause_has_both_directions(complete, own, others, words):
    rows = tuple(
        row.model_copy(update={"zero_shot_score": 0.0, "score": own if row.is_target else others})
        for row in complete.candidates
    )
    assert words in sentences.headline(complete.model_copy(update={"candidates": rows}))


def test_the_turning_demonstrations_have_the_best_and_the_worst_place_without_them(complete):
    row = sentences.target_row(complete)
    at = complete.candidates.index(row)
    places = [place_without(complete, demo, at) for demo in range(len(complete.demos))]
    sure = [place.value for place in places if place.moves(row.rank)]
    text = _plain(sentences.turning(complete, row))
    for verb, place, good in (("costs", min(sure), min(sure) < row.rank), ("gives", max(sure), max(sure) > row.rank)):
        assert (f"{verb} it most: without it, it is {ordinal(round(place))} (" in text) == good


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


def of_pair(record, demo, candidate):
    """What a demonstration does to a candidate, in words."""
    shown = about(record, target_of(record, "field", record.candidates[candidate].item_id))
    return _plain(sentences.demonstration(shown, demo))


def test_a_pair_has_its_effect_and_both_places(complete):
    effects = complete.list_effects
    after = effects.measured_without(0).ranks
    at = next(c for c, row in enumerate(complete.candidates) if after[c] != row.rank)
    value, title = effects.belief.on(EXPLAINED["field"].weights(20, at)).value[0], complete.candidates[at].title
    text = of_pair(complete, 0, at)
    verb = "raises" if value > 0 else "lowers"
    assert text.startswith(f"D1 ({complete.demos[0].title}, answered No) {verb} {title} against the other candidates")
    assert f"by {abs(value):.2f} nats (90 % " in text
    place = f"{ordinal(after[at])} instead of {ordinal(complete.candidates[at].rank)}"
    assert f"{title} is {place} (measured)" in text


def test_a_place_that_was_not_measured_has_its_interval(complete):
    effects = complete.list_effects
    low, high = (side[3][4] for side in (effects.without.low, effects.without.high))
    assert f"(90 % {low:g} to {high:g}, predicted)" in of_pair(complete, 3, 4)


def test_every_sentence_has_one_direction(complete):
    for demo in range(len(complete.demos)):
        text = _plain(sentences.demonstration(complete, demo))
        assert len(re.findall(r"\b(?:raises|lowers)\b", text)) == 1
        assert re.search(r"(raises|lowers) .* by \d", text)
        for candidate in range(len(complete.candidates)):
            text = of_pair(complete, demo, candidate)
            assert len(re.findall(r"\b(?:raises|lowers)\b", text)) == 1


@pytest.mark.parametrize("better", [True, False])
def test_a_removal_that_contradicts_the_effect_says_so_and_names_the_pair(complete, better):
    row = sentences.target_row(complete)
    at, value = complete.candidates.index(row), complete.contributions.values[2]
    place = float(row.rank - 4 if better else row.rank + 4)
    places = [list(line) for line in complete.list_effects.without.value]
    places[2][at] = place
    table = PlaceTable(value=places, low=places, high=places)
    effects = complete.list_effects.model_copy(update={"without": table})
    text = _plain(sentences.demonstration(complete.model_copy(update={"list_effects": effects}), 2))
    opposite = better == (value > 0)
    assert ("Yet with only this one taken out" in text) == opposite
    assert ("D1 and D3 together do less than apart" in text) == opposite


@pytest.mark.parametrize(
    ("agreement", "words"),
    [(0.9, "are right in their order"), (0.6, "are roughly right"), (0.2, "are weak: trust the measured ones")],
)
def test_rank_agreement_stands_beside_lds(complete, agreement, words):
    made = complete.contributions.model_copy(update={"rank_agreement": agreement})
    note = sentences.faithfulness_note(complete.model_copy(update={"contributions": made}))
    assert words in note.places
    assert f"rank agreement {agreement:.2f}" in note.places


def test_the_selection_in_words_has_the_targets_place_once(complete):
    at = complete.target_index
    target = complete.candidates[at]
    standing = sentences.standing(target, 20)
    assert _plain(standing) == "◆ Dead Man Walking (1995) is 7th of 20, 3rd without demonstrations."
    assert words(complete, complete, None, None) == words(complete, complete, None, target.item_id)
    assert words(complete, complete, None, None).startswith(f"{standing} <span")
    assert words(complete, complete, 2, None) == f"{sentences.demonstration(complete, 2)} {standing}"
    other = complete.candidates[at - 1]
    shown = about(complete, target_of(complete, "field", other.item_id))
    assert words(complete, shown, 2, other.item_id) == f"{sentences.demonstration(shown, 2)} {standing}"
    turning = sentences.turning(complete, other)
    assert words(complete, shown, None, other.item_id) == f"{sentences.standing(other, 20)} {turning} {standing}"


@pytest.mark.parametrize("lds", [0.9, 0.62])
def test_the_short_note_has_both_measurements(example, lds):
    note = sentences.faithfulness_note(example.explanation(lds=lds))
    word, place = ("strong", "strong") if lds > 0.8 else ("fair", "fair")
    high = min(1.0, lds + 0.15)
    assert note.short == (
        f"effects {word}, LDS {lds:.2f} ({lds - 0.2:.2f} to {high:.2f}); places {place}, rank agreement {lds - 0.1:.2f}"
    )


def test_hostile_titles_are_escaped(example):
    record = example.explanation(titles=["<script>alert(1)</script>"] * 28)
    for told in (
        sentences.headline(record),
        sentences.lead(record),
        sentences.demonstration(record, 0),
        of_pair(record, 0, 0),
        words(record, record, None, None),
    ):
        assert "<script" not in told
