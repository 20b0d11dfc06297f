"""The search for the smallest flip set against brute force over all subsets of small games."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from core.analysis.explain.ablation import banzhaf_of_table
from core.analysis.explain.explanation import FlipSet
from core.analysis.explain.flip_record import flip_set
from core.analysis.explain.flip_set import LEVELS, WIDE, FlipSearch, _grown
from core.analysis.explain.flip_words import flip_sentence, set_words
from core.analysis.explain.list_posterior import Guesses, ListPosterior
from core.analysis.values import Array, Masks, all_masks
from core.metrics.ranking import ranks
from core.question.flip_goals import FLIP_GOALS, FlipGoal, places_of


@dataclass
class TableGame:
    """A list whose scores [subset, candidate] are known at every subset, of which a search sees what it measures."""

    table: Array
    guesses: Guesses
    masks: Masks = field(init=False)

    def __post_init__(self) -> None:
        self.demos = int(np.log2(len(self.table)))
        self.masks = all_masks(self.demos)[[0, -1]]

    def scores(self) -> Array:
        return np.asarray(self.table[self.masks @ (1 << np.arange(self.demos))])

    def posterior(self) -> ListPosterior:
        return ListPosterior(self.masks, self.scores(), self.guesses)

    def measure(self, masks: Masks) -> None:
        self.masks = np.concatenate([self.masks, masks])


def game(table: Array, target: int = 0) -> TableGame:
    """With the true contributions, a little off, as gradients."""
    demos = int(np.log2(len(table)))
    noise = 0.2 * np.random.default_rng(0).standard_normal(demos)
    mean = table.mean(axis=1)
    effects, own = (banzhaf_of_table(each, demos) for each in (mean, table[:, target] - mean))
    return TableGame(table, Guesses(effects + noise, {target: own + noise}))


def searched(of: TableGame, goal: FlipGoal, target: int = 0, rival: int | None = None, passes: int = 8) -> FlipSet:
    search = FlipSearch(of, goal, target, rival)
    search.verify(passes)
    return flip_set(search)


def reaches(table: Array, goal: FlipGoal, target: int, rival: int) -> list[bool]:
    """Of every subset, whether it reaches the goal: written without the code under test."""
    places = [ranks(scores)[target] for scores in table]
    full, empty = places[-1], places[0]
    match goal:
        case "empty":
            return [place >= empty > full or place <= empty < full for place in places]
        case "first":
            return [place == 1 for place in places]
    ahead = [scores[target] > scores[rival] for scores in table]
    level = [scores[target] == scores[rival] for scores in table]
    return [not before and not tie if ahead[-1] else before for before, tie in zip(ahead, level, strict=True)]


@some.composite
def tables(draw: some.DrawFn) -> Array:
    """Scores [subset, candidate] of 1 to 4 demonstrations and 2 to 4 candidates, with many ties."""
    demos, candidates = draw(some.integers(1, 4)), draw(some.integers(2, 4))
    rows = draw(some.lists(some.integers(0, 3), min_size=2**demos * candidates, max_size=2**demos * candidates))
    return np.array(rows, dtype=np.float64).reshape(2**demos, candidates)


@given(table=tables(), goal=some.sampled_from(sorted(FLIP_GOALS)), passes=some.integers(0, 8))
@settings(max_examples=60, deadline=None)
def test_every_set_has_its_true_place_and_none_smaller_is_missed_where_that_is_claimed(
    table: Array, goal: FlipGoal, passes: int
) -> None:
    rival = 1 if FLIP_GOALS[goal].needs_rival else None
    record = searched(game(table), goal, 0, rival, passes)
    demos = int(np.log2(len(table)))
    truth = reaches(table, goal, 0, 1)
    removed = [demos - int(mask.sum()) for mask in all_masks(demos)]
    sizes = [size for size, does in zip(removed, truth, strict=True) if does]
    assert record.passes <= passes
    for row in record.sets:
        number = sum(1 << demo for demo in range(demos) if demo not in row.left_out)
        assert row.place == ranks(table[number])[0]
        assert row.reached == truth[number]
    if truth[-1] or (goal == "empty" and not any(truth)):
        assert record.status == "nothing"
        return
    assert record.status != "nothing"
    assert (record.left_out is None) == (record.status == "none")
    assert (record.status == "all") == (record.left_out is not None and len(record.left_out) == demos)
    if record.left_out is not None:
        assert len(record.left_out) >= min(sizes)
    if record.smallest:
        assert record.left_out is not None
        assert len(record.left_out) == min(sizes)
    if truth[0]:
        assert record.status in ("verified", "all")


def additive(effects: Array) -> Array:
    """Scores [subset, candidate] that are sums of effects [demo, candidate]."""
    return np.asarray(all_masks(len(effects)) @ effects)


def test_smallest_sets_of_games_with_interactions_are_found_in_eight_passes() -> None:
    exists = found = smallest = nearly = 0
    for seed in range(16):
        rng = np.random.default_rng(seed)
        table = additive(rng.normal(size=(6, 8))) + 0.3 * rng.normal(size=(64, 8))
        truth, removed = reaches(table, "empty", 0, 1), 6 - all_masks(6).sum(axis=1)
        sizes = removed[np.array(truth) & (removed < 6)]
        if not any(truth) or not len(sizes):
            continue
        record = searched(game(table), "empty")
        exists += 1
        size = 99 if record.status != "verified" or record.left_out is None else len(record.left_out)
        found += size < 99
        smallest += size == sizes.min()
        nearly += size <= sizes.min() + 1
    assert exists >= 10
    assert found >= 0.9 * exists
    assert smallest >= 0.6 * exists
    assert nearly >= 0.85 * exists


def test_a_beam_finds_the_two_of_twelve_that_hold_the_item_back() -> None:
    effects = np.zeros((12, 4))
    effects[[3, 7], 0] = -3.0
    effects[:, 1:] = 0.01
    start = np.array([2.5, 0.0, -1.0, -2.0])
    record = searched(game(additive(effects) + start), "empty")
    assert (record.status, record.left_out, record.place_full, record.place) == ("verified", (3, 7), 4, 1)


def test_removing_all_is_the_answer_where_nothing_smaller_does_it() -> None:
    table = np.zeros((8, 2))
    table[:, 1] = 1.0
    table[0, 0] = 2.0
    record = searched(game(table), "empty")
    assert (record.status, record.left_out, record.place_full, record.place_empty) == ("all", (0, 1, 2), 2, 1)
    assert "removing all" in flip_sentence(record, 3).lower()


def test_a_single_demonstration_is_all_there_is() -> None:
    record = searched(game(np.array([[1.0, 0.0], [0.0, 1.0]])), "empty")
    assert (record.status, record.left_out, record.smallest, record.passes) == ("all", (0,), True, 0)
    assert flip_sentence(record, 1) == (
        "Removing the only demonstration brings the item from 2nd to 1st, its place without demonstrations."
    )


def test_what_is_foretold_of_a_set_is_what_the_model_said_before_its_pass() -> None:
    rng = np.random.default_rng(3)
    table = additive(rng.normal(size=(5, 6))) + 0.3 * rng.normal(size=(32, 6))
    searches = []
    for passes in range(4):
        searches.append(FlipSearch(game(table), "empty", 0, seed=2))
        searches[-1].verify(passes)
    for before, after in pairwise(searches):
        (mask,) = set(after.foretold) - set(before.foretold)
        places = before.work.posterior().places(np.frombuffer(mask, dtype=bool)[None], seed=2)
        expected = [part[0, 0] for part in (places.value, places.low, places.high)]
        (row,) = [row for row in flip_set(after).sets if row.foretold == after.foretold[mask].probability]
        assert row.predicted is not None
        assert [row.predicted.value, row.predicted.low, row.predicted.high] == expected


def test_lists_are_ranked_once_for_the_same_prompts() -> None:
    table = additive(np.array([[-3.0, 0.0], [0.1, 0.0], [-3.0, 0.0]])) + np.array([1.0, 0.0])
    search = FlipSearch(game(table), "first", 0)
    assert search.smallest is search.smallest
    assert search.smallest.tolist() == [[False, False, False]]
    search.work.measure(np.array([[False, True, True], [False, True, False]]))
    assert search.smallest.tolist() == [[False, True, False]]
    assert search.limit == 2


def test_prompts_measured_before_cost_no_pass() -> None:
    table = additive(np.array([[-3.0, 0.0], [0.1, 0.0], [0.1, 0.0]])) + np.array([1.0, 0.0])
    of = game(table)
    of.measure(np.array([[False, True, True]]))
    record = searched(of, "first")
    assert (record.status, record.left_out, record.passes, record.smallest) == ("verified", (0,), 0, True)
    assert record.sets[0].foretold is None
    assert flip_sentence(record, 3) == "Without D1 the item goes from 2nd to 1st."


@pytest.mark.parametrize(("scores", "place"), [([2.0, 2.0, 1.0], 1.5), ([1.0, 2.0, 3.0], 3.0), ([1.0, 1.0, 1.0], 2.0)])
def test_equal_scores_share_the_middle_of_their_places(scores: list[float], place: float) -> None:
    assert places_of(np.array(scores), 0) == place == ranks(np.array(scores))[0]


def test_a_rival_is_passed_both_ways() -> None:
    table = additive(np.array([[-3.0, 0.0], [0.1, 0.0]])) + np.array([1.0, 0.0])
    up, down = (searched(game(each), "rival", 0, 1) for each in (table, table[:, ::-1]))
    assert (up.left_out, up.ahead_of_rival) == ((0,), False)
    assert (down.left_out, down.ahead_of_rival) == ((0,), True)


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ((), "With all 4"),
        ((2,), "Without D3"),
        ((3, 0), "Without D1 and D4"),
        ((0, 1, 2), "With D4 only"),
        ((0, 1, 2, 3), "Without any"),
    ],
)
def test_a_set_is_told_by_the_fewer_demonstrations(out: tuple[int, ...], words: str) -> None:
    assert set_words(out, 4) == words


@dataclass
class ManyGame:
    """A list of two whose first item's score is the sum of effects [demo] of the demonstrations in the prompt."""

    effects: Array
    masks: Masks = field(init=False)

    def __post_init__(self) -> None:
        self.masks = np.array([np.zeros(len(self.effects)), np.ones(len(self.effects))], dtype=bool)

    def scores(self) -> Array:
        first = self.masks @ self.effects
        return np.column_stack([first, np.full(len(first), 0.5)])

    def posterior(self) -> ListPosterior:
        return ListPosterior(self.masks, self.scores(), Guesses(self.effects / 2, {0: self.effects / 2}))

    def measure(self, masks: Masks) -> None:
        self.masks = np.concatenate([self.masks, masks])


def test_the_one_of_many_that_carries_the_place_is_found_in_few_looks() -> None:
    effects = np.full(WIDE + 8, 0.001)
    effects[17] = 1.0
    looks: list[int] = []
    search = FlipSearch(ManyGame(effects), "empty", 0, between=lambda: looks.append(1))
    search.verify(4)
    assert [np.flatnonzero(~mask).tolist() for mask in search.smallest] == [[17]]
    assert len(looks) <= 4 * LEVELS


def test_sets_are_extended_by_every_demonstration_of_few() -> None:
    rows = np.ones((1, 5), dtype=bool)
    once = _grown(rows, range(5), 1, 5)
    assert sorted(map(tuple, ~once)) == sorted(map(tuple, np.eye(5, dtype=bool)))
    assert len(_grown(once, range(5), 1, 5)) == 10


def test_several_at_once_are_every_other_of_the_order() -> None:
    (row,) = np.ones((1, 6), dtype=bool)
    grown = _grown(row[None], [5, 0, 4, 1, 3, 2], 2, 2)
    assert sorted(np.flatnonzero(~each).tolist() for each in grown) == [[0, 1], [4, 5]]
