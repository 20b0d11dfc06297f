"""Do the parts of LRGD help: better sets, scores that foretell use, stabler inference, and at what cost?

All measures go on in rounds over the cases, so a run that is cut short has measured each of them on its share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bench import lrgd_costs, lrgd_inference, lrgd_sets, lrgd_utility
from bench.cases import Bench
from bench.clock import Clock
from bench.lrgd_records import Part
from bench.records import Record
from bench.table import Row

UTILITY_SHARE = 2.5
"""Cases of the utility check for every case of the search: 100 for 40."""
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


def lrgd(bench: Bench, count: int) -> Iterator[list[Row]]:
    """Rows so far, after every case of every measure; `count` cases of the search."""
    asked = lrgd_sets.requests(bench, count)
    drawn = lrgd_utility.settings(bench)
    works: dict[Part, Callable[[int], Record]] = {
        "utility": lambda _: lrgd_utility.record_of(bench, next(drawn)),
        "sets": lambda place: lrgd_sets.record_of(bench, asked[place]),
        "inference": lambda place: lrgd_inference.record_of(bench, asked[place]),
        "sweep": lambda place: lrgd_costs.sweep_of(bench, asked[place]),
        "pool": lambda place: lrgd_costs.pool_of(bench, asked[place]),
    }
    found: dict[Part, Records] = {part: [] for part in works}
    rows: dict[Part, list[Row]] = {part: [] for part in ROWS}
    steps = plan(count)
    clock = Clock("lrgd", len(steps))
    for part, place in steps:
        found[part].append(works[part](place))
        rows[part] = ROWS[part](found[part])
        clock.tell(f"{part} {len(found[part])}")
        yield [one for each in rows.values() for one in each]
    print("\n\n".join(TEXTS[part](found[part]) for part in TEXTS), end="\n\n")


def plan(count: int) -> list[tuple[Part, int]]:
    """Which measure is taken of which case, in order; the shorter ones first in every round."""
    steps: list[tuple[Part, int]] = []
    checked = 0
    for place in range(count):
        wanted = int(UTILITY_SHARE * (place + 1) + 0.5)
        steps += [("utility", number) for number in range(checked, wanted)]
        steps += [("sets", place), ("inference", place)]
        if place < SWEEPS:
            steps.append(("sweep", place))
        if place == min(POOL_ROUND, count - 1):
            steps.append(("pool", 0))
        checked = wanted
    return steps
