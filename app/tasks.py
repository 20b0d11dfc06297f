"""How does a link become a task of a page, and a task become the same link again?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from app import links
from core.question.case_spec import CaseSpec
from core.question.task import Task
from core.lm.loading.adapter import SHIPPED, is_there
from core.personal.personalise_task import NO_ADAPTER

MOST_VALUES = 32
"""Values of one option in a link."""
AFTER = "after"
"""The parameter for the step whose list is shown; the candidate's is Explore's `item`."""
T = TypeVar("T", bound=Task)


def options_of(kind: type[Task]) -> list[str]:
    """Names of the task's own options."""
    return [name for name in kind.model_fields if name != "case"]


def read(query: Mapping[str, Sequence[str]], kind: type[T]) -> tuple[T, str]:
    """A task from an untrusted link, and one calm sentence when a part of it could not be used."""
    own = options_of(kind)
    choices, notice = links.read({name: values for name, values in query.items() if name not in (*own, AFTER)})
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
    return kind.model_validate(accepted), notice or links.notice(refused)


def written(task: Task) -> dict[str, list[str]]:
    """The link of a task; defaults vanish from it, but for those that are this page's alone."""
    link = links.written(links.Choices(task.case))
    for name in _own_names(type(task)):
        value = getattr(task.case, name)
        link[links.parameter(name)] = [NO_ADAPTER] if value is None else links.texts(value)
    for name in options_of(type(task)):
        value = getattr(task, name)
        if value != type(task).model_fields[name].default:
            link[name] = links.texts(value)
    return link


def with_case(task: T, case: Request) -> T:
    """The same question about another case."""
    return task.model_copy(update={"case": case})


def own_choices(kind: type[Task], draft: Request) -> dict[str, Any]:
    """What the page chooses for itself: its default where it differs from the other pages', unless `draft` chose.

    A shipped adapter is chosen only where it is there, and only for the sample model, which it was tuned on.
    """
    usual, own = links.DEFAULTS, kind.model_fields["case"].default
    found = {name: getattr(own, name) for name in _own_names(kind)}
    adapter = found.get("adapter")
    if adapter in SHIPPED and (draft.model != usual.model or not is_there(adapter)):
        del found["adapter"]
    kept = {name: getattr(draft, name) for name in found if getattr(draft, name) != getattr(usual, name)}
    return found | kept


def _own_names(kind: type[Task]) -> list[str]:
    """Names of the choices whose default on this page is not that of the other pages."""
    own = kind.model_fields["case"].default
    return [name for name in Request.model_fields if getattr(own, name) != getattr(links.DEFAULTS, name)]


def _with_own_choices(kind: type[Task], case: Request, query: Mapping[str, Sequence[str]]) -> Request:
    """The case of a link with the page's own choices where the link says nothing."""
    own, names = own_choices(kind, case), _own_names(kind)
    update = {name: own[name] for name in names if name in own and links.parameter(name) not in query}
    if "adapter" in names and case.adapter == NO_ADAPTER:
        update["adapter"] = None
    return case.model_copy(update=update)


def step_of(query: Mapping[str, Sequence[str]]) -> int | None:
    """The step whose list a link shows; None where it names none."""
    return links.whole(query.get(AFTER))


def _value(kind: type[Task], name: str, values: Sequence[str]) -> object:
    """The option's text, or its texts where it holds several; None for what no option can be."""
    if not 0 < len(values) <= MOST_VALUES or any(len(value) > links.LONGEST for value in values):
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
