"""The figures of part `lrgd` on several data sets side by side: one table a measure, one column a data set.

Every step is taken on all data sets before the next one, so a run that is cut short has measured each of them on the
same share of its cases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from bench.case_list import Bench
from bench.constants import CANDIDATES
from bench.lrgd import inference_rows, search_sets, utility_over_users
from bench.lrgd.lrgd_part import TABLES, Course, LrgdPart, plan, share
from bench.results_table import ResultRow, short
from bench.timing import Clock
from core.cli.output import aligned
from core.errors import DemoLensError
from core.metrics.ranking import ndcg_by_chance

UTILITY_SHARE = 1.0
"""Cases of the utility check for every case of the search."""
SWEEPS = 2
MEANS = "mean on the held-out target (cases)"
NOTHING = "-"
LEGEND = (
    "Cells: value [90 % interval, or quartiles; for the most forwards, least and most] (cases). ! misses the target."
    f" {NOTHING} is not defined for these data, or not measured."
)
_CASES = re.compile(r" \((\d+) cases\)")

TableCells = Mapping[str, Mapping[str, str]]
"""Texts by data set and line."""


@dataclass(frozen=True)
class DataColumn:
    """One data set: its bench, its measures so far, and how many cases its utility check has."""

    bench: Bench
    course: Course
    checks: int

    def has(self, part: LrgdPart, place: int) -> bool:
        """Whether the data set has a case of that number for a part."""
        return part != "utility" or place < self.checks


def lrgd_of_folders(benches: Sequence[Bench], count: int) -> Iterator[list[ResultRow]]:
    """Rows so far of all data sets, after every case of every measure; a row's measure starts with the data set's name.

    A case that cannot be measured is left out with a note. Raises `SystemExit` with one sentence where two data sets
    have the same name, or one has too few users.
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
        clock.tick(f"{name} {part} {place + 1}")
        yield [
            replace(row, measure=f"{name}: {row.measure}")
            for name, column in columns.items()
            for row in column.course.all_rows()
        ]
    print("\n\n".join([*tables(columns), LEGEND, *notes(columns, count), *left_out]), end="\n\n")


def _columns(benches: Sequence[Bench], count: int) -> dict[str, DataColumn]:
    columns: dict[str, DataColumn] = {}
    for bench in benches:
        name = bench.dataset.name
        if name in columns:
            raise SystemExit(f"bench: two data sets are named {name}; expected each once")
        drawn = list(islice(utility_over_users.settings(bench), share(UTILITY_SHARE, count)))
        specs, measures = search_sets.specs(bench, count), margins(bench)
        course = Course(bench, specs, iter(drawn), inference_rows.as_chosen, measures)
        columns[name] = DataColumn(bench, course, len(drawn))
    return columns


def margins(bench: Bench) -> tuple[search_sets.SetMeasure, ...]:
    """The measures of sets that the default objective found: searching once more for another takes as long again."""
    return tuple(measure for measure in search_sets.allowed(bench) if measure.objective is None)


def tables(columns: Mapping[str, DataColumn]) -> list[str]:
    """The means under every set, then one table for each part of the benchmark."""
    courses = {name: column.course for name, column in columns.items()}
    means = {name: search_sets.means(course.records["sets"], course.measures) for name, course in courses.items()}
    rows = {part: {name: _cells(course.rows[part]) for name, course in courses.items()} for part in TABLES}
    return [table(MEANS, means), *(table(TABLES[part].title, cells) for part, cells in rows.items())]


def table(title: str, cells: TableCells) -> str:
    """Lines of all data sets, in the order of the one that has most of them."""
    by_length = sorted(cells.values(), key=len, reverse=True)
    labels = dict.fromkeys(label for each in by_length for label in each)
    lines = [(title, *cells)]
    lines += [(label, *(each.get(label, NOTHING) for each in cells.values())) for label in labels]
    return aligned(lines)


def _cells(rows: Sequence[ResultRow]) -> dict[str, str]:
    return dict(map(cell, rows))


def cell(row: ResultRow) -> tuple[str, str]:
    """A row's line, which is the same for all data sets, and its text in the column of one of them.

    What differs between data sets, the number of cases, stands in the text.
    """
    label, note = row.measure, ""
    if cases := _CASES.search(label):
        label, note = label.replace(cases[0], ""), f" ({cases[1]})"
    if row.target:
        label += f" [{row.target}]"
    return label, f"{_figures(row)}{note}{'!' if row.met is False else ''}"


def _figures(row: ResultRow) -> str:
    if row.value is None:
        return NOTHING
    value, *ends = ("" if figure is None else short(figure, least=5e-4) for figure in (row.value, row.low, row.high))
    return f"{value} [{ends[0]}, {ends[1]}]" if all(ends) else value


def notes(columns: Mapping[str, DataColumn], count: int) -> list[str]:
    """What a reader of the tables should know, a line for each data set."""
    lines = [f"{CANDIDATES} candidates in random order have an NDCG@10 of {ndcg_by_chance(CANDIDATES):.3f}."]
    for name, column in columns.items():
        short_of = f"The utility check finds only {column.checks} cases."
        fewer = [short_of] if column.checks < share(UTILITY_SHARE, count) else []
        lines.append(f"{name}: {' '.join([*column.bench.notes(), *fewer])}")
    return lines
