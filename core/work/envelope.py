"""A report as the text that is stored, and read back only where it is one of this version."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import RequestError
from core.question.kinds import kind_named, kind_of
from core.question.task import Report, Task
from core.work.log import logger


class _Envelope(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: str
    report: dict[str, Any]


def enveloped(task: Task, report: str) -> str:
    """The text that is stored of a report (a JSON text)."""
    return f'{{"kind":"{kind_of(task).name}","report":{report}}}'


def opened(text: str) -> Report | None:
    """The report of a stored text; None when it is not one of this version."""
    try:
        envelope = _Envelope.model_validate_json(text)
        return kind_named(envelope.kind).report.model_validate(envelope.report)
    except (ValidationError, RequestError) as error:
        logger.warning("a stored result cannot be read: %s", type(error).__name__)
        return None


def report_in(task: Task, text: str) -> Report | None:
    """The report in a worker's JSON text; None when it cannot be read."""
    try:
        return kind_of(task).report.model_validate_json(text)
    except ValidationError as error:
        logger.warning("what the worker sent cannot be read: %d faults", error.error_count())
        return None
