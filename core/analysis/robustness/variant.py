"""A case under one perturbation, and the random draw that it comes from; needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from core.data.records import Case, Demonstration, Interaction
from core.prompt.titles import quoted
from core.seeds import generator

if TYPE_CHECKING:
    from core.analysis.robustness.perturbations import PerturbationKind
    from core.analysis.setting import Setting

Random = np.random.Generator


@dataclass(frozen=True)
class Variant:
    """A case under one perturbation; its candidates and target are those of the original.

    `case.history` holds what the query shows and nothing else; `strength` is the share of history items,
    demonstrations or characters touched (at least one, or two where order is changed).
    """

    kind: PerturbationKind
    strength: float
    repeat: int
    case: Case
    demos: tuple[Demonstration, ...]
    origin: tuple[int | None, ...]
    """For each of `demos` the place, in the original prompt, of the demonstration it comes from."""
    titles: dict[str, str] = field(default_factory=dict)
    """Changed titles by item id."""
    touched: tuple[int, ...] = ()
    """Places, in the original prompt, of the demonstrations that were moved, dropped, doubled or answered anew."""
    words: str = ""
    """What was done, for a reader."""


@dataclass(frozen=True)
class Draw:
    """The random choices behind one variant: what is changed, how much of it, and the random numbers for it."""

    setting: Setting
    kind: PerturbationKind
    strength: float
    repeat: int
    case_key: tuple[object, ...]
    """What the draws depend on besides kind, strength and repeat."""

    @property
    def history(self) -> tuple[Interaction, ...]:
        """The history that the query shows."""
        return query_history(self.setting)

    @property
    def demos(self) -> tuple[Demonstration, ...]:
        """The demonstrations of the prompt."""
        return prompt_demos(self.setting)

    def random(self) -> Random:
        """The random numbers of this variant, from their beginning."""
        return generator("perturbation", *self.case_key, self.kind, self.strength, self.repeat)

    def share(self, size: int) -> int:
        """`strength` of `size`, rounded half up."""
        return int(self.strength * size + 0.5)

    def places(self, size: int, random: Random, *, least: int = 1) -> list[int]:
        """Places of the things touched among `size`, rising; the first one drawn takes turns over the repeats."""
        count = min(size, max(least, self.share(size)))
        lead = self.lead(size)
        rest = random.permutation([place for place in range(size) if place != lead])
        return sorted([lead, *(int(place) for place in rest[: count - 1])])

    def lead(self, size: int) -> int:
        """The place among `size` whose turn it is in this repeat."""
        turns = generator("perturbation", *self.case_key, self.kind, self.strength).permutation(size)
        return int(turns[self.repeat % size])

    def with_history(self, interactions: Sequence[Interaction], words: str) -> Variant:
        """The variant whose query shows these interactions."""
        history = tuple(replace(interaction, position=place) for place, interaction in enumerate(interactions))
        return self._variant(history, self.demos, range(len(self.demos)), words)

    def with_demos(
        self, demos: Sequence[Demonstration], origin: Sequence[int], words: str, touched: Sequence[int]
    ) -> Variant:
        """The variant with these demonstrations, see `Variant.origin` and `Variant.touched`."""
        return replace(self._variant(self.history, demos, origin, words), touched=tuple(touched))

    def _variant(
        self, history: tuple[Interaction, ...], demos: Sequence[Demonstration], origin: Sequence[int], words: str
    ) -> Variant:
        case = replace(self.setting.case, history=history)
        return Variant(self.kind, self.strength, self.repeat, case, tuple(demos), tuple(origin), words=words)

    def titles_of(self, interactions: Sequence[Interaction]) -> str:
        """The quoted titles of interactions, as a list in words."""
        items, setting = self.setting.items, self.setting
        ids = [interaction.item_id for interaction in interactions]
        return listing([quoted((items.get(item_id) or setting.data.item(item_id)).title) for item_id in ids])


def query_history(setting: Setting) -> tuple[Interaction, ...]:
    """The interactions whose titles the query shows, oldest first."""
    liked = [interaction for interaction in setting.case.history if setting.dataset.liked(interaction)]
    return tuple(liked[max(0, len(liked) - setting.most_history) :])


def prompt_demos(setting: Setting) -> tuple[Demonstration, ...]:
    """The demonstrations that stand in the prompt, in its order."""
    return tuple(setting.demos[index] for index in setting.prompt.kept_demos)


def deranged(places: Sequence[int], random: Random) -> list[int]:
    """The places in an order where none stays at its own (a random cycle, by Sattolo's algorithm)."""
    order = list(places)
    for last in range(len(order) - 1, 0, -1):
        other = int(random.integers(last))
        order[last], order[other] = order[other], order[last]
    return order


def demo_labels(places: Sequence[int]) -> str:
    """The labels of demonstrations at these places, as a list in words."""
    return listing([f"D{place + 1}" for place in places])


def listing(names: Sequence[str], most: int = 3) -> str:
    """`a`, `a and b`, `a, b and c`, `a, b, c and 4 more`."""
    if len(names) > most + 1:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else list(names))
