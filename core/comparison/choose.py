"""The choice of default demonstrations for a data set: a race on validation lists.

1. Every strategy of every family with `FIRST` demonstrations, on the first half of the lists; then the better half of
   them on all lists (successive halving; Jamieson and Talwalkar 2016).
2. The two best strategies with every number of demonstrations.
3. The best of these with its nearest demonstration first, and with two demonstrations of each neighbour.

Ways to score a title come from the same passes, so each arm is judged by its best one. Test lists have no part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.comparison.arm import SCORINGS, Arm, arms_of
from core.comparison.arm_row import ArmRow, arm_of
from core.comparison.comparison import arm_rows
from core.comparison.list_outcomes import ListOutcomes
from core.data.records import Case, Strategy
from core.data.strategies import STRATEGIES
from core.prompt.families import Family

FIRST = 8
"""Demonstrations with which strategies meet first."""
NUMBERS = (1, 2, 4, 8, 16, 32)
FINALISTS = 2
"""Strategies that are tried with every number."""


@dataclass
class Race:
    """One race; `rows` are all arms measured so far, each on as many lists as it lived."""

    outcomes: ListOutcomes
    lists: Sequence[Case]
    seed: int
    adapter: str | None = None

    def run(self, families: Sequence[Family], strategies: Sequence[Strategy]) -> Iterator[tuple[ArmRow, ...]]:
        """The rows after every step of the race."""
        half = self.lists[: max(1, len(self.lists) // 2)]
        first = arms_of(families, strategies, (FIRST,), adapter=self.adapter)
        yield from self._measured(first, half)
        bare = [arm for arm in first if arm.demos == 0]
        survivors = self._best([arm for arm in first if arm.demos], half, -(-len(strategies) // 2))
        yield from self._measured([*bare, *survivors], self.lists)
        finalists = self._best(survivors, self.lists, FINALISTS)
        numbered = [arm.model_copy(update={"demos": number}) for arm in finalists for number in NUMBERS]
        yield from self._measured(numbered, self.lists)
        (best,) = self._best([*finalists, *numbered], self.lists, 1)
        yield from self._measured(variants_of(best), self.lists)

    def rows(self) -> tuple[ArmRow, ...]:
        """All arms measured so far; one that left the race early has figures of the first half of the lists."""
        return tuple(
            row
            for arm, scored in self.outcomes.by_arm.items()
            if arm.adapter == self.adapter
            for row in arm_rows(
                self.outcomes, arm, [case for case in self.lists if case in scored], seed=self.seed, scorings=SCORINGS
            )
        )

    def _measured(self, arms: Sequence[Arm], lists: Sequence[Case]) -> Iterator[tuple[ArmRow, ...]]:
        for arm in arms:
            self.outcomes.measure([arm.bare, arm], lists)
            yield self.rows()

    def _best(self, arms: Sequence[Arm], lists: Sequence[Case], count: int) -> list[Arm]:
        """The arms with the highest NDCG@10 under their best scoring; equal ones in their order."""

        def value(arm: Arm) -> float:
            rows = arm_rows(self.outcomes, arm, lists, seed=self.seed, scorings=SCORINGS)
            return max(row.ndcg.value or 0.0 for row in rows)

        return sorted(dict.fromkeys(arms), key=lambda arm: -value(arm))[:count]


def variants_of(arm: Arm) -> list[Arm]:
    """The arm with its nearest demonstration first, and with two of each neighbour where the strategy has them."""
    variants = [arm.model_copy(update={"order": "nearest_first"})] if arm.demos > 1 else []
    if STRATEGIES[arm.strategy].several and arm.demos > 1:
        variants.append(arm.model_copy(update={"each": 2}))
    return variants


def arms_in(rows: Sequence[ArmRow]) -> list[Arm]:
    """The distinct arms of rows, in order."""
    return list(dict.fromkeys(map(arm_of, rows)))
