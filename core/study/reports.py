"""A report of a task as a few lines for a terminal: what was asked, then a table for each kind of row it holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import BaseModel

from core.analysis.task import Report
from core.work.log import escaped

MOST_ROWS = 12
CELL = 28
"""Characters of one cell; the JSON has everything."""


def report_lines(report: Report) -> list[str]:
    """Heading, tables and notices; titles are escaped, so that none can steer a terminal."""
    return [*heading(report), *_tables(report), *(f"Note: {escaped(notice)}" for notice in report.notices)]


def heading(report: Report) -> Iterator[str]:
    """On which data and model, and what it cost."""
    made = report.provenance
    yield f"{escaped(made.dataset_name)}, {len(report.demos)} demonstrations, {report.tokens} tokens"
    spent = f"{report.passes:.1f} passes, {report.seconds:.1f} s"
    yield f"{escaped(made.model_name)} on {made.device}, {made.dtype}, {spent}"


def _tables(report: Report) -> Iterator[str]:
    for name in type(report).model_fields:
        value = getattr(report, name)
        if name in ("demos", "task", "notices"):
            continue
        if isinstance(value, str) and value and name not in ("stage", "family"):
            yield f"{_words(name)}: {escaped(value)}"
        elif isinstance(value, tuple) and value and all(isinstance(one, BaseModel) for one in value):
            yield ""
            yield from _table(_words(name), value)


def _table(title: str, rows: Sequence[BaseModel]) -> Iterator[str]:
    """The rows' plain values, aligned; what holds a list of its own is left to the JSON."""
    names = [name for name in type(rows[0]).model_fields if any(_is_plain(getattr(row, name)) for row in rows)]
    lines = [names, *([_cell(getattr(row, name)) for name in names] for row in rows[:MOST_ROWS])]
    widths = [max(len(line[place]) for line in lines) for place in range(len(names))]
    yield f"{title} ({len(rows)})"
    for line in lines:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
    if len(rows) > MOST_ROWS:
        yield f"  … {len(rows) - MOST_ROWS} more in the JSON"


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float) or _is_estimate(value)


def _is_estimate(value: object) -> bool:
    return isinstance(value, BaseModel) and isinstance(getattr(value, "mean", None), float)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, BaseModel):
        return f"{value.mean:.4g}" if _is_estimate(value) else "…"  # type: ignore[attr-defined]
    if isinstance(value, str | int):
        text = escaped(str(value))
        return text if len(text) <= CELL else f"{text[: CELL - 1]}…"
    return "…"


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
