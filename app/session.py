"""What one browser tab looks at, on every page of it; kept between reruns."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict

from app.links import DEFAULTS, page_fields, with_usual
from core.question.case_spec import CaseSpec
from core.question.task import TargetTask, Task

T = TypeVar("T", bound=Task)


class Selection(BaseModel):
    """What is selected in the report of a page, as its link says it; the base is that of a page without selection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def after_run(self, before: Task | None, task: Task) -> Self:  # noqa: ARG002
        """What stays selected when the report of `task` takes the place of that of `before`."""
        return self


@dataclass
class TaskView:
    """What the tab looks at on the page of one kind."""

    draft: Task
    """What the controls say; its case is the tab's, but for what this page chooses for itself."""
    selection: Selection = field(default_factory=Selection)
    task: Task | None = None
    """What the page shows and its link says, once there is one."""
    key: str | None = None
    """The job of `task`."""
    link: dict[str, list[str]] = field(default_factory=dict)
    """The link that the tab came with; it stands until something is shown."""
    written: dict[str, list[str]] | None = None
    """The link as the page last wrote it; a different one means that a person changed it."""
    last_key: str | None = None
    """The job whose report was last on screen."""
    revisions: Counter[str] = field(default_factory=Counter)
    """Of a field of the selection, raised when it changes outside its table: the table is drawn anew with that row."""
    controls: dict[str, Any] = field(default_factory=dict)
    """What controls say that belong neither to the task nor, yet, to the selection."""
    opened: bool = False
    """Whether work may start without a press: the tab was opened here, or Run was pressed here since. A person who
    comes over the navigation only looks."""


@dataclass(frozen=True)
class Passage:
    """The way from one page's report to another page, at a press."""

    task: Task
    """What that page will be asked."""
    runs: bool = False
    """Whether the press also runs it."""


@dataclass
class View:
    """What the tab looks at."""

    shared: TargetTask = field(default_factory=TargetTask)
    """The case and the target that the controls of every page say."""
    page: str = ""
    """The kind of question whose page the tab is on."""
    tasks: dict[str, TaskView] = field(default_factory=dict)
    """Kind of question -> what its page looks at."""
    notice: str = ""
    """What could not be used of a link or a choice, in one sentence."""
    passage: Passage | None = None
    """What the page that is opened next begins with."""

    @property
    def current(self) -> TaskView:
        """What the page looks at."""
        return self.tasks[self.page]

    def share(self, task: Task) -> None:
        """Give all pages the case and the target of `task`, but for what its page chooses for itself."""
        case = _case_of(self.shared.case, task.case, page_fields(type(task)))
        if isinstance(task, TargetTask):
            self.shared = TargetTask(**question_of(task) | {"case": case})
        elif case != self.shared.case:
            self.shared = TargetTask(case=case)


def question_of(task: TargetTask) -> dict[str, Any]:
    """Case, target and what it is held against, for a question of another kind about the same."""
    return {name: getattr(task, name) for name in TargetTask.model_fields}


def with_shared(task: T, shared: TargetTask) -> T:
    """The same question about the case and the target that all pages share."""
    update = question_of(shared) if isinstance(task, TargetTask) else {}
    return task.model_copy(update=update | {"case": _case_of(task.case, shared.case, page_fields(type(task)))})


def first_task(kind: type[T], shared: TargetTask) -> T:
    """The task of a page that was not open before."""
    chosen = [name for name in CaseSpec.model_fields if getattr(shared.case, name) != getattr(DEFAULTS, name)]
    return with_shared(kind(case=with_usual(kind, shared.case, chosen)), shared)


def _case_of(page: CaseSpec, other: CaseSpec, fields: tuple[str, ...]) -> CaseSpec:
    """`other` with these fields of `page`."""
    return other.model_copy(update={name: getattr(page, name) for name in fields})
