"""Part `lrgd`: whether LRGD gives better sets, scores that foretell use and stabler inference, and at what cost.

All measures go on in rounds over the cases, so a run that is cut short has measured each of them on its share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal

from bench.case_list import Bench
from bench.constants import BUILD
from bench.lrgd import costs, inference_rows, search_sets, utility_over_users
from bench.record_store import CaseRecord
from bench.results_table import ResultRow, write_json
from bench.timing import Clock
from core.analysis.request import Request
from core.analysis.setting import Setting

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
ROWS: dict[LrgdPart, Callable[[Records], list[ResultRow]]] = {
    "sets": search_sets.rows_of,
    "utility": utility_over_users.rows_of,
    "inference": inference_rows.rows_of,
    "pool": costs.pool_rows,
    "sweep": costs.sweep_rows,
}
TEXTS: dict[LrgdPart, Callable[[Records], str]] = {
    "sets": search_sets.text_of,
    "utility": utility_over_users.text_of,
    "inference": inference_rows.text_of,
}
"""The means behind the rows, one table a measure."""


class Course:
    """Every measure of one data set, as far as it has come."""

    def __init__(
        self,
        bench: Bench,
        requests: Sequence[Request],
        drawn: Iterator[Setting],
        tried: inference_rows.Tried,
        measures: Sequence[search_sets.SetMeasure],
    ) -> None:
        """`requests` are the cases, `drawn` those of the utility check.

        `tried` are the ways of recommending a case, `measures` those taken of its sets.
        """
        self.measures = measures
        self.records: dict[LrgdPart, Records] = {part: [] for part in ROWS}
        self.rows: dict[LrgdPart, list[ResultRow]] = {part: [] for part in ROWS}
        self._works: dict[LrgdPart, Callable[[int], Records]] = {
            "utility": lambda _: [utility_over_users.record_of(bench, _next(drawn))],
            "sets": lambda place: search_sets.records_of(bench, requests[place], measures),
            "inference": lambda place: self._inferred(bench, requests[place], tried),
            "sweep": lambda place: [costs.sweep_of(bench, requests[place])],
            "pool": lambda place: [costs.pool_of(bench, requests[place])],
        }
        self._rows_of = ROWS | {"sets": partial(search_sets.rows_of, measures=measures)}

    def _inferred(self, bench: Bench, request: Request, tried: inference_rows.Tried) -> Records:
        ways = tried(request, self.records["inference"])
        return [inference_rows.record_of(bench, request, ways)] if ways else []

    def take(self, part: LrgdPart, place: int) -> None:
        """Measure case number `place` of a part; raises what measuring raises, then nothing is added."""
        self.records[part] += self._works[part](place)
        self.rows[part] = self._rows_of[part](self.records[part])

    def all_rows(self) -> list[ResultRow]:
        """The rows of all parts, one part after the other."""
        return [row for rows in self.rows.values() for row in rows]


def lrgd(bench: Bench, count: int) -> Iterator[list[ResultRow]]:
    """Rows so far, after every case of every measure; `count` cases of the search.

    At the end `build/utility-<family>.json` is what the project may ship for the page as the check of each family.
    """
    requests = search_sets.requests(bench, share(INFERENCE_SHARE, count))
    tried = inference_rows.first_all(share(CHOOSING_SHARE, count))
    course = Course(bench, requests, utility_over_users.settings(bench), tried, search_sets.allowed(bench))
    steps = plan(count, UTILITY_SHARE, SWEEPS, INFERENCE_SHARE)
    clock = Clock("lrgd", len(steps))
    for part, place in steps:
        course.take(part, place)
        clock.tick(f"{part} {place + 1}")
        yield course.all_rows()
    for card in utility_over_users.cards(bench, course.records["utility"]):
        write_json(BUILD / f"utility-{card.family}.json", card.model_dump(mode="json"))
    print("\n\n".join(TEXTS[part](course.records[part]) for part in TEXTS), end="\n\n")


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


def _round(part: float, place: int) -> range:
    return range(share(part, place), share(part, place + 1))


def share(part: float, count: int) -> int:
    """The cases of a measure that takes `part` for every one of `count`."""
    return int(part * count + 0.5)


def _next(drawn: Iterator[Setting]) -> Setting:
    setting = next(drawn, None)
    if setting is None:
        raise SystemExit("bench: the data have too few users for so many cases of the utility check")
    return setting
