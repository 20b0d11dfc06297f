"""Demonstrations of a case, and the ids that name them.

A demonstration is one interaction with the liked items before it. What may be shown is what was known before the
case: interactions strictly before its moment (ties are out). Data without timestamps have no common clock; there
an interaction of another user may be shown when its position is below the target's, as if all had started together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from core.data.dataset import Dataset
from core.data.records import Case, Demonstration, Interaction, Strategy
from core.errors import DataError, RequestError
from core.words import brief


def by_ids(dataset: Dataset, case: Case, ids: Sequence[str], *, history: int) -> tuple[Demonstration, ...]:
    """The demonstrations named `user:position`, with `:yes` or `:no` behind to set the answer, in the given order.

    Raises `RequestError` for an id of another form, a repeated interaction, or one not before the case's moment,
    `DataError` for an unknown user or position.
    """
    demos: dict[tuple[str, int], Demonstration] = {}
    for demo_id in ids:
        user, position, answer = _parsed(demo_id)
        if (user, position) in demos:
            raise RequestError(f"demonstration {brief(demo_id)} is given twice", expected="distinct interactions")
        demos[user, position] = _by_hand(dataset, case, demo_id, user, position, answer, history)
    return tuple(demos.values())


def demonstration(
    dataset: Dataset, user: str, met: Sequence[Interaction], position: int, history: int, source: Strategy
) -> Demonstration:
    """The interaction at `position` of what a user `met`, with the latest `history` items liked before it."""
    interaction = met[position]
    liked = [earlier.item_id for earlier in met[:position] if dataset.liked(earlier)]
    return Demonstration(
        demo_id=f"{user}:{position}",
        user_id=user,
        position=position,
        history=tuple(liked[-history:]) if history > 0 else (),
        item_id=interaction.item_id,
        liked=dataset.liked(interaction),
        source=source,
    )


def _parsed(demo_id: str) -> tuple[str, int, bool | None]:
    """User, position and set answer of a demonstration id, read from the right: a user id may hold colons."""
    rest, colon, last = demo_id.rpartition(":")
    answer = {"yes": True, "no": False}.get(last) if colon else None
    if answer is not None:
        rest, colon, last = rest.rpartition(":")
    if not rest or not re.fullmatch(r"[0-9]{1,9}", last):
        expected = "user:position, user:position:yes or user:position:no"
        raise RequestError(f"demonstration {brief(demo_id)}", expected=expected)
    return rest, int(last), answer


def _by_hand(
    dataset: Dataset, case: Case, demo_id: str, user: str, position: int, answer: bool | None, history: int
) -> Demonstration:
    met = dataset.history(user)
    if position >= len(met):
        expected = f"a position from 0 to {len(met) - 1} for this user"
        raise DataError(f"demonstration {brief(demo_id)} does not exist", expected=expected)
    if not _is_before(case, met[position]):
        expected = "an interaction before the case's moment"
        raise RequestError(f"demonstration {brief(demo_id)} is not yet known to this case", expected=expected)
    if answer is None and not dataset.is_rated(met[position]):
        expected = f"an interaction with a rating, or {user}:{position}:yes or {user}:{position}:no"
        raise RequestError(f"demonstration {brief(demo_id)} has no rating, so its answer is unknown", expected=expected)
    plain = demonstration(dataset, user, met, position, history, "manual")
    if answer is None:
        return plain
    return replace(plain, demo_id=f"{plain.demo_id}:{'yes' if answer else 'no'}", liked=answer)


def _is_before(case: Case, interaction: Interaction) -> bool:
    if case.moment is None or interaction.timestamp is None:
        return interaction.position < len(case.history)
    return interaction.timestamp < case.moment
