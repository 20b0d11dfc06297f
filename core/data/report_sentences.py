"""The report of interaction data in sentences, each with the option that changes what it says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from core.data.data_report import DataReport, RatingReport, TimeReport, TitleReport
from core.words import brief, counted, figure

MOST_NAMED = 12
"""Columns, values and files that a sentence names."""
Topic = Literal["Files", "Ratings", "Times", "Titles", "Repeats"]


@dataclass(frozen=True)
class ReportSentence:
    """One thing that the report says."""

    topic: Topic
    text: str
    """Untrusted where it names columns, files and titles; without a full stop at its end."""
    option: str = ""
    """The command line's option that changes it."""


def report_sentences(report: DataReport) -> tuple[ReportSentence, ...]:
    """What the report says of files, ratings, times, titles and repeated lines."""
    return (
        *_files(report),
        *_ratings(report.ratings),
        *_times(report.times),
        *_titles(report.titles),
        *_repeats(report),
    )


def _files(report: DataReport) -> Iterator[ReportSentence]:
    for file in report.files:
        text = f"{brief(file.name)}: {file.kind}; {file.layout}; {file.encoding}; {counted(file.rows, 'row')}"
        yield ReportSentence("Files", text + _unused(file.unused_columns))
    for reason in report.left_out[:MOST_NAMED]:
        yield ReportSentence("Files", f"left out: {brief(reason)}")


def _unused(columns: Sequence[str]) -> str:
    if not columns:
        return ""
    more = f" and {len(columns) - MOST_NAMED} more" if len(columns) > MOST_NAMED else ""
    return f"; unused: {', '.join(map(brief, columns[:MOST_NAMED]))}{more}"


def _ratings(ratings: RatingReport) -> Iterator[ReportSentence]:
    if ratings.kind == "none":
        yield ReportSentence("Ratings", "none or all equal, so every interaction counts as liked")
        return
    share = "" if ratings.like_share is None else f", {100 * ratings.like_share:.0f} % of the rated ones"
    span = f"{ratings.kind} from {figure(ratings.low, 1)} to {figure(ratings.top, 1)}"
    yield ReportSentence("Ratings", f"{span}; liked from {ratings.like_from:g} on{share}", "--like-from")
    yield ReportSentence("Ratings", f"most frequent: {_values(ratings.values)}")
    yield ReportSentence("Ratings", f"read as not rated: {_values(ratings.not_rated) or 'no value'}", "--not-rated")


def _values(values: Sequence[tuple[float, int]]) -> str:
    return ", ".join(f"{value:g} ({count:,})" for value, count in values[:MOST_NAMED])


def _times(times: TimeReport) -> Iterator[ReportSentence]:
    if times.unit is None:
        yield ReportSentence("Times", "none or all equal; the order is that of the file", "--time-unit")
        return
    span = f" from {times.first} to {times.last}" if times.first else ", a mere order"
    odd = {"at 0 or \u22121": times.missing, "in the future": times.future, "written as dates": times.dates}
    more = "".join(f"; {count:,} {what}" for what, count in odd.items() if count)
    ties = f"; {times.ties:,} share user and time with another" if times.ties else ""
    yield ReportSentence("Times", f"{times.unit}{span}{more}{ties}", "--time-unit")


def _titles(titles: TitleReport) -> Iterator[ReportSentence]:
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
    yield ReportSentence("Titles", "; ".join(odd) or "nothing odd")


def _repeats(report: DataReport) -> Iterator[ReportSentence]:
    if not report.repeats:
        return
    differing = (
        f"; of {report.repeats_differing:,} with differing ratings the highest" if report.repeats_differing else ""
    )
    repeats = counted(report.repeats, "line")
    yield ReportSentence("Repeats", f"{repeats} of a user, item and time, each kept once{differing}")
