"""Held-out choices of a user, and how well a prompt predicts them.

They lie strictly before the case's moment, so the case's target is never among them; each becomes a case of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from core.data.cases import draw_items
from core.data.dataset import Dataset
from core.data.records import Case, Demonstration, Interaction, Sampling
from core.errors import DataError
from core.prompt.families import FAMILIES, Family
from core.seeds import generator
from core.words import brief, counted

if TYPE_CHECKING:
    from core.metrics.intervals import Floats

Objective = Literal["margin", "truth"]
"""What `yes_no` is judged by: `margin` over items the user never met, or the log-odds of the `truth` alone."""

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
    dataset: Dataset,
    case: Case,
    *,
    count: int,
    negatives: int,
    both_answers: bool,
    sampling: Sampling = "uniform",
    history: int = 5,
) -> tuple[HeldOut, ...]:
    """At most `count` of the user's latest choices before the case's moment, oldest first.

    Each needs an interaction strictly before it and, in data with ratings, a rating. With `both_answers`, up to half
    are disliked ones (`Dataset.liked`) where there are any. Candidates are the choice and `negatives` items the user
    never met, drawn by `sampling` and seeded by the case and the choice. `history` titles are shown, one of
    which `shortened` lacks. Raises `DataError` where the user has no choice to hold out.
    """
    usable = [choice for choice in case.history if dataset.is_rated(choice) and _strictly_before(case.history, choice)]
    if not usable:
        raise DataError(
            f"user {brief(case.user_id)} has {counted(len(case.history), 'interaction')} before the case's moment"
            " and none that can be held out",
            expected="at least 2 at different times: one to hold out and one before it",
        )
    chosen = _both(dataset, usable[-REACH * count :], count) if both_answers else usable[-count:]
    return tuple(_as_case(dataset, case, choice, negatives, sampling, history) for choice in chosen)


def is_before(demo: Demonstration, at: float | None, held: HeldOut) -> bool:
    """Whether a demonstration with timestamp `at` lies strictly before a held-out choice.

    Without timestamps positions are compared, as if all users had started together.
    """
    if at is None or held.case.moment is None:
        return demo.position < held.position
    return at < held.case.moment


def prediction_score(scores: Floats, held: HeldOut, family: Family, objective: Objective) -> float:
    """How well scores [candidate], the choice's first, predict a held-out choice; higher is better, nats.

    `next_item`: log of the choice's softmax share among its candidates. `yes_no`: score of the choice less the mean
    of the items never met, so that a prompt that says Yes to everything gains nothing; or the choice's score alone
    (`truth`). The sign turns for a disliked choice, whose true answer is No.
    """
    if FAMILIES[family].scores == "title":
        return float(scores[0] - np.logaddexp.reduce(scores))
    baseline = scores[1:].mean() if objective == "margin" and len(scores) > 1 else 0.0
    return float((scores[0] - baseline) * (1 if held.liked else -1))


def _strictly_before(history: tuple[Interaction, ...], choice: Interaction) -> tuple[Interaction, ...]:
    if choice.timestamp is None:
        return history[: choice.position]
    moment = choice.timestamp
    return tuple(
        earlier for earlier in history[: choice.position] if earlier.timestamp is None or earlier.timestamp < moment
    )


def _both(dataset: Dataset, usable: list[Interaction], count: int) -> list[Interaction]:
    """The latest `count`, but up to half of them disliked ones; what one kind lacks the other fills."""
    liked = [choice for choice in usable if dataset.liked(choice)]
    disliked = [choice for choice in usable if not dataset.liked(choice)]
    no = min(len(disliked), max(count // 2, count - len(liked)))
    yes = count - no
    chosen = (liked[-yes:] if yes else []) + (disliked[-no:] if no else [])
    return sorted(chosen, key=lambda choice: choice.position)


def _as_case(
    dataset: Dataset, case: Case, choice: Interaction, negatives: int, sampling: Sampling, history: int
) -> HeldOut:
    held_case = replace(
        case,
        history=_strictly_before(case.history, choice),
        candidates=(choice.item_id, *_never_met(dataset, case, choice, negatives, sampling)),
        target=choice.item_id,
        moment=choice.timestamp,
    )
    random = generator(case.dataset_id, case.user_id, choice.position, "shortened history", case.seed)
    shortened = replace(held_case, history=_one_less(held_case.history, history, dataset.liked, random))
    return HeldOut(case=held_case, position=choice.position, liked=dataset.liked(choice), shortened=shortened)


def _never_met(dataset: Dataset, case: Case, choice: Interaction, count: int, sampling: Sampling) -> tuple[str, ...]:
    """`count` items (fewer where the catalogue has no more) that the user never met; the case's target is none."""
    met = {row.item_id for row in dataset.history(case.user_id)} | ({case.target} if case.target is not None else set())
    random = generator(case.dataset_id, case.user_id, choice.position, "held out", sampling, case.seed)
    return tuple(draw_items(dataset.catalogue, dataset.catalogue.others(met), count, sampling, random))


def _one_less(
    met: tuple[Interaction, ...], titles: int, liked: Callable[[Interaction], bool], random: np.random.Generator
) -> tuple[Interaction, ...]:
    """The history without one, drawn at random, of its latest `titles` liked interactions."""
    positions = [interaction.position for interaction in met if liked(interaction)][-titles:] if titles else []
    if not positions:
        return met
    dropped = positions[int(random.integers(len(positions)))]
    return tuple(interaction for interaction in met if interaction.position != dropped)
