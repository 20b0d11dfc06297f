"""A task as the command line that repeats it, and flat choices of a command line or a link as a task."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel

from core.errors import RequestError
from core.question.case_spec import NO_ADAPTER, CaseSpec
from core.question.checked import checked
from core.question.kinds import kind_of
from core.question.task import Task

T = TypeVar("T", bound=Task)
MATERIAL = ("dataset", "model", "adapter")
"""What demonstrations are chosen for."""
CHOSEN_BY_DATA = ("family", "strategy", "demos", "order", "each", "scoring", "prior")
"""The choices of a case whose default may differ from one data set, model or adapter to the next."""


def own_fields(kind: type[Task]) -> tuple[str, ...]:
    """Names of a task's choices beside its case; none of them is the name of a choice of the case."""
    return tuple(name for name in kind.model_fields if name != "case")


def task_of(kind: type[T], choices: Mapping[str, object], where: str = "task") -> T:
    """The task of flat choices, whose case is the kind's usual one where they say nothing.

    Raises `RequestError` with one sentence naming the option, what was found and what was expected.
    """
    own_names = own_fields(kind)
    fields = (*CaseSpec.model_fields, *own_names)
    unknown = next((name for name in choices if name not in fields), None)
    if unknown is not None:
        raise RequestError(f"an unknown choice {unknown!r:.80}", expected=f"one of {', '.join(fields)}", where=where)
    usual: CaseSpec = CaseSpec() if choices.get("cases") else kind.model_fields["case"].default
    case = usual.model_dump() | {name: value for name, value in choices.items() if name not in own_names}
    return checked(kind, where, {"case": case} | {name: choices[name] for name in own_names if name in choices})


def command_line(task: Task) -> str:
    """The command that repeats a task; choices at their defaults are not written.

    Where it names data, a model or an adapter, those that another default may be kept for are written all the same.
    A case from a file has the usual choices whatever the kind, and none is kept for it.
    """
    usual: CaseSpec = CaseSpec() if task.case.imported else type(task).model_fields["case"].default
    named = [name for name in MATERIAL if getattr(task.case, name) != getattr(usual, name)]
    always = CHOSEN_BY_DATA if named and usual == CaseSpec() and not task.case.imported else ()
    defaults = {name: None if name in always else value for name, value in usual.model_dump().items()}
    words = [*_options(task.case, defaults), *_options(task, _defaults(task, own_fields(type(task))))]
    return shlex.join(["demolens", kind_of(task).name, *words])


def command_of(settings: BaseModel, command: str) -> str:
    """The command that repeats a run with other settings, such as those of tuning."""
    return shlex.join(["demolens", command, *_options(settings, _defaults(settings, type(settings).model_fields))])


def _defaults(choices: BaseModel, names: Iterable[str]) -> dict[str, Any]:
    return {name: type(choices).model_fields[name].default for name in names}


def _options(choices: BaseModel, defaults: Mapping[str, Any]) -> Iterator[str]:
    """Options and values of the choices that differ from `defaults`."""
    for name, default in defaults.items():
        value = getattr(choices, name)
        option = "--" + name.replace("_", "-")
        if value == default:
            continue
        if isinstance(value, bool):
            yield option if value else f"--no-{option[2:]}"
        elif isinstance(value, tuple):
            for member in value or ("",):
                yield from (option, _quoted(str(member)) if value else "")
        else:
            yield from (option, NO_ADAPTER if value is None else str(value))


def _quoted(member: str) -> str:
    """A member of a list as the command reads it: in quotes where it would be split or cut."""
    special = any(character in member for character in ',"\r\n')
    return '"' + member.replace('"', '""') + '"' if special else member


def members(values: Sequence[str]) -> list[str]:
    """The members of a repeated option, each value split at its commas; an empty value stands for an empty list.

    A member that holds a comma, a quote or a line break stands in double quotes. Raises `RequestError` for other text.
    """
    try:
        return [member for row in csv.reader(values) for member in row]
    except csv.Error as error:
        raise RequestError(f"a list that cannot be read ({error})", expected="members between commas") from None
