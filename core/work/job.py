"""What a job is, and by which key the same work is known again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from core.question.kinds import kind_of
from core.question.task import SCHEMA_VERSION, Report, Task
from core.work.contents import adapter_fingerprint, model_fingerprint, source_fingerprint

State = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED: frozenset[State] = frozenset({"done", "failed", "cancelled"})
ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""
NUMBER_ROOMS = ("question", "analysis", "selection", "tuning", "personal", "lm", "prompt", "data", "metrics")
"""Rooms of `core` whose code makes the numbers of a finding."""


class Origin(BaseModel):
    """Who computed a report that comes with the package: another machine, perhaps with other code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    """Of DemoLens."""
    code: str
    """`code_fingerprint` of the code that made the numbers."""
    created: str
    """UTC, ISO 8601."""
    seconds: float
    """What the computation took there."""
    command: str
    """What computes the packaged reports anew."""


@dataclass(frozen=True)
class Job:
    """A snapshot of one job; it does not change, ask the desk for a newer one."""

    key: str
    state: State
    task: Task
    ahead: int
    """Jobs that run or wait before this one; 0 once it runs."""
    label: str
    """What is being done now, in words."""
    fraction: float
    """0 to 1."""
    elapsed: float | None
    """Seconds from start to now or to the end; None while queued and for a result that was read from disk."""
    remaining: float | None
    """Seconds still to go, from what is done and from the forecast; None when nothing is known."""
    report: Report | None
    """The newest finding. What a cancelled or failed job had found by then is kept; its `stage` says how far it is."""
    sentence: str
    """Why it failed or was cancelled, or what a reader should know; empty otherwise."""
    error_id: str | None
    """Stands beside the traceback in the log."""
    created: str
    """UTC, ISO 8601."""
    origin: Origin | None = None
    """Who computed the report, where it comes with the package; None for one of this machine."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED


def job_key(task: Task) -> str:
    """64 hex digits for a task on today's files and code, found without opening a model.

    The same task has another key after its data, model or adapter folder changed, and after the code that makes the
    numbers changed; so a stored result is never shown for other content.
    """
    case = task.case
    parts = {
        "kind": kind_of(task).name,
        "task": task.effective(),
        "files": [
            source_fingerprint(case),
            model_fingerprint(case.model),
            adapter_fingerprint(case.adapter),
        ],
        "code": code_fingerprint(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("ascii")).hexdigest()


@lru_cache(maxsize=1)
def code_fingerprint() -> str:
    """Hash of the version, the schema version, and the code and templates that make the numbers."""
    digest = hashlib.sha256(f"{package_version()} {SCHEMA_VERSION}".encode())
    for path in _number_files():
        digest.update(f"\n{path.name}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def package_version() -> str:
    """The installed version of DemoLens, `0` in a checkout that was never installed."""
    try:
        return version("demolens")
    except PackageNotFoundError:
        return "0"


def _number_files() -> Iterator[Path]:
    for room in NUMBER_ROOMS:
        yield from sorted((ROOT / "core" / room).rglob("*.py"))
    yield ROOT / "core" / "store" / "material.py"
    yield from sorted((ROOT / "assets").rglob("*.txt"))
