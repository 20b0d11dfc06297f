"""The smallest removal that changes the target's place, and what the history does, in plain sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from core.analysis.explain.explanation import Explanation, FlipSet, HistoryRemoval
from core.metrics.ranking import Rank
from core.question.flip_goals import FlipGoal
from core.words import counted, ordinal

GOAL_WORDS: dict[FlipGoal, Callable[[FlipSet], str]] = {
    "empty": lambda flips: (
        f"from {ordinal(flips.place_full)} to {ordinal(flips.place_empty)}, its place without demonstrations"
    ),
    "first": lambda flips: f"from {ordinal(flips.place_full)} to first place",
    "rival": lambda flips: f"{'below' if flips.ahead_of_rival else 'above'} “{flips.rival_title}”",
}
"""Where a removal is to bring the item, behind `brings the item`."""


def flip_sentence(flips: FlipSet, demos: int) -> str:
    """What is known of the smallest removal; `demos` demonstrations stand in the prompt."""
    if flips.status == "nothing":
        return _nothing(flips)
    if flips.status == "verified" and flips.left_out and flips.place is not None:
        return _verified(flips, flips.left_out, flips.place, demos)
    goal, everything = GOAL_WORDS[flips.goal](flips), "the only demonstration" if demos == 1 else f"all {demos}"
    if flips.status == "none":
        return f"{_in_vain(flips, 'removal')} brings the item {goal}; removing {everything} does not either."
    if flips.smallest:
        return f"{'Removing' if demos == 1 else 'Only removing'} {everything} brings the item {goal}."
    return f"{_in_vain(flips, 'smaller removal')} brings the item {goal}; removing {everything} does."


def history_sentence(explanation: Explanation) -> str | None:
    """The interaction of the history without which the target's place changes most; None where none was measured."""
    at = _target_index(explanation)
    place = None if at is None else explanation.candidates[at].rank
    if not explanation.history_removals or at is None or place is None:
        return None
    row = max(explanation.history_removals, key=lambda removal: abs(removal.ranks[at] - place))
    if row.ranks[at] == place:
        return f"Without any one title of the history the item would still stand {ordinal(place)}."
    places = f"{ordinal(row.ranks[at])} instead of {ordinal(place)}"
    return f"Without {_title(row)} in the history the item would stand {places}."


def set_words(left_out: Iterable[int], demos: int) -> str:
    """`With all 8`, `Without D1 and D4`, `With D2 only`, `Without any`: what is left of `demos` demonstrations."""
    out = sorted(left_out)
    if not out or len(out) == demos:
        return "Without any" if out else f"With all {demos}"
    if 2 * len(out) <= demos:
        return f"Without {demo_labels(tuple(out))}"
    return f"With {demo_labels(tuple(demo for demo in range(demos) if demo not in out))} only"


def demo_labels(left_out: tuple[int, ...]) -> str:
    """`D1`, `D1 and D4`, `D1, D4 and D7`."""
    *before, last = [f"D{index + 1}" for index in left_out]
    return f"{', '.join(before)} and {last}" if before else last


def _nothing(flips: FlipSet) -> str:
    if flips.goal == "empty":
        return f"The item stands {ordinal(flips.place_full)} with and without the demonstrations."
    return f"The item stands {ordinal(flips.place_full)} already."


def _verified(flips: FlipSet, left_out: tuple[int, ...], place: Rank, demos: int) -> str:
    smaller = sum(len(row.left_out) < len(left_out) for row in flips.sets)
    end = (
        f" {counted(smaller, 'smaller removal')} {'was' if smaller == 1 else 'were'} tried in vain." if smaller else ""
    )
    if flips.smallest:
        end = "" if len(left_out) == 1 else " No smaller removal does that."
    way = f"{set_words(left_out, demos)} the item goes from {ordinal(flips.place_full)} to {ordinal(place)}"
    return f"{way}{_beside(flips)}.{end}"


def _beside(flips: FlipSet) -> str:
    """What the reached place is held against."""
    if flips.goal == "empty":
        return f" (without any demonstrations: {ordinal(flips.place_empty)})"
    return f", {GOAL_WORDS['rival'](flips)}" if flips.goal == "rival" else ""


def _in_vain(flips: FlipSet, noun: str) -> str:
    return f"None of {counted(flips.passes, noun)} tried" if flips.passes else f"No {noun} that was measured"


def _title(row: HistoryRemoval) -> str:
    moved = f" (“{row.moves_in}” takes its place)" if row.moves_in else ""
    return f"“{row.title}”{moved}"


def _target_index(explanation: Explanation) -> int | None:
    """Of the candidate that is explained, which may be another one than the run's."""
    ids = [row.item_id for row in explanation.candidates]
    return None if explanation.target is None else ids.index(explanation.target.item_id)
