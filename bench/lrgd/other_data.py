"""The figures of part `lrgd` on several data sets side by side: one table a measure, one column a data set.

Every step is taken on all data sets before the next one, so a run that is cut short has measured each of them on the
same share of its cases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from bench.case_list import CANDIDATES, Bench
from bench.clock import Clock
from bench.lrgd import inference_rows as lrgd_inference
from bench.lrgd import search_sets as lrgd_sets
from bench.lrgd import utility_over_users as lrgd_utility
from bench.lrgd.lrgd_part import ROWS, Course, plan, share
from bench.lrgd.lrgd_records import Part
from bench.results_table import Row
from core.cli.output import aligned
from core.errors import DemoLensError
from core.metrics.ranking import ndcg_by_chance

UTILITY_SHARE = 1.0
"""Cases of the utility check for every case of the search."""
SWEEPS = 2
TITLES: dict[Part, str] = {
    "sets": "two-stage search, and its set on the held-out target",
    "utility": "mean rank correlation of quality scores with true utility",
    "inference": "changed inference",
    "pool": "label-free quality of a pool",
    "sweep": "robustness sweep",
}
MEANS = "mean on the held-out target (cases)"
NOTHING = "-"
LEGEND = (
    "Cells: value [90 % interval, or quartiles; for the most forwards, least and most] (cases). ! misses the target."
    f" {NOTHING} is not defined for these data, or not measured."
)
_CASES = re.compile(r" \((\d+) cases\)")

Cells = Mapping[str, Mapping[str, str]]
"""Texts by data set and line."""


@dataclass(frozen=True)
class Column:
    """One data set: what it is measured with, how far that is, and how many cases its utility check has."""

    bench: Bench
    course: Course
    checks: int

    def has(self, part: Part, place: int) -> bool:
        """Whether the data set has a case of that number for a part."""
        return part != "utility" or place < self.checks


def lrgd_data(benches: Sequence[Bench], count: int) -> Iterator[list[Row]]:
    """Rows so far of all data sets, after every case of every measure; a row's measure starts with the data set's name.

    A case that cannot be measured is left out and told. Stops with one sentence where two data sets have one name, or
    one has too few users.
    """
    columns = _columns(benches, count)
    left_out: list[str] = []
    steps = [
        (part, place, name)
        for part, place in plan(count, UTILITY_SHARE, SWEEPS)
        for name, column in columns.items()
        if column.has(part, place)
    ]
    clock = Clock("lrgd", len(steps))
    for part, place, name in steps:
        try:
            columns[name].course.take(part, place)
        except DemoLensError as error:
            left_out.append(f"{name}: case {place + 1} of part {part} is left out: {error}.")
        clock.tell(f"{name} {part} {place + 1}")
        yield [
            replace(one, measure=f"{name}: {one.measure}")
            for name, column in columns.items()
            for one in column.course.all_rows()
        ]
    print("\n\n".join([*tables(columns), LEGEND, *notes(columns, count), *left_out]), end="\n\n")


def _columns(benches: Sequence[Bench], count: int) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for bench in benches:
        name = bench.dataset.name
        if name in columns:
            raise SystemExit(f"bench: two data sets are named {name}; expected each once")
        drawn = list(islice(lrgd_utility.settings(bench), share(UTILITY_SHARE, count)))
        asked, measures = lrgd_sets.requests(bench, count), margins(bench)
        course = Course(bench, asked, iter(drawn), lrgd_inference.as_given, measures)
        columns[name] = Column(bench, course, len(drawn))
    return columns


def margins(bench: Bench) -> tuple[lrgd_sets.Measure, ...]:
    """The measures of sets that the default objective found: searching once more for another takes as long again."""
    return tuple(one for one in lrgd_sets.allowed(bench) if one.objective == "margin")


def tables(columns: Mapping[str, Column]) -> list[str]:
    """The means under every set, then one table for each part of the benchmark."""
    means = {
        name: lrgd_sets.means(column.course.found["sets"], column.course.measures) for name, column in columns.items()
    }
    rows = {part: {name: _cells(column.course.rows[part]) for name, column in columns.items()} for part in ROWS}
    return [table(MEANS, means), *(table(TITLES[part], cells) for part, cells in rows.items())]


def table(title: str, cells: Cells) -> str:
    """Lines of all data sets, in the order of the one that has most of them."""
    by_length = sorted(cells.values(), key=len, reverse=True)
    labels = dict.fromkeys(label for each in by_length for label in each)
    lines = [(title, *cells)]
    lines += [(label, *(each.get(label, NOTHING) for each in cells.values())) for label in labels]
    return aligned(lines)


def _cells(rows: Sequence[Row]) -> dict[str, str]:
    return dict(cell(one) for one in rows)


def cell(one: Row) -> tuple[str, str]:
    """A row's line, which is the same for all data sets, and its text in the column of one of them.

    What differs between data sets, the number of cases, stands in the text.
    """
    label, note = one.measure, ""
    if cases := _CASES.search(label):
        label, note = label.replace(cases[0], ""), f" ({cases[1]})"
    if one.target:
        label += f" [{one.target}]"
    return label, f"{_figures(one)}{note}{'!' if one.met is False else ''}"


def _figures(one: Row) -> str:
    if one.value is None:
        return NOTHING
    ends = "" if one.low is None or one.high is None else f" [{_short(one.low)}, {_short(one.high)}]"
    return f"{_short(one.value)}{ends}"


def _short(value: float) -> str:
    return f"{value:.1e}" if 0 < abs(value) < 5e-4 else f"{value:.3f}"


def notes(columns: Mapping[str, Column], count: int) -> list[str]:
    """What a reader of the tables should know, a line for each data set."""
    said = [f"{CANDIDATES} candidates in random order have an NDCG@10 of {ndcg_by_chance(CANDIDATES):.3f}."]
    for name, column in columns.items():
        short = f"The utility check finds only {column.checks} cases."
        fewer = [short] if column.checks < share(UTILITY_SHARE, count) else []
        said.append(f"{name}: {' '.join([*column.bench.notes(), *fewer])}")
    return said
