"""The choice of default demonstrations for a data set: a race on validation lists.

1. Every strategy of every family with `FIRST` demonstrations, on a quarter of the lists, the better half of them on
   half of the lists, the better half of these on all (successive halving; Jamieson and Talwalkar 2016).
2. The best strategies with every number of demonstrations, in the same way.
3. The winner of these (`winner`) with its nearest demonstration first, and with two demonstrations of each neighbour.

Ways to score a title come from the same passes, so each arm is judged by its best one. Test lists have no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.comparison.arm import SCORINGS, Arm, arms_of
from core.comparison.arm_row import ArmRow, arm_of, winner
from core.comparison.comparison import arm_rows, ndcg_of
from core.comparison.list_outcomes import ListOutcomes
from core.data.records import Case, Strategy
from core.data.strategies import STRATEGIES
from core.prompt.families import Family

FIRST = 8
"""Demonstrations with which strategies meet first."""
FINALISTS = 2
"""Arms that are measured on all lists in each step: strategies, then numbers of demonstrations."""
SHARES = (0.25, 0.5, 1.0)
"""Of the lists, in the rounds of each step."""


@dataclass
class Race:
    """One race; `rows` are all arms measured so far, each on as many lists as it lived."""

    outcomes: ListOutcomes
    lists: Sequence[Case]
    seed: int
    adapter: str | None = None

    def run(self, families: Sequence[Family], strategies: Sequence[Strategy], numbers: Sequence[int]) -> None:
        """Measure what the race needs."""
        first = arms_of(families, strategies, (FIRST,), adapter=self.adapter)
        survivors = self._halved([arm for arm in first if arm.demos])
        self._halved([arm.model_copy(update={"demos": number}) for arm in survivors for number in numbers])
        self.outcomes.measure(variants_of(arm_of(winner(self.rows()))), self.lists)

    def _halved(self, arms: Sequence[Arm]) -> list[Arm]:
        """The best `FINALISTS` of the arms, best first; half of the arms leave after each of the first rounds."""
        for share in SHARES:
            lists = self.lists[: max(1, round(share * len(self.lists)))]
            self.outcomes.measure([*dict.fromkeys(arm.bare for arm in arms), *arms], lists)
            arms = self._best(arms, lists, max(FINALISTS, -(-len(arms) // 2)))
        return list(arms[:FINALISTS])

    def rows(self) -> tuple[ArmRow, ...]:
        """All arms measured so far; one that left the race early has figures of the first lists only."""
        return tuple(
            row
            for arm, scored in self.outcomes.by_arm.items()
            if arm.adapter == self.adapter
            for row in arm_rows(
                self.outcomes, arm, [case for case in self.lists if case in scored], seed=self.seed, scorings=SCORINGS
            )
        )

    def _best(self, arms: Sequence[Arm], lists: Sequence[Case], count: int) -> list[Arm]:
        """The arms with the highest NDCG@10 under their best scoring; equal ones in their order."""

        def value(arm: Arm) -> float:
            return max(float(ndcg_of(self.outcomes, arm, scoring, lists).mean()) for scoring in arm.scorings)

        return sorted(arms, key=lambda arm: -value(arm))[:count]


def variants_of(arm: Arm) -> list[Arm]:
    """The arm with its nearest demonstration first, and with two of each neighbour where the strategy has them."""
    variants = [arm.model_copy(update={"order": "nearest_first"})] if arm.demos > 1 else []
    if STRATEGIES[arm.strategy].several and arm.demos > 1:
        variants.append(arm.model_copy(update={"each": 2}))
    return variants
