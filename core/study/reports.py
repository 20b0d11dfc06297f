"""A report of a task as a few lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from core.analysis.task import Report
from core.work.log import escaped


def report_lines(report: Report) -> list[str]:
    """What was asked, then what was found; titles are escaped, so that none can steer a terminal."""
    return [*_heading(report), *(f"Note: {escaped(notice)}" for notice in report.notices)]


def _heading(report: Report) -> Iterator[str]:
    made = report.provenance
    yield f"{escaped(made.dataset_name)}, {len(report.demos)} demonstrations, {report.tokens} tokens"
    spent = f"{report.passes:.1f} passes, {report.seconds:.1f} s"
    yield f"{escaped(made.model_name)} on {made.device}, {made.dtype}, {spent}"
