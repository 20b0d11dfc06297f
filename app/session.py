"""What does one browser tab look at, on every page of it?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from app.links import DEFAULTS, Choices
from app.tasks import own_choices
from core.question.case_spec import CaseSpec
from core.analysis.robustness.inference_settings import PLAIN, InferenceSettings
from core.question.task import Task


@dataclass
class TaskView:
    """What one browser tab looks at on a task's page; kept between reruns."""

    draft: Task
    """What the controls say; its case is the tab's draft."""
    shown: Task | None = None
    """What the page shows and its link says, once there is one."""
    key: str | None = None
    """The job of `shown`."""
    link: dict[str, list[str]] = field(default_factory=dict)
    """The link that the tab came with; it stands until something is shown."""
    written: dict[str, list[str]] | None = None
    """The link as the page last wrote it."""
    aside: dict[str, Any] = field(default_factory=dict)
    """Choices that this page makes for itself, as the other pages of the tab have them."""
    after: int | None = None
    """The step whose list is shown, on the page that plays some; None stands for the newest."""

    @property
    def answered(self) -> Task:
        """What the page shows, which the controls may have left since; the draft before anything is shown."""
        return self.draft if self.shown is None else self.shown


@dataclass
class View:
    """What one browser tab looks at; kept between reruns."""

    shown: Choices = field(default_factory=Choices)
    """What the link says and the page shows."""
    draft: Request = DEFAULTS
    """What the pickers say; becomes `shown` with Run. All pages share it."""
    page: str = "explain"
    """The kind of work whose page the tab is on."""
    tasks: dict[str, TaskView] = field(default_factory=dict)
    """Kind of work -> what its page looks at."""
    inference: InferenceSettings = PLAIN
    """What the controls of the changed dual models say."""
    key: str | None = None
    """The job of `shown`, once submitted."""
    seen: str | None = None
    """The job of the explanation that was last on screen; it stays there while the next one has nothing to show."""
    written: dict[str, list[str]] | None = None
    """The link as the page last wrote it; a different one means that a person changed it."""
    notice: str = ""
    """What could not be used of a link or a choice, in one sentence."""
    demo_revision: int = 0
    """Raised when a demonstration is selected outside its table: the table is drawn anew with that row."""
    item_revision: int = 0
    """The same for candidates."""


def enter(view: View, kind: type[Task], left: Request | None) -> dict[str, Any]:
    """Put the page's own choices into the draft, as it was `left` or else its defaults; returns what they hide."""
    own = own_choices(kind, view.draft)
    hidden = {name: getattr(view.draft, name) for name in own}
    view.draft = view.draft.model_copy(update=own if left is None else {name: getattr(left, name) for name in own})
    return hidden


def leave(view: View) -> None:
    """Give the draft back what the page just left had hidden; every other choice is shared by all pages."""
    mine = view.tasks.get(view.page)
    if mine is not None:
        view.draft, mine.aside = view.draft.model_copy(update=mine.aside), {}
