"""Reading a person's files in a child process that may use so much memory, time and disk, and no more."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data.data_report import DataReport
from core.data.intake.import_child import ANSWER, NO_MEMORY, PROGRESS
from core.data.names import DataOrigin
from core.data.reading.file_heads import FileHead
from core.data.reading.import_choices import DataChoices
from core.data.reading.streams import label
from core.data.stored import Prepared, stored_as
from core.errors import DataError
from core.store.child import keyless_environment, run_child
from core.store.home import VARIABLE, home_path
from core.words import duration

CHILD = "core.data.intake.import_child"


@dataclass(frozen=True)
class ReadingLimits:
    """What reading the files of one data set may use."""

    memory_bytes: int = 4 * 2**30
    """Address space: Python and its libraries take about 1.3 GB of it, DuckDB at most 1.2 GB."""
    cpu_seconds: float = 1800.0
    file_bytes: int = 64 * 2**30
    """Largest file that may be written."""


LIMITS = ReadingLimits()


@dataclass(frozen=True)
class ReadingOutcome:
    """What files were taken for, or why they are no data set."""

    choices: DataChoices
    heads: tuple[FileHead, ...]
    """The beginnings of the files that hold tables."""
    prepared: Prepared | None = None
    """In a folder below the scratch folder."""
    origin: DataOrigin | None = None
    fault: DataError | None = None


def read_limited(
    paths: Sequence[Path],
    choices: DataChoices,
    scratch: Path,
    *,
    limits: ReadingLimits = LIMITS,
    between: Callable[[str], None] = lambda _label: None,
) -> ReadingOutcome:
    """Read files in a child process; what it makes lies in `scratch`, an empty folder of the caller.

    `between` is called ten times a second with what goes on; what it raises ends the child and passes on.
    """
    request = {
        "paths": [str(path) for path in paths],
        "choices": choices.model_dump(mode="json"),
        "scratch": str(scratch),
        "memory": limits.memory_bytes,
        "file_bytes": limits.file_bytes,
    }
    done = run_child(
        ["-m", CHILD, json.dumps(request)],
        cpu_seconds=limits.cpu_seconds,
        isolated=False,
        environment=_environment(),
        between=lambda: between(_progress(scratch)),
    )
    where = label(paths[0])
    if done.status is None:
        problem = f"is not read within {duration(limits.cpu_seconds)} of processor time"
        return ReadingOutcome(choices, (), fault=DataError(problem, expected="a smaller data set", where=where))
    return _outcome(_answer(scratch), choices, scratch, limits, where)


def _environment() -> Mapping[str, str]:
    return keyless_environment() | {VARIABLE: str(home_path()), "ARROW_DEFAULT_MEMORY_POOL": "system"}


def _progress(scratch: Path) -> str:
    try:
        return (scratch / PROGRESS).read_text(encoding="utf-8", errors="replace")[:300]
    except OSError:
        return ""


def _answer(scratch: Path) -> dict[str, Any]:
    """What the child answered; of one that died, that its memory was too small, which is the likeliest reason."""
    try:
        answer: dict[str, Any] = json.loads((scratch / ANSWER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"heads": [], "fault": [NO_MEMORY, "", ""]}
    return answer


def _outcome(
    answer: dict[str, Any], choices: DataChoices, scratch: Path, limits: ReadingLimits, where: str
) -> ReadingOutcome:
    heads = tuple(map(FileHead.model_validate, answer["heads"]))
    if "fault" in answer:
        return ReadingOutcome(choices, heads, fault=_fault(answer["fault"], limits, where))
    record = answer["stored"]
    data = stored_as(record, scratch) if re.fullmatch("[0-9a-f]{16}", record["dataset_id"]) else None
    if data is None:
        return ReadingOutcome(choices, heads, fault=DataError("was not read to its end", where=where))
    origin = DataOrigin(tuple(answer["files"]), answer["licence"], choices)
    return ReadingOutcome(choices, heads, Prepared(data, DataReport.model_validate(answer["report"])), origin)


def _fault(parts: Sequence[str], limits: ReadingLimits, where: str) -> DataError:
    problem, expected, place = parts
    if problem == NO_MEMORY:
        problem = f"needs more than the {limits.memory_bytes / 2**30:.1f} GB of memory that reading a data set may use"
        return DataError(problem, expected="a smaller file, or one with shorter lines", where=where)
    return DataError(problem, expected=expected, where=place or where)
