"""The report of interaction data as lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from core.cli.output import aligned
from core.data.data_report import DataReport, RatingReport, TimeReport, TitleReport
from core.data.names import NamedDataset
from core.words import brief, counted, figure

MOST_COLUMNS = 12


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
        *_files(report),
        "",
        aligned([["meaning", "column", "option"], *columns]),
        "",
        *_ratings(report.ratings),
        *_times(report.times),
        *_titles(report.titles),
        *_repeats(report),
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


def _files(report: DataReport) -> list[str]:
    lines = [
        f"File {brief(file.name)}: {file.kind}; {file.layout}; {file.encoding}; {counted(file.rows, 'row')}"
        f"{_unused(file.unused_columns)}."
        for file in report.files
    ]
    return [*lines, *(f"Left out: {brief(reason)}." for reason in report.left_out[:MOST_COLUMNS])]


def _unused(columns: Sequence[str]) -> str:
    if not columns:
        return ""
    more = f" and {len(columns) - MOST_COLUMNS} more" if len(columns) > MOST_COLUMNS else ""
    return f"; unused: {', '.join(map(brief, columns[:MOST_COLUMNS]))}{more}"


def _ratings(ratings: RatingReport) -> list[str]:
    if ratings.kind == "none":
        return ["Ratings: none or all equal, so every interaction counts as liked."]
    share = "" if ratings.like_share is None else f", {100 * ratings.like_share:.0f} % of the rated ones"
    values = ", ".join(f"{value:g} ({count:,})" for value, count in ratings.values[:MOST_COLUMNS])
    lines = [
        f"Ratings: {ratings.kind} from {figure(ratings.low, 1)} to {figure(ratings.top, 1)}; liked from"
        f" {ratings.like_from:g} on{share} (--like-from). Most frequent: {values}."
    ]
    special = ", ".join(f"{value:g} ({count:,})" for value, count in ratings.not_rated)
    return [*lines, f"Not rated: {special or 'no value'} (--not-rated)."]


def _times(times: TimeReport) -> list[str]:
    if times.unit is None:
        return ["Times: none or all equal; the order is that of the file."]
    span = f" from {times.first} to {times.last}" if times.first else ", a mere order"
    odd = {"at 0 or \u22121": times.missing, "in the future": times.future, "written as dates": times.dates}
    more = "".join(f"; {count:,} {what}" for what, count in odd.items() if count)
    ties = f"; {times.ties:,} share user and time with another" if times.ties else ""
    return [f"Times: {times.unit}{span}{more}{ties} (--time-unit)."]


def _titles(titles: TitleReport) -> list[str]:
    counts = {
        "missing": titles.missing,
        "rests of web pages": titles.web_page_rests,
        "above 300 characters": titles.long,
        "wrongly decoded": titles.garbled,
        "items that no file of items names": titles.unknown_items,
    }
    odd = [f"{count:,} {what}" for what, count in counts.items() if count]
    if titles.shared:
        odd.append(f"{titles.shared:,} items share a title, such as {brief(titles.shared_example)}")
    return [f"Titles: {'; '.join(odd) or 'nothing odd'}."]


def _repeats(report: DataReport) -> list[str]:
    if not report.repeats:
        return []
    differing = (
        f"; of {report.repeats_differing:,} with differing ratings the highest" if report.repeats_differing else ""
    )
    return [f"Repeats: {counted(report.repeats, 'line')} of a user, item and time, each kept once{differing}."]


def _rejected(report: DataReport) -> list[str]:
    if not report.rejected:
        return []
    rows = [f"  {row.file}, line {row.line}: {row.problem}" for row in report.rejected_first]
    more = report.rejected - len(rows)
    return [f"Not read: {counted(report.rejected, 'line')}.", *rows, *([f"  and {more:,} more"] if more else [])]
