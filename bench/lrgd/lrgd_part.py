"""Do the parts of LRGD help: better sets, scores that foretell use, stabler inference, and at what cost?

All measures go on in rounds over the cases, so a run that is cut short has measured each of them on its share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from bench.case_list import Bench
from bench.clock import Clock
from bench.lrgd import costs as lrgd_costs
from bench.lrgd import inference_rows as lrgd_inference
from bench.lrgd import search_sets as lrgd_sets
from bench.lrgd import utility_over_users as lrgd_utility
from bench.lrgd.lrgd_records import Part
from bench.results_table import BUILD, Row, write_json
from bench.run_records import Record
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

Records = list[Record]
ROWS: dict[Part, Callable[[Records], list[Row]]] = {
    "sets": lrgd_sets.rows_of,
    "utility": lrgd_utility.rows_of,
    "inference": lrgd_inference.rows_of,
    "pool": lrgd_costs.pool_rows,
    "sweep": lrgd_costs.sweep_rows,
}
TEXTS: dict[Part, Callable[[Records], str]] = {
    "sets": lrgd_sets.text_of,
    "utility": lrgd_utility.text_of,
    "inference": lrgd_inference.text_of,
}
"""The means behind the rows, one table a measure."""


class Course:
    """Every measure of one data set, as far as it has come."""

    def __init__(
        self,
        bench: Bench,
        asked: Sequence[Request],
        drawn: Iterator[Setting],
        tried: lrgd_inference.Tried,
        measures: Sequence[lrgd_sets.Measure],
    ) -> None:
        """`asked` are the cases, `drawn` those of the utility check.

        `tried` are the ways of recommending a case, `measures` those taken of its sets.
        """
        self.measures = measures
        self._works: dict[Part, Callable[[int], Records]] = {
            "utility": lambda _: [lrgd_utility.record_of(bench, _next(drawn))],
            "sets": lambda place: lrgd_sets.records_of(bench, asked[place], measures),
            "inference": lambda place: self._inferred(bench, asked[place], tried),
            "sweep": lambda place: [lrgd_costs.sweep_of(bench, asked[place])],
            "pool": lambda place: [lrgd_costs.pool_of(bench, asked[place])],
        }
        self.found: dict[Part, Records] = {part: [] for part in ROWS}
        self.rows: dict[Part, list[Row]] = {part: [] for part in ROWS}
        self._rows_of = ROWS | {"sets": partial(lrgd_sets.rows_of, taken=measures)}

    def _inferred(self, bench: Bench, asked: Request, tried: lrgd_inference.Tried) -> Records:
        ways = tried(asked, self.found["inference"])
        return [lrgd_inference.record_of(bench, asked, ways)] if ways else []

    def take(self, part: Part, place: int) -> None:
        """Measure case number `place` of a part; raises what measuring raises, then nothing is added."""
        self.found[part] += self._works[part](place)
        self.rows[part] = self._rows_of[part](self.found[part])

    def all_rows(self) -> list[Row]:
        """The rows of all parts, one part after the other."""
        return [one for each in self.rows.values() for one in each]


def lrgd(bench: Bench, count: int) -> Iterator[list[Row]]:
    """Rows so far, after every case of every measure; `count` cases of the search.

    At the end `build/utility-<family>.json` is what the project may ship for the page as the check of each family.
    """
    asked = lrgd_sets.requests(bench, share(INFERENCE_SHARE, count))
    tried = lrgd_inference.first_all(share(CHOOSING_SHARE, count))
    course = Course(bench, asked, lrgd_utility.settings(bench), tried, lrgd_sets.allowed(bench))
    steps = plan(count, UTILITY_SHARE, SWEEPS, INFERENCE_SHARE)
    clock = Clock("lrgd", len(steps))
    for part, place in steps:
        course.take(part, place)
        clock.tell(f"{part} {place + 1}")
        yield course.all_rows()
    for card in lrgd_utility.cards(bench, course.found["utility"]):
        write_json(BUILD / f"utility-{card.family}.json", card.model_dump(mode="json"))
    print("\n\n".join(TEXTS[part](course.found[part]) for part in TEXTS), end="\n\n")


def plan(count: int, utility_share: float, sweeps: int, inference_share: float = 1.0) -> list[tuple[Part, int]]:
    """Which measure is taken of which case, in order; the shorter ones first in every round."""
    steps: list[tuple[Part, int]] = []
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
    found = next(drawn, None)
    if found is None:
        raise SystemExit("bench: the data have too few users for so many cases of the utility check")
    return found
