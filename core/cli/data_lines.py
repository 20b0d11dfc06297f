"""The report of interaction data as lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from core.cli.output import aligned
from core.data.data_report import DataReport
from core.data.names import NamedDataset
from core.data.report_sentences import Topic, report_sentences
from core.words import counted


def report_lines(report: DataReport) -> list[str]:
    """Format, sizes, files, columns, ratings, times, titles, rejected lines, notices."""
    sizes = (
        f"{counted(report.users, 'user')}, {counted(report.items, 'item')},"
        f" {counted(report.interactions, 'interaction')}; an item is called {report.noun}"
    )
    columns = [[row.meaning, row.column or "none", row.option] for row in report.columns]
    return [
        f"Format: {report.format} ({report.format_words}).",
        f"Content: {sizes}. Id {report.dataset_id}.",
        *_lines(report, "Files"),
        "",
        aligned([["meaning", "column", "option"], *columns]),
        "",
        *_lines(report, "Ratings", "Times", "Titles", "Repeats"),
        *_rejected(report),
        "",
        *(f"- {notice}" for notice in report.notices),
    ]


def added_lines(name: str) -> list[str]:
    """What to do next."""
    return ["", f"Added as {name}: demolens explain --dataset {name} --user ID"]


def list_lines(entries: Sequence[NamedDataset]) -> list[str]:
    """One line a data set."""
    if not entries:
        return ["No data set was added yet: demolens data add PATH --name NAME"]
    rows = [["name", "users", "items", "interactions", "format"]]
    for entry in entries:
        report = entry.report
        rows.append([entry.name, *(f"{n:,}" for n in (report.users, report.items, report.interactions)), report.format])
    return [aligned(rows)]


def _lines(report: DataReport, *topics: Topic) -> list[str]:
    """The report's sentences on these topics, each with its option."""
    return [
        f"{row.topic}: {row.text}{f' ({row.option})' if row.option else ''}."
        for row in report_sentences(report)
        if row.topic in topics
    ]


def _rejected(report: DataReport) -> list[str]:
    if not report.rejected:
        return []
    rows = [f"  {row.file}, line {row.line}: {row.problem}" for row in report.rejected_first]
    more = report.rejected - len(rows)
    return [f"Not read: {counted(report.rejected, 'line')}.", *rows, *([f"  and {more:,} more"] if more else [])]
