"""Held-out choices of a user, and how well a prompt predicts them.

They lie strictly before the case's moment, so the case's target is never among them; each becomes a case of its own.
The older ones judge sets, the newer ones confirm the set found: no search has read them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from core.data.cases import met_before
from core.data.dataset import Dataset
from core.data.records import Case, Demonstration, Interaction
from core.errors import DataError
from core.prompt.families import FAMILIES, Family
from core.seeds import generator
from core.selection.negatives import matched_negatives
from core.selection.objectives import OBJECTIVES, Objective
from core.words import brief, counted

if TYPE_CHECKING:
    from core.metrics.intervals import Floats

LEAST = 2
"""Fewest choices that sets are judged on."""
REACH = 4
"""Held-out choices lie among the user's latest `REACH` times as many: an old dislike says little about today."""


@dataclass(frozen=True)
class HeldOut:
    """A past choice as a case of its own: history strictly before it, itself as target and first candidate."""

    case: Case
    position: int
    """Place of the choice in the user's history, from 0."""
    liked: bool
    shortened: Case
    """The same case with one title of the shown history left out: a small change that should not matter."""


def held_out(
    dataset: Dataset, case: Case, *, count: int, negatives: int, family: Family, history: int = 5
) -> tuple[HeldOut, ...]:
    """At most `count` of the user's latest choices before the case's moment, oldest first.

    Each needs an interaction strictly before it and, in data with ratings, a rating. Where the family has Yes and No as
    answers, up to half are disliked ones (`Dataset.liked`); where it asks for titles, liked ones only, if there are
    `LEAST`. Candidates are the choice and `negatives` items as popular that the user never met (`matched_negatives`).
    `history` titles are shown, one of which `shortened` lacks. Raises `DataError` where fewer than `LEAST` choices can
    be held out.
    """
    usable = [choice for choice in case.history if dataset.is_rated(choice) and _earlier(case.history, choice)]
    if len(usable) < LEAST:
        raise DataError(
            f"user {brief(case.user_id)} has {counted(len(case.history), 'interaction')} before the case's moment"
            f" and {len(usable) or 'none'} that can be held out",
            expected=f"at least {LEAST} that can, each with one at an earlier time before it",
        )
    chosen = _chosen(dataset, usable, count, family)
    return tuple(_as_case(dataset, case, choice, negatives, history) for choice in chosen)


def split_off(
    held: Sequence[HeldOut], *, judging: int, confirming: int
) -> tuple[tuple[HeldOut, ...], tuple[HeldOut, ...]]:
    """The older choices, which judge sets, and the newest, which confirm; at most so many of each.

    Where they are too few for both, half of them confirm, but at least `LEAST` judge.
    """
    count = len(held)
    newest = max(0, min(confirming, max(count // 2, count - judging), count - LEAST))
    older = held[: count - newest]
    return tuple(older[-judging:]), tuple(held[count - newest :])


def is_before(demo: Demonstration, at: float | None, held: HeldOut) -> bool:
    """Whether a demonstration with timestamp `at` lies strictly before a held-out choice.

    Without timestamps positions are compared, as if all users had started together.
    """
    if at is None or held.case.moment is None:
        return demo.position < held.position
    return at < held.case.moment


def prediction_score(scores: Floats, held: HeldOut, family: Family, objective: Objective) -> float:
    """How well scores [candidate], the choice's first, predict a held-out choice by an objective; higher is better.

    For a disliked choice, whose true answer is No, all signs turn: its score should be the lowest.
    """
    sign = 1.0 if held.liked or not FAMILIES[family].labelled else -1.0
    return OBJECTIVES[objective].score(sign * scores)


def _earlier(history: tuple[Interaction, ...], choice: Interaction) -> tuple[Interaction, ...]:
    return met_before(history, choice.position, choice.timestamp)


def _chosen(dataset: Dataset, usable: list[Interaction], count: int, family: Family) -> list[Interaction]:
    if not dataset.has_ratings:
        return usable[-count:]
    if FAMILIES[family].labelled:
        return _both(dataset, usable[-REACH * count :], count)
    liked = [choice for choice in usable if dataset.liked(choice)]
    return (liked if len(liked) >= LEAST else usable)[-count:]


def _both(dataset: Dataset, usable: list[Interaction], count: int) -> list[Interaction]:
    """The latest `count`, but up to half of them disliked ones; what one kind lacks the other fills."""
    liked = [choice for choice in usable if dataset.liked(choice)]
    disliked = [choice for choice in usable if not dataset.liked(choice)]
    no = min(len(disliked), max(count // 2, count - len(liked)))
    yes = count - no
    chosen = (liked[-yes:] if yes else []) + (disliked[-no:] if no else [])
    return sorted(chosen, key=lambda choice: choice.position)


def _as_case(dataset: Dataset, case: Case, choice: Interaction, negatives: int, history: int) -> HeldOut:
    held_case = replace(
        case,
        history=_earlier(case.history, choice),
        candidates=(choice.item_id, *matched_negatives(dataset, case, choice, negatives)),
        target=choice.item_id,
        moment=choice.timestamp,
    )
    random = generator(case.dataset_id, case.user_id, choice.position, "shortened history", case.seed)
    shortened = replace(held_case, history=_one_less(held_case.history, history, dataset.liked, random))
    return HeldOut(case=held_case, position=choice.position, liked=dataset.liked(choice), shortened=shortened)


def _one_less(
    met: tuple[Interaction, ...], titles: int, liked: Callable[[Interaction], bool], random: np.random.Generator
) -> tuple[Interaction, ...]:
    """The history without one, drawn at random, of its latest `titles` liked interactions."""
    positions = [interaction.position for interaction in met if liked(interaction)][-titles:] if titles else []
    if not positions:
        return met
    dropped = positions[int(random.integers(len(positions)))]
    return tuple(interaction for interaction in met if interaction.position != dropped)
