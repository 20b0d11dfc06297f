"""The command line's options, one for every choice of a task; the task itself checks the values."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from core.question.case_spec import CaseSpec
from core.question.command_line import members, own_fields
from core.question.task import Task


def with_task_options(command: Callable[..., None], task: type[Task]) -> Callable[..., None]:
    """`command(choices, …)` as a command with one option per choice of the task's case and of the task itself.

    `choices` has those that were given, flat, as `task_of` takes them.
    """
    fields: dict[str, type[BaseModel]] = dict.fromkeys(CaseSpec.model_fields, CaseSpec)
    return _with_options(
        command, fields | dict.fromkeys(own_fields(task), task), usual=task.model_fields["case"].default
    )


def with_own_options(command: Callable[..., None], settings: type[BaseModel]) -> Callable[..., None]:
    """The same for choices of another class, each of which its own docstring describes."""
    return _with_options(command, dict.fromkeys(settings.model_fields, settings))


def _with_options(
    command: Callable[..., None], fields: Mapping[str, type[BaseModel]], usual: BaseModel | None = None
) -> Callable[..., None]:
    others = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    options = [_option(name, owner.model_fields[name], usual) for name, owner in fields.items()]

    def call(**values: Any) -> None:
        choices = {name: values.pop(name) for name in fields}
        command({name: _value(value) for name, value in choices.items() if value not in (None, [])}, **values)

    call.__name__, call.__doc__ = command.__name__, command.__doc__
    call.__signature__ = inspect.Signature([*options, *others])  # type: ignore[attr-defined]
    return call


def _value(value: object) -> object:
    return members(value) if isinstance(value, list) else value


def _option(name: str, field: FieldInfo, usual: BaseModel | None) -> inspect.Parameter:
    kind, metavar = _kind(field)
    info = typer.Option(help=_help(field, getattr(usual, name, field.default)), metavar=metavar, show_default=False)
    return inspect.Parameter(
        name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=Annotated[kind, info]
    )


def _kind(field: FieldInfo) -> tuple[Any, str | None]:
    """The option's Python type and what its help shows; the request itself checks and converts all texts."""
    annotation = _without_none(field.annotation)
    if annotation is bool:
        return bool | None, None
    if get_origin(annotation) is tuple:
        return list[str] | None, "VALUE"
    if get_origin(annotation) is Literal:
        return str | None, "|".join(map(str, get_args(annotation)))
    return str | None, {int: "N", float: "X"}.get(annotation, "TEXT")


def _without_none(annotation: Any) -> Any:
    """`X` of `X | None`, without its constraints."""
    kinds = [part for part in get_args(annotation) if part is not NoneType]
    plain = kinds[0] if get_origin(annotation) in (Union, UnionType) and len(kinds) == 1 else annotation
    return get_args(plain)[0] if get_origin(plain) is Annotated else plain


def _help(field: FieldInfo, usual: object) -> str:
    """The first sentence about a field, and what it is where nothing is said."""
    described = (field.description or "").replace("\n", " ").split(". ")[0].rstrip(".")
    default = _shown(usual)
    return f"{described}." if default is None else f"{described}. [default: {default}]"


def _shown(default: object) -> str | None:
    if isinstance(default, tuple):
        return ",".join(map(str, default)) or None
    return None if default is None else str(default).lower()
