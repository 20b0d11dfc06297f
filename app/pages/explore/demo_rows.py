"""Which rows does the table of demonstrations have, and what has a person changed in them?"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from app.text import shortened
from app.widgets.demo_table.messages import Edit
from core.data.records import Item
from core.prompt.families import ANSWERS
from core.question.task import DemoRow

YES, NO = "Yes", "No"


@dataclass(frozen=True)
class Addition:
    """A demonstration that the result does not have."""

    item: Item
    liked: bool


@dataclass(frozen=True)
class RowState:
    """One row of the table: a demonstration of the result, or one that a person added."""

    key: str
    """The interaction, `user:position`: unlike the id of a demonstration it is the same whatever the answer."""
    demo_id: str
    """With the answer as the result has it, or as it was added."""
    title: str
    answer: str | None
    """`Yes` or `No` as it would be run; None where the prompt has no answers."""
    was: str | None
    """The same as the result has it, or as the data say of an added one."""
    index: int | None
    """Of the result's demonstrations; None where it was added."""
    stays: bool = True
    item: Item | None = None
    """Of one that was added, as far as the data know it."""

    @property
    def label(self) -> str:
        """`D3`; of an added one the beginning of its title."""
        return shortened(self.title, 24) if self.index is None else f"D{self.index + 1}"

    @property
    def flipped(self) -> bool:
        """Whether a person changed the answer."""
        return self.answer != self.was

    @property
    def run_id(self) -> str:
        """The id under which it would be run: a changed answer stands behind it."""
        return f"{self.key}:{str(self.answer).lower()}" if self.flipped else self.demo_id


def key_of(demo_id: str) -> str:
    """The interaction of a demonstration id, without the answer that may stand behind it."""
    return demo_id.removesuffix(":yes").removesuffix(":no")


def rows_of(
    demos: Sequence[DemoRow], ids: Sequence[str] | None, additions: Mapping[str, Addition], *, labelled: bool
) -> list[RowState]:
    """The rows of a result's demonstrations for a draft with the demonstrations `ids`; None is the result's own.

    The draft's come in its order; one that it leaves out stands behind the one that it followed in the result. Of an
    id that neither the result nor `additions` knows, the id is the title.
    """
    of_result = {key_of(row.demo_id): _shown(index, row, labelled) for index, row in enumerate(demos)}
    if ids is None:
        return list(of_result.values())
    rows = [_drafted(demo_id, of_result, additions, labelled) for demo_id in ids]
    before: str | None = None
    for key, row in of_result.items():
        keys = [each.key for each in rows]
        if key not in keys:
            rows.insert(0 if before is None else keys.index(before) + 1, replace(row, stays=False))
        before = key
    return rows


def _shown(index: int, row: DemoRow, labelled: bool) -> RowState:
    answer = (row.answer or YES) if labelled else None
    return RowState(key_of(row.demo_id), row.demo_id, row.title, answer, answer, index)


def _drafted(
    demo_id: str, of_result: Mapping[str, RowState], additions: Mapping[str, Addition], labelled: bool
) -> RowState:
    key, ending = key_of(demo_id), demo_id.rpartition(":")[2]
    answer = {"yes": YES, "no": NO}.get(ending) if key != demo_id else None
    if key in of_result:
        row = of_result[key]
        return replace(row, answer=answer or row.was if labelled else None)
    added = additions.get(demo_id)
    liked = answer != NO if added is None else added.liked
    word = ANSWERS[0 if liked else 1] if labelled else None
    item, title = (None, demo_id) if added is None else (added.item, added.item.title)
    return RowState(key, demo_id, title, word, word, None, item=item)


def with_addition(
    rows: Sequence[RowState], demo_id: str, item: Item, answer: str | None, instead: int | None
) -> list[RowState]:
    """The rows with a demonstration more: behind the last, or in the place of the result's demonstration `instead`."""
    added = RowState(key_of(demo_id), demo_id, item.title, answer, answer, None, item=item)
    if instead is None:
        return [*rows, added]
    place = next(place for place, row in enumerate(rows) if row.index == instead)
    return [*rows[:place], replace(rows[place], stays=False), added, *rows[place + 1 :]]


def edited(rows: Sequence[RowState], edit: Edit) -> list[RowState]:
    """The rows as the edit has them."""
    by_key = {row.key: row for row in rows}
    return [replace(by_key[row.key], stays=row.stays, answer=row.answer) for row in edit.rows]


def ids_of(rows: Sequence[RowState]) -> tuple[str, ...]:
    """Ids of what would be run, in order."""
    return tuple(row.run_id for row in rows if row.stays)


def changes(rows: Sequence[RowState]) -> str:
    """What a person changed, such as `2 left out, D3 moved`; empty where nothing is."""
    out = sum(not row.stays for row in rows if row.index is not None)
    parts = [f"{out} left out"] if out else []
    parts += [f"{row.label} moved" for row in _moved(rows)]
    parts += [f"{row.label} answered {row.answer}" for row in rows if row.stays and row.flipped]
    added = sum(row.index is None for row in rows if row.stays)
    return ", ".join([*parts, *([f"{added} added"] if added else [])])


def _moved(rows: Sequence[RowState]) -> list[RowState]:
    """The fewest rows that, taken to another place, turn the result's order into this one."""
    staying_rows = [(row.index, row) for row in rows if row.stays and row.index is not None]
    staying = _longest_rising([index for index, _ in staying_rows])
    return [row for place, (_, row) in enumerate(staying_rows) if place not in staying]


def _longest_rising(values: Sequence[int]) -> set[int]:
    """Places of a longest rising subsequence of different values (patience sorting)."""
    tails: list[int] = []
    at: list[int] = []
    previous: dict[int, int | None] = {}
    for place, value in enumerate(values):
        pile = bisect_left(tails, value)
        previous[place] = at[pile - 1] if pile else None
        tails[pile:], at[pile:] = [value, *tails[pile + 1 :]], [place, *at[pile + 1 :]]
    chain: set[int] = set()
    step = at[-1] if at else None
    while step is not None:
        chain.add(step)
        step = previous[step]
    return chain
