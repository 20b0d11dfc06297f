"""Which finished reports come with the package: the example that each page opens on.

A file holds a report, the choices and files that it answers, and who computed it, with a hash of all that. It stands
for a job of this machine where choices, files and schema version are those of now: a job's key without the code. Which
code made the numbers is said beside them.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import RequestError
from core.lm.loading.adapter import ADAPTERS, CONFIG, SHIPPED, WEIGHTS
from core.lm.loading.code_table import CODES
from core.question.case_spec import CaseSpec
from core.question.kinds import KINDS, kind_of
from core.question.task import SCHEMA_VERSION, Report, Task
from core.store.home import write_atomically
from core.store.material import MOVIELENS, SMOLLM2
from core.store.sealed import bytes_of, content_hash, record_in, sealed
from core.work.job import ROOT, Origin, job_key
from core.work.log import logger

EXAMPLES = ("explain", "dual", "robustness", "improve", "personalise")
"""Kinds of question whose page opens on an example, the answer to their task with every choice at its default."""
FOLDER = ROOT / "assets" / "examples"


@dataclass(frozen=True)
class StoredReport:
    """A complete report that need not be computed."""

    report: Report
    origin: Origin | None = None
    """Who computed it, where it comes with the package."""


class _Example(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    schema_version: int
    task: dict[str, Any]
    """Its effective choices."""
    files: dict[str, str]
    """SHA-256 of the data, the model and the adapter by what they are for."""
    origin: Origin
    report: dict[str, Any]


class Examples:
    """The packaged reports in one folder; they are read when they are asked for."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder

    def load(self, key: str) -> StoredReport | None:
        """The packaged report for the job with this key; None for every other job."""
        kind = next((kind for kind in EXAMPLES if job_key(KINDS[kind].task()) == key), None)
        return None if kind is None else self.example(kind)

    def example(self, kind: str) -> StoredReport | None:
        """The example of a kind; None, with a line in the log, where it is missing, damaged, or not of now."""
        path = self._folder / f"{kind}.json.gz"
        try:
            record = record_in(gzip.decompress(bytes_of(path)))
            example = _Example.model_validate(record)
            report = KINDS[kind].report.model_validate(example.report)
        except (OSError, EOFError, zlib.error, ValidationError) as error:
            logger.warning("the example %s cannot be read: %s", path.name, type(error).__name__)
            return None
        if (difference := _difference(example, KINDS[kind].task(), report)) is not None:
            logger.warning("the example %s is not used: other %s", path.name, difference)
            return None
        return StoredReport(report, example.origin)


def write_example(report: Report, origin: Origin, folder: Path) -> Path:
    """Write a complete report as the example of its kind; equal reports give equal bytes.

    Raises `RequestError` for a question that is not the default one of its page, and `MaterialError` where the file
    cannot be written.
    """
    kind, task = kind_of(report.task), report.task
    if kind.name not in EXAMPLES or task.effective() != kind.task().effective():
        raise RequestError(f"an example of {kind.name}", expected="a default question of a page")
    example = _Example(
        kind=kind.name,
        schema_version=SCHEMA_VERSION,
        task=task.effective(),
        files=_files(task.case),
        origin=origin,
        report=json.loads(report.model_dump_json()),
    )
    path = folder / f"{kind.name}.json.gz"
    write_atomically(path, gzip.compress(sealed(example.model_dump()), mtime=0))
    return path


def _difference(example: _Example, task: Task, report: Report) -> str | None:
    """In what an example differs from the question of now; None where it answers it."""
    pairs: dict[str, tuple[object, object]] = {
        "schema version": (example.schema_version, SCHEMA_VERSION),
        "choices": (example.task, task.effective()),
        "files": (example.files, _files(task.case)),
        "report": (report.task.effective(), task.effective()),
        "stage": (report.stage, "complete"),
    }
    return next((name for name, (there, here) in pairs.items() if there != here), None)


def _files(case: CaseSpec) -> dict[str, str]:
    """What pins the material of a case that the package brings: two wheels by hash, an adapter by its contents."""
    pins = {"data": MOVIELENS.sha256, "model": SMOLLM2.sha256}
    return pins if case.adapter is None else pins | {"adapter": _adapter_hash(case.adapter)}


def _adapter_hash(name: str) -> str:
    """Of the files that make a shipped adapter the one it is; empty where one is missing or the adapter is another."""
    if name not in SHIPPED:
        return ""
    folder = ADAPTERS / name
    names = [CONFIG, WEIGHTS, *([CODES] if (folder / CODES).exists() else [])]
    try:
        text = "\n".join(f"{name} {content_hash(folder / name)}" for name in names)
    except OSError:
        return ""
    return hashlib.sha256(text.encode()).hexdigest()
