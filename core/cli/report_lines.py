"""A report of a task as a few lines for a terminal: a heading, then a table for each kind of row it holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from pydantic import BaseModel

from core.analysis.robustness.place_words import margin_sentence, places_sentence, size_sentence
from core.analysis.robustness.robustness_task import RobustnessReport
from core.analysis.robustness.sensitivity_words import sensitivity_sentence
from core.question.task import Report
from core.selection.improve_task import ImproveReport
from core.selection.verdict import verdicts
from core.words import duration
from core.work.log import escaped

MOST_ROWS = 12
CELL = 28
"""Characters of one cell; the JSON has everything."""
TIMES = ("timestamp", "recency", "since", "until")
"""Fields that hold a time in seconds, or a place in the history where the data have no times."""
EARLIEST, LATEST = 1e7, 253_402_300_800
"""Seconds from which such a number is read as a time (April 1970), and up to which there is a date (year 9999)."""


def report_lines(report: Report) -> list[str]:
    """Heading, verdict, tables and notices; titles are escaped, so that none can steer a terminal."""
    return [*heading(report), *_tables(report), *_notes(report)]


def improve_lines(report: ImproveReport) -> list[str]:
    """The same of a search, with its verdicts first."""
    return [*heading(report), *verdicts(report), *_tables(report), *_notes(report)]


def robustness_lines(report: RobustnessReport) -> list[str]:
    """The same of a robustness report, with where the target stands and what moves it first."""
    places = places_sentence(report, "The target")
    sentences = [places, margin_sentence(report), size_sentence(report), sensitivity_sentence(report)]
    return [*heading(report), *filter(None, sentences), *_tables(report), *_notes(report)]


def _notes(report: Report) -> Iterator[str]:
    return (f"Note: {escaped(notice)}" for notice in report.notices)


def heading(report: Report) -> Iterator[str]:
    """On which data and model, and what it cost."""
    source = report.provenance
    count = len(report.demos)
    yield f"{escaped(source.dataset_name)}, {count} demonstration{'s' * (count != 1)}, {report.tokens} tokens"
    if source.template is not None:
        yield f"Template {escaped(source.template.words)}"
    spent = f"{report.passes:.1f} full passes, {duration(report.seconds)}"
    yield f"{escaped(source.model_name)} on {source.device}, {source.dtype}, {spent}"


def _tables(report: Report) -> Iterator[str]:
    for name in type(report).model_fields:
        value = getattr(report, name)
        if name in ("schema_version", "demos", "task", "notices"):
            continue
        if isinstance(value, str) and value and name not in ("stage", "family"):
            yield f"{_words(name)}: {escaped(value)}"
        elif isinstance(value, BaseModel) and name != "provenance":
            yield ""
            yield from _table(_words(name), [value])
        elif isinstance(value, tuple) and value and all(isinstance(row, BaseModel) for row in value):
            yield ""
            yield from _table(f"{_words(name)} ({len(value)})", value)


def _table(title: str, rows: Sequence[BaseModel]) -> Iterator[str]:
    """The rows' plain values, aligned, and the lists of ids; what holds another list is left to the JSON."""
    names = [name for name in type(rows[0]).model_fields if any(_is_plain(getattr(row, name)) for row in rows)]
    lines = [names, *([_cell(name, getattr(row, name)) for name in names] for row in rows[:MOST_ROWS])]
    widths = [max(len(line[place]) for line in lines) for place in range(len(names))]
    yield title
    for line in lines:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
    if len(rows) > MOST_ROWS:
        yield f"  … {len(rows) - MOST_ROWS} more in the JSON"


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float) or _is_estimate(value) or _is_texts(value)


def _is_estimate(value: object) -> bool:
    return isinstance(value, BaseModel) and isinstance(getattr(value, "mean", None), float)


def _is_texts(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, str) for each in value)


def _cell(name: str, value: object) -> str:
    if value is None:
        return "-"
    if name in TIMES and isinstance(value, float) and value >= EARLIEST:
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M}" if value < LATEST else f"{value:.0f}"
    if _is_texts(value):
        return _cell(name, " ".join(value) or "none")  # type: ignore[arg-type]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    if isinstance(value, BaseModel):
        return f"{value.mean:.4g}" if _is_estimate(value) else "…"  # type: ignore[attr-defined]
    if isinstance(value, str | int):
        text = escaped(str(value))
        return text if len(text) <= CELL else f"{text[: CELL - 1]}…"
    return "…"


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
