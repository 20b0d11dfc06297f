"""The items of a data set, by id and in order."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.columns import CATEGORIES, ITEM, POPULARITY, TITLE
from core.data.records import Item
from core.errors import DataError
from core.words import brief


class Catalogue:
    """All items as an Arrow table in numeric-aware order of their ids; an `Item` is made when it is asked for."""

    def __init__(self, table: Any) -> None:
        self._titles, self._categories = table.column(TITLE), table.column(CATEGORIES)
        self.ids: tuple[str, ...] = tuple(table.column(ITEM).to_pylist())
        """Item ids in numeric-aware order."""
        self.popularity: NDArray[np.int64] = table.column(POPULARITY).to_numpy().astype(np.int64)
        """Interactions of each item, in the order of `ids`; shape (items,)."""

    @cached_property
    def places(self) -> dict[str, int]:
        """Place of each item id in `ids`."""
        return {item_id: place for place, item_id in enumerate(self.ids)}

    def __contains__(self, item_id: object) -> bool:
        return item_id in self.places

    def item(self, item_id: str) -> Item:
        """The item with this id. Raises `DataError` naming an unknown one."""
        place = self.places.get(item_id)
        if place is None:
            raise DataError(
                f"item {brief(item_id)} is not in this data set",
                expected=f"one of its {len(self.ids)} items, such as {self.ids[0]}",
            )
        return self._at(place)

    def items(self, item_ids: Iterable[str]) -> dict[str, Item]:
        """The items with these ids, in the given order. Raises `DataError` naming an unknown one."""
        return {item_id: self.item(item_id) for item_id in item_ids}

    def others(self, item_ids: Iterable[str]) -> NDArray[np.int64]:
        """Places of all items but these, rising; shape (items,)."""
        excluded = {self.places[item_id] for item_id in item_ids}
        return np.setdiff1d(np.arange(len(self.ids)), np.fromiter(excluded, dtype=np.int64), assume_unique=True)

    def _at(self, place: int) -> Item:
        return Item(
            item_id=self.ids[place],
            title=self._titles[place].as_py(),
            categories=tuple(self._categories[place].as_py()),
            popularity=int(self.popularity[place]),
        )

    @cached_property
    def all(self) -> tuple[Item, ...]:
        """Every item, in the order of `ids`."""
        rows = zip(self.ids, self._titles.to_pylist(), self._categories.to_pylist(), self.popularity, strict=True)
        return tuple(Item(item_id, title, tuple(kinds), int(met)) for item_id, title, kinds, met in rows)
