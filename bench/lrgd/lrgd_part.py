"""Part `lrgd`: whether LRGD gives better sets, scores that foretell use and stabler inference, and at what cost.

All measures go on in rounds over the cases, so a run that is cut short has measured each of them on its share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from bench.case_list import Bench
from bench.constants import BUILD
from bench.lrgd import costs, inference_rows, search_sets, utility_over_users
from bench.record_store import CaseRecord
from bench.results_table import ResultRow, write_json
from bench.timing import Clock
from core.analysis.setting import Setting
from core.question.case_spec import CaseSpec

UTILITY_SHARE = 2.6
"""Cases of the utility check for every case of the search: 104 for 40, as a few have no proxy target."""
INFERENCE_SHARE = 1.5
"""Cases of changed inference for every case of the search."""
CHOOSING_SHARE = 0.5
"""Those of them that choose a setting; trying all settings on a case takes longest by far."""
SWEEPS = 5
POOL_ROUND = 1
"""The pool is measured once, in this round (the first is 0)."""

LrgdPart = Literal["utility", "sets", "inference", "sweep", "pool"]
Records = list[CaseRecord]


class LrgdTable(NamedTuple):
    """How the records of a measure are shown."""

    title: str
    rows: Callable[[Records], list[ResultRow]]
    means: Callable[[Records], str] | None = None
    """The means behind the rows as a text, where there are any."""


TABLES: dict[LrgdPart, LrgdTable] = {
    "sets": LrgdTable("two-stage search, and its set on the held-out target", search_sets.rows_of, search_sets.text_of),
    "utility": LrgdTable(
        "mean rank correlation of quality scores with true utility",
        utility_over_users.rows_of,
        utility_over_users.text_of,
    ),
    "inference": LrgdTable("changed inference", inference_rows.rows_of, inference_rows.text_of),
    "pool": LrgdTable("label-free quality of a pool", costs.pool_rows),
    "sweep": LrgdTable("robustness sweep", costs.sweep_rows),
}


class Course:
    """Every measure of one data set, as far as it has come."""

    def __init__(
        self,
        bench: Bench,
        specs: Sequence[CaseSpec],
        drawn: Iterator[Setting],
        ways_of: inference_rows.WaysOf,
        measures: Sequence[search_sets.SetMeasure],
    ) -> None:
        """`specs` are the cases, `drawn` those of the utility check.

        `ways_of` gives the ways of recommending a case, `measures` those taken of its sets.
        """
        self.measures = measures
        self.records: dict[LrgdPart, Records] = {part: [] for part in TABLES}
        self.rows: dict[LrgdPart, list[ResultRow]] = {part: [] for part in TABLES}
        self._works: dict[LrgdPart, Callable[[int], Records]] = {
            "utility": lambda _: [utility_over_users.record_of(bench, _next(drawn))],
            "sets": lambda place: search_sets.records_of(bench, specs[place], measures),
            "inference": lambda place: self._inferred(bench, specs[place], ways_of),
            "sweep": lambda place: [costs.sweep_of(bench, specs[place])],
            "pool": lambda place: [costs.pool_of(bench, specs[place])],
        }

    def _inferred(self, bench: Bench, spec: CaseSpec, ways_of: inference_rows.WaysOf) -> Records:
        ways = ways_of(spec, self.records["inference"])
        return [inference_rows.record_of(bench, spec, ways)] if ways else []

    def take(self, part: LrgdPart, place: int) -> None:
        """Measure case number `place` of a part; raises what measuring raises, then nothing is added."""
        self.records[part] += self._works[part](place)
        records = self.records[part]
        self.rows[part] = search_sets.rows_of(records, self.measures) if part == "sets" else TABLES[part].rows(records)

    def all_rows(self) -> list[ResultRow]:
        """The rows of all parts, one part after the other."""
        return [row for rows in self.rows.values() for row in rows]


def lrgd(bench: Bench, count: int) -> Iterator[list[ResultRow]]:
    """Rows so far, after every case of every measure; `count` cases of the search.

    At the end `build/utility-<family>.json` is what the project may ship for the page as the check of each family.
    """
    specs = search_sets.specs(bench, share(INFERENCE_SHARE, count))
    ways_of = inference_rows.first_all(share(CHOOSING_SHARE, count))
    course = Course(bench, specs, utility_over_users.settings(bench), ways_of, search_sets.allowed(bench))
    steps = plan(count, UTILITY_SHARE, SWEEPS, INFERENCE_SHARE)
    clock = Clock("lrgd", len(steps))
    for part, place in steps:
        course.take(part, place)
        clock.tick(f"{part} {place + 1}")
        yield course.all_rows()
    for card in utility_over_users.cards(bench, course.records["utility"]):
        write_json(BUILD / f"utility-{card.family}.json", card.model_dump(mode="json"))
    texts = [table.means(course.records[part]) for part, table in TABLES.items() if table.means]
    print("\n\n".join(texts), end="\n\n")


def plan(count: int, utility_share: float, sweeps: int, inference_share: float = 1.0) -> list[tuple[LrgdPart, int]]:
    """Which measure is taken of which case, in order; the shorter ones first in every round."""
    steps: list[tuple[LrgdPart, int]] = []
    for place in range(count):
        steps += [("utility", number) for number in _round(utility_share, place)]
        steps.append(("sets", place))
        steps += [("inference", number) for number in _round(inference_share, place)]
        if place < sweeps:
            steps.append(("sweep", place))
        if place == min(POOL_ROUND, count - 1):
            steps.append(("pool", 0))
    return steps


def _round(ratio: float, place: int) -> range:
    return range(share(ratio, place), share(ratio, place + 1))


def share(ratio: float, count: int) -> int:
    """The cases of a measure that takes `ratio` for every one of `count`."""
    return int(ratio * count + 0.5)


def _next(drawn: Iterator[Setting]) -> Setting:
    setting = next(drawn, None)
    if setting is None:
        raise SystemExit("bench: the data have too few users for so many cases of the utility check")
    return setting
