"""One way to ask a model for a list: a prompt family with a strategy, a number and an order of demonstrations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

from pydantic import Field

from core.data.records import Order, Strategy
from core.data.strategies import STRATEGIES
from core.prompt.families import FAMILIES, Family
from core.question.case_spec import CaseSpec, Scoring
from core.question.task import Record
from core.words import counted

SCORINGS: tuple[Scoring, ...] = ("sum", "mean", "calibrated")
COMPARED: tuple[Strategy, ...] = tuple(row.name for row in STRATEGIES.values() if row.choose is not None)
"""Every strategy that picks by itself."""


class Arm(Record):
    """The choices that are compared; adapters are compared by arms of their own."""

    adapter: str | None = None
    family: Family
    strategy: Strategy
    demos: Annotated[int, Field(ge=0, le=32)]
    order: Order = "nearest_last"
    each: Annotated[int, Field(ge=1, le=8)] = 1

    @property
    def bare(self) -> Arm:
        """The same without demonstrations."""
        return Arm(adapter=self.adapter, family=self.family, strategy="recent", demos=0)

    @property
    def name(self) -> str:
        """As in tables: `next_item, 8 demonstrations, neighbours`."""
        if self.demos == 0:
            return ", ".join(filter(None, (self.adapter, self.family, "no demonstrations")))
        first = "nearest first" if self.order == "nearest_first" else ""
        several = f"{self.each} of each" if self.each > 1 else ""
        words = (self.adapter, self.family, f"{self.strategy} {self.demos}", first, several)
        return ", ".join(filter(None, words))

    def spec(self, dataset: str, model: str, history: int) -> CaseSpec:
        """The case choices of this arm."""
        choices = self.model_dump(include={"family", "strategy", "demos", "order", "each", "adapter"})
        return CaseSpec(dataset=dataset, model=model, history=history, **choices)

    @property
    def scorings(self) -> tuple[Scoring, ...]:
        """The ways in which its title tokens can become a score; all come from the same pass."""
        return SCORINGS if FAMILIES[self.family].has_scorings else ("sum",)


def arms_of(
    families: Iterable[Family],
    strategies: Iterable[Strategy],
    numbers: Sequence[int],
    *,
    adapter: str | None = None,
) -> tuple[Arm, ...]:
    """Every family with every strategy and number, and each family without demonstrations first."""
    picked, arms = tuple(strategies), dict[Arm, None]()
    for family in families:
        arms[Arm(adapter=adapter, family=family, strategy="recent", demos=0)] = None
        for strategy in picked:
            for number in numbers:
                if number:
                    arms[Arm(adapter=adapter, family=family, strategy=strategy, demos=number)] = None
    return tuple(arms)


def demonstrations_of(arm: Arm) -> str:
    """`8 demonstrations`, `no demonstrations`."""
    return counted(arm.demos, "demonstration") if arm.demos else "no demonstrations"
