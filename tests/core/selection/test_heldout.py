"""Held-out choices: known before the case, each judged at its own moment, and scored by plain formulas."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from core.data.cases import case_of
from core.data.records import Case, Interaction
from core.errors import DataError
from core.selection.heldout import HeldOut, held_out, is_before, prediction_score, split_off
from core.selection.members import pool_of


def _held(dataset, case, **choices):
    return held_out(dataset, case, **{"count": 3, "negatives": 4, "family": "next_item", "history": 3, **choices})


def test_held_out_choices_are_the_latest_before_the_case_and_never_its_target(films):
    case = case_of(films, "u")
    held = _held(films, case)
    assert [one.position for one in held] == [6, 8, 9], "7 and 10 are disliked, and titles are asked of what is liked"
    assert [one.case.target for one in held] == [case.history[place].item_id for place in (6, 8, 9)]
    for one in held:
        assert one.case.moment < case.moment
        assert all(met.timestamp < one.case.moment for met in one.case.history)
        assert case.target not in one.case.candidates


def test_candidates_are_the_choice_first_and_items_never_met(films):
    met = {one.item_id for one in films.history("u")}
    for one in _held(films, case_of(films, "u")):
        assert one.case.candidates[0] == one.case.target
        assert len(set(one.case.candidates)) == 5
        assert not met & set(one.case.candidates[1:])


def test_with_both_answers_up_to_half_are_disliked(films):
    held = _held(films, case_of(films, "u"), count=4, family="yes_no")
    assert [(one.position, one.liked) for one in held] == [(7, False), (8, True), (9, True), (10, False)]


def test_one_answer_alone_fills_every_place(made):
    lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    lines += [f"u\t{n}\t{5 if n else 1}\t{n}" for n in range(9)]
    dataset = made(lines)
    held = _held(dataset, case_of(dataset, "u"), count=4, family="yes_no")
    assert [one.position for one in held] == [4, 5, 6, 7]
    assert all(one.liked for one in held)


def test_equal_content_gives_equal_choices_and_another_seed_other_negatives(films):
    case = case_of(films, "u")
    assert _held(films, case) == _held(films, case)
    other = _held(films, replace(case, seed=1), negatives=8)
    assert [one.case.candidates for one in _held(films, case, negatives=8)] != [one.case.candidates for one in other]


def test_an_interaction_of_the_same_second_is_not_in_the_history(made):
    lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    lines += [f"u\t{n}\t{4 + n % 2}\t{time}" for n, time in enumerate((1, 2, 5, 5, 9))]
    dataset = made(lines)
    held = _held(dataset, case_of(dataset, "u"))
    assert [(one.position, len(one.case.history)) for one in held] == [(1, 1), (2, 2), (3, 2)]


def test_without_times_positions_count(made):
    dataset = made(["user_id:token\titem_id:token\trating:float", *(f"u\t{n}\t{1 + n % 5}" for n in range(6))])
    held = _held(dataset, case_of(dataset, "u"))
    assert [(one.position, len(one.case.history)) for one in held] == [(3, 3), (4, 4)], "liked ones"
    assert all(one.case.moment is None for one in held)


def test_a_user_with_too_little_history_is_told_what_is_needed(made):
    dataset = made(["user_id:token\titem_id:token\ttimestamp:float", "u\t1\t1", "u\t2\t2", "v\t1\t1", "v\t3\t9"])
    with pytest.raises(DataError, match=r"1 interaction before .* none that can be held out; expected at least 2"):
        _held(dataset, case_of(dataset, "u"))


def test_a_single_choice_judges_no_set(made):
    dataset = made(["user_id:token\titem_id:token\ttimestamp:float", *(f"u\t{n}\t{n}" for n in range(3)), "v\t5\t0"])
    with pytest.raises(DataError, match=r"2 interactions before .* and 1 that can be held out; expected at least 2"):
        _held(dataset, case_of(dataset, "u"))


def test_a_user_who_liked_next_to_nothing_has_disliked_titles_held_out_too(made):
    lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    lines += [f"u\t{n}\t{1 + 4 * (n == 3)}\t{n}" for n in range(6)]
    dataset = made([*lines, "v\t7\t1\t1"])
    assert [(one.position, one.liked) for one in _held(dataset, case_of(dataset, "u"))] == [
        (2, False),
        (3, True),
        (4, False),
    ]


@pytest.mark.parametrize(
    ("count", "judging", "confirming", "expected"),
    [
        (16, 8, 8, (8, 8)),
        (10, 8, 8, (5, 5)),
        (10, 2, 8, (2, 8)),
        (10, 8, 2, (8, 2)),
        (3, 8, 8, (2, 1)),
        (2, 8, 8, (2, 0)),
        (9, 8, 0, (8, 0)),
        (5, 8, 8, (3, 2)),
    ],
)
def test_the_newest_choices_confirm_and_at_least_two_older_ones_judge(count, judging, confirming, expected):
    numbers = tuple(range(count))
    older, newest = split_off(numbers, judging=judging, confirming=confirming)
    assert (len(older), len(newest)) == expected
    assert (*older, *newest) == numbers[count - sum(expected) :]


def test_the_shortened_case_lacks_one_shown_title(films):
    for one in _held(films, case_of(films, "u")):
        gone = set(one.case.history) - set(one.shortened.history)
        shown = [met for met in one.case.history if films.liked(met)][-3:]
        assert len(gone) == 1
        assert gone < set(shown)


def test_no_shown_history_is_not_shortened(films):
    assert all(one.shortened == one.case for one in _held(films, case_of(films, "u"), history=0))


def _one(liked: bool) -> HeldOut:
    case = Case("d", "u", "last", (Interaction("1", 0, None, 1.0),), ("2", "3", "4"), "2", 5.0, 0)
    return HeldOut(case, 1, liked, case)


def test_scores_follow_their_formulas():
    scores = np.array([1.0, 0.5, -1.5])
    assert prediction_score(scores, _one(True), "yes_no", "margin") == pytest.approx(1.0 - (0.5 - 1.5) / 2)
    assert prediction_score(scores, _one(False), "yes_no", "margin") == pytest.approx(-1.5)
    assert prediction_score(scores, _one(False), "yes_no", "truth") == -1.0
    assert prediction_score(scores[:1], _one(True), "yes_no", "margin") == 1.0
    share = 1.0 - math.log(math.e + math.exp(0.5) + math.exp(-1.5))
    assert prediction_score(scores, _one(True), "next_item", "log_share") == pytest.approx(share)
    assert prediction_score(scores, _one(False), "next_item", "log_share") == pytest.approx(share), "titles: no answer"
    turned = -1.0 - math.log(math.exp(-1) + math.exp(-0.5) + math.exp(1.5))
    assert prediction_score(scores, _one(False), "yes_no", "log_share") == pytest.approx(turned)


def test_the_gain_of_a_place_is_that_of_the_choice_among_its_negatives():
    scores = np.array([0.5, 1.0, -1.5, 0.7])
    assert prediction_score(scores, _one(True), "next_item", "ndcg") == pytest.approx(1 / math.log2(4))
    assert prediction_score(scores, _one(False), "yes_no", "ndcg") == pytest.approx(1 / math.log2(3)), "second lowest"


def test_a_prompt_that_says_yes_to_everything_gains_nothing():
    scores = np.array([1.0, 0.5, -1.5])
    for liked in (True, False):
        assert prediction_score(scores + 7, _one(liked), "yes_no", "margin") == pytest.approx(
            prediction_score(scores, _one(liked), "yes_no", "margin")
        )


def test_only_what_is_strictly_older_is_before_a_choice(films):
    held = _held(films, case_of(films, "u"))
    demo = pool_of(films, held, size=6, history=2)[0].here
    assert is_before(demo, held[0].case.moment - 1, held[0])
    assert not is_before(demo, held[0].case.moment, held[0])
    assert not is_before(replace(demo, position=8), None, held[0])


def test_what_is_not_rated_is_never_held_out(made):
    lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    lines += [f"u\t{n}\t{rating}\t{n}" for n, rating in enumerate([3, 5, 0, 1, 0, 4, 0, 2])]
    lines += ["v\t8\t3\t1", "v\t9\t3\t2"]
    dataset = made(lines)
    held = _held(dataset, case_of(dataset, "u", candidates=3), count=4, negatives=1, family="yes_no")
    assert [(one.position, one.liked) for one in held] == [(1, True), (3, False), (5, True)]
