"""Part `strategies`: the demonstrations that were chosen on validation lists, against none and against controls.

Users, targets and candidates of the sample are those of `demolens evaluate --strategies`; of other data those of
`bench.folder_cases`. Nothing is chosen on these lists. Every table has the user's own latest interactions, similar
histories and random other users as controls, with as many demonstrations. The model runs in bfloat16, which is two to
three times as fast on a processor; the first rows say what that changes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from bench.blended_rows import blended_rows
from bench.case_list import Bench
from bench.constants import CANDIDATES, SURELY_ABOVE_ZERO
from bench.record_store import STRATEGY_RECORDS
from bench.results_table import ResultRow, as_row, commit
from bench.spread import figures_of
from bench.timing import Clock
from core.analysis.subject import case_for
from core.cli.comparison_lines import comparison_lines
from core.comparison.arm import Arm
from core.comparison.arm_row import ArmRow, arm_of
from core.comparison.compared_lists import later_lists
from core.comparison.comparing import ROUND
from core.comparison.comparison import StrategyComparison, comparison_of, ndcg_of
from core.comparison.comparison_settings import HISTORY
from core.comparison.default_choices import weights_for
from core.comparison.kept_choice import kept_choice
from core.comparison.list_outcomes import ListOutcomes
from core.data.records import Case, Strategy
from core.errors import DataError
from core.lm.loading.load import load
from core.question.case_spec import CaseSpec

CONTROLS: tuple[Strategy, ...] = ("recent", "similar", "random")
OTHERS: tuple[Strategy, ...] = ("neighbours", "co_likes")
USUAL = 8
"""Demonstrations of every strategy where none were chosen for the data."""
CHECKED = 10
"""Lists on which both number formats are compared."""
DTYPE = "bfloat16"
LEAST_NDCG, LEAST_GAIN, LEAST_MOVED = ">= 0.52", ">= 0.15", ">= 0.6"


def strategies(benches: Sequence[Bench], count: int, *, promised: bool) -> Iterator[list[ResultRow]]:
    """Rows so far of all data sets, after every round of lists of each; `promised` adds the targets of the sample."""
    tables = [StrategyTable(bench, count) for bench in benches]
    rounds = -(-max(len(table.lists) for table in tables) // ROUND)
    clock = Clock("strategies", rounds * len(tables))
    for number in range(1, rounds + 1):
        for table in tables:
            table.measure(number * ROUND)
            clock.tick(f"{table.bench.dataset.name} {min(number * ROUND, len(table.lists))} lists")
            yield [row for each in tables for row in each.rows(promised=promised)]
    for table in tables:
        print("\n".join(comparison_lines(table.comparison())), end="\n\n")


class StrategyTable:
    """The lists of one data set under every arm."""

    def __init__(self, bench: Bench, count: int) -> None:
        self.bench, dataset = bench, bench.dataset
        name = bench.case(next(bench.users()), "next_item").dataset
        model = load("sample", device="cpu", dtype=DTYPE)
        self.outcomes = ListOutcomes(dataset, {None: model}, HISTORY, name, cache=STRATEGY_RECORDS.record)
        self.plain = replace(self.outcomes, models={None: bench.model}, by_arm={})
        self.lists = self._lists(count)
        self.measured: list[Case] = []
        choice = kept_choice(dataset.dataset_id, "sample", None)
        chosen = None if choice is None else arm_of(choice)
        number = chosen.demos if chosen is not None and chosen.demos else USUAL
        family = CaseSpec().family if chosen is None else chosen.family
        others = [Arm(family=family, strategy=strategy, demos=number) for strategy in (*OTHERS, *CONTROLS)]
        self.chosen = others[0].bare if chosen is None else chosen
        self.scoring = "sum" if choice is None else choice.scoring
        self.arms = list(dict.fromkeys([others[0].bare, self.chosen, *others]))

    def _lists(self, count: int) -> tuple[Case, ...]:
        dataset = self.bench.dataset
        if self.outcomes.dataset_name == "sample":
            return later_lists(dataset, count=count, candidates=CANDIDATES, history=HISTORY, seed=self.bench.seed)
        return tuple(islice(self._given(), count))

    def _given(self) -> Iterator[Case]:
        for user in self.bench.users():
            try:
                yield case_for(self.bench.case(user, "next_item"), self.bench.dataset)
            except DataError as error:
                sys.stderr.write(f"strategies  user {user} is left out: {error}\n")

    def measure(self, count: int) -> None:
        """Rank the first `count` lists."""
        self.measured = list(self.lists[:count])
        self.outcomes.measure(self.arms, self.measured)
        self.plain.measure([self.chosen.bare, self.chosen], self.measured[:CHECKED])

    def comparison(self) -> StrategyComparison:
        """All figures so far."""
        period = "after the cut in time" if self.outcomes.dataset_name == "sample" else "each user's last interaction"
        return comparison_of(
            self.outcomes,
            self.arms,
            self.measured,
            period=period,
            seed=self.bench.seed,
            made_by=commit(),
            scorings=[self.scoring],
            weight_of=weights_for(self.bench.dataset.dataset_id, "sample"),
            notices=self.bench.notes(),
        )

    def rows(self, *, promised: bool) -> Iterator[ResultRow]:
        """A row for every figure."""
        comparison = self.comparison()
        name, lists = comparison.dataset_name, f"({comparison.lists} lists)"
        check = self.measured[:CHECKED]
        apart = [
            float(
                np.abs(
                    ndcg_of(self.outcomes, arm, self.scoring, check) - ndcg_of(self.plain, arm, self.scoring, check)
                ).mean()
            )
            for arm in (self.chosen.bare, self.chosen)
        ]
        yield as_row(
            f"{name}: mean difference of NDCG@10 between {DTYPE} and float32 ({len(check)} lists)", [max(apart)]
        )
        yield as_row(f"{name}: NDCG@10, popularity {lists}", figures_of(comparison.popularity))
        for row in comparison.rows:
            yield from self._arm_rows(row, name, lists, promised=promised and arm_of(row) == self.chosen)
        for difference in comparison.differences:
            label = f"{name}: NDCG@10, {difference.first} minus {difference.second} {lists}"
            yield as_row(label, figures_of(difference.apart))
        for blend in comparison.blends:
            yield from blended_rows(blend, f"{name}: ")

    def _arm_rows(self, row: ArmRow, name: str, lists: str, *, promised: bool) -> Iterator[ResultRow]:
        is_chosen = arm_of(row) == self.chosen
        what = f"{name}: {row.name}{' (chosen)' if is_chosen else ''} {lists}"
        yield as_row(f"{what}, NDCG@10", figures_of(row.ndcg), LEAST_NDCG if promised else None)
        yield as_row(f"{what}, tokens", [row.tokens])
        if not row.demos:
            return
        yield as_row(f"{what}, gain over none", figures_of(row.gain), LEAST_GAIN if promised else None)
        yield as_row(f"{what}, share of lists that show the target", [row.shows_target])
        yield as_row(f"{what}, gain where it is shown", figures_of(row.gain_where_shown))
        elsewhere = figures_of(row.gain_where_not)
        target, met = (SURELY_ABOVE_ZERO, elsewhere.low > 0) if promised else (None, None)
        yield as_row(f"{what}, gain where it is not", elsewhere, target, met=met)
        yield as_row(f"{what}, moved 2 places or more", figures_of(row.moved), LEAST_MOVED if promised else None)
