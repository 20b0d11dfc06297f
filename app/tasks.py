"""How does a link become a task of a page, and what does the tab remember of each page's task?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from app import state
from app.state import View
from core.analysis.request import Request
from core.analysis.task import Task
from core.lm.adapter import SHIPPED, is_there
from core.tuning.personal.task import NO_ADAPTER

MOST_VALUES = 32
"""Values of one option in a link."""
AFTER = "after"
"""The parameter for the step whose list is shown; the candidate's is Explore's `item`."""
T = TypeVar("T", bound=Task)


@dataclass
class TaskView:
    """What one browser tab looks at on a task's page; kept between reruns."""

    draft: Task
    """What the controls say; its case is the tab's draft."""
    shown: Task | None = None
    """What the page shows and its link says, once there is one."""
    key: str | None = None
    """The job of `shown`."""
    written: dict[str, list[str]] | None = None
    """The link as the page last wrote it."""
    aside: dict[str, Any] = field(default_factory=dict)
    """Choices that this page makes for itself, as the other pages of the tab have them."""
    after: int | None = None
    """The step whose list is shown, on the page that plays some; None stands for the newest."""


def options_of(kind: type[Task]) -> list[str]:
    """Names of the task's own options."""
    return [name for name in kind.model_fields if name != "case"]


def read(query: Mapping[str, Sequence[str]], kind: type[T]) -> tuple[T, str]:
    """A task from an untrusted link, and one calm sentence when a part of it could not be used."""
    own = options_of(kind)
    choices, notice = state.read({name: values for name, values in query.items() if name not in (*own, AFTER)})
    accepted: dict[str, Any] = {"case": _with_own_choices(kind, choices.request, query)}
    refused = []
    for name in own:
        if name not in query:
            continue
        candidate = accepted | {name: _value(kind, name, query[name])}
        if _fits(kind, candidate):
            accepted = candidate
        else:
            refused.append(name)
    return kind.model_validate(accepted), notice or state.notice(refused)


def written(task: Task) -> dict[str, list[str]]:
    """The link of a task; defaults vanish from it, but for those that are this page's alone."""
    link = state.written(state.Choices(task.case))
    for name in _own_names(type(task)):
        value = getattr(task.case, name)
        link[state.parameter(name)] = [NO_ADAPTER] if value is None else state.texts(value)
    for name in options_of(type(task)):
        value = getattr(task, name)
        if value != type(task).model_fields[name].default:
            link[name] = state.texts(value)
    return link


def with_case(task: T, case: Request) -> T:
    """The same question about another case."""
    return task.model_copy(update={"case": case})


def own_choices(kind: type[Task], draft: Request) -> dict[str, Any]:
    """What the page chooses for itself: its default where it differs from the other pages', unless `draft` chose.

    A shipped adapter is chosen only where it is there, and only for the sample model, which it was tuned on.
    """
    usual, own = state.DEFAULTS, kind.model_fields["case"].default
    found = {name: getattr(own, name) for name in _own_names(kind)}
    adapter = found.get("adapter")
    if adapter in SHIPPED and (draft.model != usual.model or not is_there(adapter)):
        del found["adapter"]
    kept = {name: getattr(draft, name) for name in found if getattr(draft, name) != getattr(usual, name)}
    return found | kept


def _own_names(kind: type[Task]) -> list[str]:
    """Names of the choices whose default on this page is not that of the other pages."""
    own = kind.model_fields["case"].default
    return [name for name in Request.model_fields if getattr(own, name) != getattr(state.DEFAULTS, name)]


def _with_own_choices(kind: type[Task], case: Request, query: Mapping[str, Sequence[str]]) -> Request:
    """The case of a link with the page's own choices where the link says nothing."""
    own, names = own_choices(kind, case), _own_names(kind)
    update = {name: own[name] for name in names if name in own and state.parameter(name) not in query}
    if "adapter" in names and case.adapter == NO_ADAPTER:
        update["adapter"] = None
    return case.model_copy(update=update)


def step_of(query: Mapping[str, Sequence[str]]) -> int | None:
    """The step whose list a link shows; None where it names none."""
    return state.whole(query.get(AFTER))


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


def _value(kind: type[Task], name: str, values: Sequence[str]) -> object:
    """The option's text, or its texts where it holds several; None for what no option can be."""
    if not 0 < len(values) <= MOST_VALUES or any(len(value) > state.LONGEST for value in values):
        return None
    several = isinstance(kind.model_fields[name].default, tuple) or "tuple" in str(kind.model_fields[name].annotation)
    if several:
        return () if list(values) == [""] else tuple(values)
    return values[0] if len(values) == 1 and values[0] else None


def _fits(kind: type[Task], choices: Mapping[str, Any]) -> bool:
    try:
        kind.model_validate(choices)
    except ValidationError:
        return False
    return None not in choices.values()
