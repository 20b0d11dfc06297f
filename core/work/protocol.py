"""What the desk and its worker say to each other: one JSON object a line, never a pickle.

Commands (desk to worker): `{"run": key, "kind": name, "task": {...}}`, `{"examine": key, "case": {...}, "load": bool}`,
`{"cancel": key}`, `{"ping": true}`, `{"stop": true}`.
Events (worker to desk) have an `event` and the fields of the record of that name below.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from core.lm.loading.facts import ModelFacts

LINE_LIMIT = 64 * 2**20
"""Characters of the longest line that is read; the largest finding is far smaller."""


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True)


class Ready(_Event):
    """The worker has imported what it needs and takes runs."""

    event: Literal["ready"] = "ready"
    seconds_per_token: float | None = None
    """Of one forward pass, measured after start; None when no model was there to measure."""


class Alive(_Event):
    """The answer to a ping: the worker listens, whatever it computes."""

    event: Literal["alive"] = "alive"


class Started(_Event):
    """The worker has taken this run; what ends the worker from now on is charged to it."""

    event: Literal["started"] = "started"
    key: str


class Advanced(_Event):
    """How far the run is."""

    event: Literal["progress"] = "progress"
    key: str
    label: str
    fraction: float


class Partial(_Event):
    """The report so far, as JSON text."""

    event: Literal["partial"] = "partial"
    key: str
    report: str


class Done(_Event):
    """The run ended well."""

    event: Literal["done"] = "done"
    key: str
    report: str
    seconds: float
    peak_bytes: int
    """Most memory the worker ever held."""


class Failed(_Event):
    """The run ended with a fault; `error_id` stands beside the `details` in the log."""

    event: Literal["failed"] = "failed"
    key: str
    sentence: str
    kind: str
    error_id: str | None = None
    details: str = ""
    """The traceback of what was not expected, for the log: the desk writes it before it shows the error id."""
    broken: bool = False
    """Whether the worker cannot be used any more (a CUDA fault) and leaves."""


class Stopped(_Event):
    """The run ended between two forward passes because it was asked to."""

    event: Literal["cancelled"] = "cancelled"
    key: str


class Examined(_Event):
    """What was found of a model."""

    event: Literal["examined"] = "examined"
    key: str
    facts: ModelFacts
    loaded: bool
    """Whether the model is loaded, so that `facts` hold its self-check."""


RunEvent = Started | Advanced | Partial | Done | Failed | Stopped | Examined
Event = Ready | Alive | RunEvent
_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def line_of(message: BaseModel | Mapping[str, object]) -> bytes:
    """One message as a line; line breaks in the data are escaped by JSON itself."""
    if isinstance(message, BaseModel):
        return message.model_dump_json().encode("utf-8") + b"\n"
    return json.dumps(message, ensure_ascii=True, allow_nan=False).encode("ascii") + b"\n"


def event_of(line: bytes) -> Event | None:
    """The event in a line, or None for anything else (a stray print, half a line, another version's event)."""
    try:
        return _EVENT.validate_json(line)
    except ValidationError:
        return None


def command_of(line: bytes) -> dict[str, object] | None:
    """The command in a line, or None for anything that is not a JSON object."""
    try:
        command = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return command if isinstance(command, dict) else None
