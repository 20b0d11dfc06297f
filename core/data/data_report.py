"""What files of interactions were taken for, before anything of them is stored: every guess and the option for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import duckdb
from pydantic import BaseModel, ConfigDict

from core.data.duck import first_row
from core.data.reading.rejects import Rejects
from core.data.reading.sources import SourceFile, Sources
from core.data.typed import TypedData

REPORT_VERSION = 1
"""Of the JSON; rises when a field moves."""
_LATEST = 253_402_300_799.0
"""Seconds from 1970 to the end of the year 9999."""
_OPTIONS: Mapping[str, str] = {
    "user": "--user-column",
    "item": "--item-column",
    "rating": "--rating-column",
    "time": "--time-column",
    "title": "--title-column",
}


class _ReportPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


class FileReport(_ReportPart):
    """One file that is read."""

    name: str
    kind: str
    """What the file was recognised as."""
    layout: str
    """How its lines hold rows."""
    encoding: str
    rows: int
    unused_columns: tuple[str, ...]


class ColumnReport(_ReportPart):
    """What one column was taken for."""

    meaning: str
    """`user`, `item`, `rating`, `time`, `title` or `categories`."""
    column: str | None
    """None where no column was taken for it."""
    option: str
    """The option that says another column; empty where there is none."""


class RatingReport(_ReportPart):
    """How the numbers beside interactions are read."""

    kind: str
    """`ratings`, `counts`, or `none`, where every interaction counts as liked."""
    low: float | None
    top: float | None
    like_from: float | None
    """Least number that counts as liked."""
    like_share: float | None
    """Share of the rated interactions that count as liked."""
    not_rated: tuple[tuple[float, int], ...]
    """Special values that mean "not rated", and how many interactions hold each."""
    values: tuple[tuple[float, int], ...]
    """The most frequent values, and how many interactions hold each."""


class TimeReport(_ReportPart):
    """How times are read."""

    unit: str | None
    """None where times order nothing: the order is then that of the file."""
    first: str | None
    """The earliest time, UTC; None for times that are a mere order."""
    last: str | None
    missing: int
    """Times that are 0 or -1."""
    future: int
    dates: int
    """Times that are written as dates."""
    ties: int
    """Interactions of a user at a time at which the user has another one."""


class TitleReport(_ReportPart):
    """What is odd about titles, in numbers of items."""

    missing: int
    web_page_rests: int
    """Lines whose title is the rest of a web page."""
    long: int
    """Above 300 characters."""
    shared: int
    """Items whose title another item has, too."""
    shared_example: str
    garbled: int
    unknown_items: int
    """Items with interactions and no line in the files of items."""


class RejectedReport(_ReportPart):
    """One line that is not read."""

    file: str
    line: int
    problem: str
    expected: str


class DataReport(_ReportPart):
    """What files of interactions hold, as far as a person must agree before they are stored."""

    report_version: int = REPORT_VERSION
    format: str
    format_words: str
    dataset_id: str
    """First 16 hex digits of the content's SHA-256."""
    users: int
    items: int
    interactions: int
    noun: str
    """What an item is called in prompts."""
    files: tuple[FileReport, ...]
    left_out: tuple[str, ...]
    """Files that are not read, with the reason."""
    columns: tuple[ColumnReport, ...]
    ratings: RatingReport
    times: TimeReport
    titles: TitleReport
    repeats: int
    """Lines that repeat the user, item and time of another line."""
    repeats_differing: int
    """Those whose ratings differ; the highest one is kept."""
    rejected: int
    """Lines that are not read."""
    rejected_first: tuple[RejectedReport, ...]
    notices: tuple[str, ...]


def data_report(
    connection: duckdb.DuckDBPyConnection, sources: Sources, data: TypedData, rejects: Rejects
) -> DataReport:
    """The report of typed rows, which `connection` holds."""
    scale, faults = data.interactions.scale, data.items.faults
    kind = "none" if not scale.rated else "counts" if scale.counts else "ratings"
    return DataReport(
        format=sources.format.name,
        format_words=sources.format.words,
        dataset_id=data.dataset_id,
        users=data.facts["users"],
        items=data.facts["items"],
        interactions=data.facts["interactions"],
        noun=data.facts["noun"],
        files=_files(sources, data),
        left_out=sources.ignored,
        columns=_columns(sources, data),
        ratings=RatingReport(
            kind=kind,
            low=scale.low,
            top=scale.top,
            like_from=scale.threshold if scale.rated else None,
            like_share=data.meaning["like_share"],
            not_rated=scale.unrated,
            values=data.interactions.values,
        ),
        times=_times(connection, data),
        titles=TitleReport(
            missing=faults.missing,
            web_page_rests=faults.debris,
            long=faults.long,
            shared=faults.shared,
            shared_example=faults.shared_example,
            garbled=faults.garbled,
            unknown_items=faults.unknown,
        ),
        repeats=data.interactions.repeats,
        repeats_differing=data.interactions.differing,
        rejected=rejects.count,
        rejected_first=tuple(
            RejectedReport(file=row.file, line=row.line, problem=row.problem, expected=row.expected)
            for row in rejects.first
        ),
        notices=data.notices,
    )


def _files(sources: Sources, data: TypedData) -> tuple[FileReport, ...]:
    reports = []
    for group, table in ((sources.interactions, data.interactions.table), (sources.items, data.items.table)):
        for place, file in enumerate(group if table is not None else ()):
            assert table is not None
            reports.append(
                FileReport(
                    name=file.stream.name,
                    kind=file.kind.words,
                    layout=file.shape.layout.words,
                    encoding=table.encodings[place],
                    rows=table.rows_of[place],
                    unused_columns=_unused(file, data),
                )
            )
    return tuple(reports)


def _unused(file: SourceFile, data: TypedData) -> tuple[str, ...]:
    used = set(file.shape.taken.values())
    if file.kind.role == "items":
        used |= {data.items.title or "", data.items.categories or ""}
    return tuple(column for column in file.shape.layout.names if column not in used)


def _columns(sources: Sources, data: TypedData) -> tuple[ColumnReport, ...]:
    taken = dict(sources.interactions[0].shape.taken)
    taken["title"], taken["categories"] = data.items.title, data.items.categories  # type: ignore[assignment]
    meanings = ("user", "item", "rating", "time", "title", "categories")
    return tuple(
        ColumnReport(meaning=meaning, column=taken.get(meaning), option=_OPTIONS.get(meaning, ""))  # type: ignore[call-overload]
        for meaning in meanings
    )


def _times(connection: duckdb.DuckDBPyConnection, data: TypedData) -> TimeReport:
    clock = data.interactions.clock
    (ties,) = first_row(
        connection,
        "SELECT coalesce(sum(n), 0)::BIGINT FROM (SELECT count(*) AS n FROM ordered WHERE timestamp IS NOT NULL"
        " GROUP BY hash(user_id, timestamp) HAVING n > 1)",
    )
    dates = clock.last is not None and abs(clock.last) >= 1e8
    return TimeReport(
        unit=clock.unit,
        first=_date(clock.first) if dates else None,
        last=_date(clock.last) if dates else None,
        missing=clock.early,
        future=clock.late,
        dates=clock.dates,
        ties=ties,
    )


def _date(seconds: float | None) -> str | None:
    if seconds is None or not 0 <= seconds <= _LATEST:
        return None if seconds is None else f"{seconds:g} s from 1970"
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="minutes").replace("+00:00", "Z")
