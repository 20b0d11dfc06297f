"""Which kinds of work there are: what is asked, what is found, and the function between them.

Everything is named as `module:name` and imported when it is used: a page needs no torch to ask for work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from core.analysis.explain.cost import predicted_passes
from core.analysis.explain.explanation import Explanation
from core.analysis.request import Request
from core.analysis.task import Report, Task
from core.errors import RequestError
from core.work.log import logger

if TYPE_CHECKING:
    from core.data.dataset import Dataset

Asked = Request | Task
Found = Explanation | Report
Work = Callable[..., Iterator[Found]]


@dataclass(frozen=True)
class Kind:
    """One kind of work; `name` is also its command."""

    name: str
    asked_at: str
    found_at: str
    work_at: str
    check_at: str = ""
    """What refuses, beyond a wrong case, a task that no model is needed to refuse: `check(asked, dataset)`."""

    @property
    def asked(self) -> type[Asked]:
        """Class of what is asked."""
        made: type[Asked] = _named(self.asked_at)
        return made

    @property
    def found(self) -> type[Found]:
        """Class of what is found."""
        made: type[Found] = _named(self.found_at)
        return made

    @property
    def work(self) -> Work:
        """`work(asked, dataset=, model=, progress=)` yields ever more complete findings, the last `complete`."""
        made: Work = _named(self.work_at)
        return made

    def check(self, asked: Asked, dataset: Dataset) -> None:
        """Raise the errors of `core.errors` that can be told before a model is loaded."""
        if self.check_at:
            _named(self.check_at)(asked, dataset)


def _task(name: str, stem: str, work_at: str, check_at: str = "") -> Kind:
    """A kind whose task and report are called `<stem>Task` and `<stem>Report`."""
    return Kind(name, f"{stem}Task", f"{stem}Report", work_at, check_at)


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "explain",
            "core.analysis.request:Request",
            "core.analysis.explain.explanation:Explanation",
            "core.analysis.explain.explain_run:explain",
        ),
        _task("quality", "core.analysis.quality.quality_task:Quality", "core.analysis.quality.quality_run:quality"),
        _task("utility", "core.analysis.quality.utility_task:Utility", "core.analysis.quality.utility_run:utility"),
        _task(
            "robustness",
            "core.analysis.robustness.robustness_task:Robustness",
            "core.analysis.robustness.robustness_run:robustness",
        ),
        _task("dual", "core.analysis.dual.dual_task:Dual", "core.analysis.dual.dual_run:dual"),
        _task("updates", "core.analysis.dual.updates_task:Updates", "core.analysis.dual.updates_run:updates"),
        _task("improve", "core.selection.improve_task:Improve", "core.selection.improve:improve"),
        _task(
            "personalise",
            "core.personal.personalise_task:Personalise",
            "core.personal.personalise:personalise",
            "core.personal.play:play_of",
        ),
    )
}


def kind_named(name: object) -> Kind:
    """Raises `RequestError` for a name that is no kind of work."""
    if not isinstance(name, str) or name not in KINDS:
        raise RequestError(f"work of kind {name!r:.40}", expected=f"one of {', '.join(KINDS)}")
    return KINDS[name]


def task_named(name: str) -> type[Task]:
    """The class of a task, which every kind but `explain` is."""
    asked = kind_named(name).asked
    if not issubclass(asked, Task):
        raise RequestError(f"work of kind {name!r}", expected="a task about a case")
    return asked


def kind_of(asked: Asked) -> Kind:
    """The kind of a request or task."""
    at = f"{type(asked).__module__}:{type(asked).__qualname__}"
    return next(kind for kind in KINDS.values() if kind.asked_at == at)


def case_of(asked: Asked) -> Request:
    """The choices of case, data and model."""
    return asked if isinstance(asked, Request) else asked.case


def passes_of(asked: Asked) -> float:
    """Full-prompt forward equivalents that are probably needed."""
    return predicted_passes(asked) if isinstance(asked, Request) else asked.predicted_passes


def tokens_of(found: Found) -> int:
    """Tokens of the full prompt."""
    return found.prompt.length if isinstance(found, Explanation) else found.tokens


class _Envelope(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: str
    asked: dict[str, Any]
    found: dict[str, Any]


def enveloped(asked: Asked, found: str) -> str:
    """The text that is stored: what was asked, and what was found (a JSON text)."""
    return f'{{"kind":"{kind_of(asked).name}","asked":{asked.model_dump_json()},"found":{found}}}'


def opened(text: str) -> tuple[Asked, Found] | None:
    """What a stored text asked and found; None when it is not one of this version."""
    try:
        envelope = _Envelope.model_validate_json(text)
        kind = kind_named(envelope.kind)
        return kind.asked.model_validate(envelope.asked), kind.found.model_validate(envelope.found)
    except (ValidationError, RequestError) as error:
        logger.warning("a stored result cannot be read: %s", type(error).__name__)
        return None


def found_in(asked: Asked, text: str) -> Found | None:
    """What a worker's JSON text found; None when it cannot be read."""
    try:
        return kind_of(asked).found.model_validate_json(text)
    except ValidationError as error:
        logger.warning("what the worker sent cannot be read: %d faults", error.error_count())
        return None


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
