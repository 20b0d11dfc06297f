"""Lists to rank: an item that a user liked next among items that the user had not met by then.

Nothing at or after the moment of an example enters its list: neither demonstrations, of whomever, nor the likes by
which popular candidates are drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from core.data.cases import drawn_by_weight, met_before
from core.data.dataset import Dataset
from core.data.records import Case, Interaction, Strategy
from core.data.strategies import pick
from core.errors import DataError, RequestError
from core.tuning.examples import Example


@dataclass(frozen=True)
class ListExample:
    """One list, and the prompt before it."""

    example: Example
    candidates: tuple[str, ...]
    """Item ids; the first is the item really liked next."""


def earlier_of(dataset: Dataset, example: Example) -> tuple[Interaction, ...]:
    """What the user met strictly before the example's moment; without timestamps, at lower positions."""
    return met_before(dataset.history(example.user_id), example.position, example.timestamp)


def rankable(dataset: Dataset, examples: Iterable[Example]) -> tuple[Example, ...]:
    """Those whose user had not met every other item by then, in order.

    Raises `DataError` where there are none.
    """
    items = len(dataset.catalogue.ids)

    def has_others(example: Example) -> bool:
        most = example.position + 1  # Items met and the item itself, if none was met twice.
        if most < items:
            return True
        return len({example.item_id, *(row.item_id for row in earlier_of(dataset, example))}) < items

    rows = tuple(filter(has_others, examples))
    if not rows:
        raise DataError("every user had met every item", expected="others to rank against")
    return rows


def with_demonstrations(dataset: Dataset, example: Example, strategy: Strategy, *, count: int, history: int) -> Example:
    """The example with at most `count` demonstrations that a strategy picks at its moment, in prompt order."""
    if count == 0:
        return replace(example, demos=())
    case = Case(
        dataset_id=dataset.dataset_id,
        user_id=example.user_id,
        split="time",
        history=earlier_of(dataset, example),
        candidates=(),
        target=None,
        moment=example.timestamp,
        seed=0,
    )
    return replace(example, demos=pick(dataset, case, k=count, strategy=strategy, history=history))


def with_candidates(
    dataset: Dataset,
    example: Example,
    *,
    count: int,
    popular: float,
    random: np.random.Generator,
) -> ListExample:
    """The example's item among `count - 1` others that its user had not met by then.

    A share `popular` of the others is drawn by likes strictly before the moment, the rest uniformly; fewer where the
    catalogue has no more. Raises `RequestError` where it has none.
    """
    catalogue, likes = dataset.catalogue, dataset.likes
    met = {row.item_id for row in earlier_of(dataset, example)}
    free = catalogue.others({*met, example.item_id})
    if not free.size:
        raise RequestError(f"user {example.user_id[:80]} had met every item", expected="others to rank against")
    counts = likes.counts(free, likes.bound(example.timestamp, example.position))
    often = drawn_by_weight(free, counts, round(popular * (count - 1)), random)
    rest = np.setdiff1d(free, often)
    uniform = drawn_by_weight(rest, np.ones(rest.size), count - 1 - len(often), random)
    others = (catalogue.ids[int(place)] for place in (*often, *uniform))
    return ListExample(example, (example.item_id, *others))
