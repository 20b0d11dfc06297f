"""The command line's options for every choice of a request; values are checked by the request itself."""

from __future__ import annotations

import csv
import inspect
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from core.analysis.request import Request
from core.analysis.task import Task

HELP: Mapping[str, str] = {
    "dataset": "'sample', or the folder of a data set in RecBole's atomic format.",
    "user": "The user whose list is explained.",
    "split": "Which interaction is the target: the user's last, or the first after a cut in time.",
    "demos": "How many demonstrations the strategy picks.",
    "strategy": "How demonstrations are picked.",
    "demo_ids": "A demonstration by hand: user:position, or user:position:yes / :no; commas or repeats, in order.",
    "candidates": "How many items are ranked, the target among them.",
    "candidate_ids": "An item to rank instead of sampled ones; commas or repeats.",
    "sampling": "How the other candidates are drawn.",
    "family": "The prompt family.",
    "chat": "Whether the prompt is wrapped in the model's chat template.",
    "history": "Most titles shown in each history.",
    "scoring": "How a title's tokens become one score (next_item only).",
    "model": "'sample', a model folder, a .gguf file, or a hub name.",
    "adapter": "'recicl' or 'tallrec', shipped for the sample model, or the folder of a LoRA adapter.",
    "device": "Where the model runs.",
    "dtype": "Number format of the weights.",
    "method": "How contributions are computed.",
    "target": "Item id of the candidate whose score is explained [default: the item really chosen next].",
    "against": "Item id of a second candidate, to explain the margin between the two.",
    "budget": "Most full passes of a refined or sampled method; one scores the whole prompt once.",
    "precision": "Stop once every 90 % interval is narrower than this many nats; 0 uses the budget.",
    "matrix": "Whether the demonstrations x candidates matrix is computed too.",
    "faithfulness": "Text ablations to measure faithfulness on, beyond those the method made.",
    "seed": "Seed of everything that is drawn.",
}
"""One sentence for every field of `Request`."""


def with_request_options(command: Callable[..., None]) -> Callable[..., None]:
    """`command(choices, …)` as a command with one option per field of `Request`; `choices` has the given ones."""
    return _with_options(command, dict.fromkeys(Request.model_fields, Request))


def with_task_options(command: Callable[..., None], task: type[Task]) -> Callable[..., None]:
    """The same for a task: the options of its case, and its own; `choices` has the case's under `case`."""
    own = [name for name in task.model_fields if name != "case"]

    def nested(choices: dict[str, object], **rest: object) -> None:
        case = {name: value for name, value in choices.items() if name not in own}
        command({"case": case, **{name: choices[name] for name in own if name in choices}}, **rest)

    nested.__name__, nested.__doc__ = command.__name__, command.__doc__
    nested.__signature__ = inspect.signature(command, eval_str=True)  # type: ignore[attr-defined]
    case_fields: dict[str, type[BaseModel]] = {name: Request for name in Request.model_fields if name not in own}
    return _with_options(nested, case_fields | dict.fromkeys(own, task), usual=task.model_fields["case"].default)


def with_own_options(command: Callable[..., None], settings: type[BaseModel]) -> Callable[..., None]:
    """The same for choices of another class, each of which its own docstring describes."""
    return _with_options(command, dict.fromkeys(settings.model_fields, settings))


def _with_options(
    command: Callable[..., None], fields: Mapping[str, type[BaseModel]], usual: BaseModel | None = None
) -> Callable[..., None]:
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    options = [_option(name, owner.model_fields[name], usual) for name, owner in fields.items()]

    def call(**given: object) -> None:
        choices = {name: _listed(given.pop(name)) for name in fields}
        command({name: value for name, value in choices.items() if value not in (None, [])}, **given)

    call.__name__, call.__doc__ = command.__name__, command.__doc__
    call.__signature__ = inspect.Signature([*options, *own])  # type: ignore[attr-defined]
    return call


def _listed(value: object) -> object:
    """A repeated option's values, each split at its commas; an id that holds a comma stands in double quotes."""
    return [one for row in csv.reader(value) for one in row] if isinstance(value, list) else value


def _option(name: str, field: FieldInfo, usual: BaseModel | None) -> inspect.Parameter:
    kind, shown = _kind(field)
    info = typer.Option(help=_help(name, field, getattr(usual, name, field.default)), metavar=shown, show_default=False)
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
    kinds = [one for one in get_args(annotation) if one is not NoneType]
    plain = kinds[0] if get_origin(annotation) in (Union, UnionType) and len(kinds) == 1 else annotation
    return get_args(plain)[0] if get_origin(plain) is Annotated else plain


def _help(name: str, field: FieldInfo, usual: object) -> str:
    """The first sentence about a field, and what it is where nothing is said."""
    described = (field.description or "").replace("\n", " ").split(". ")[0].rstrip(".")
    text = f"{described}." if described else HELP[name]
    default = _shown(usual)
    return text if default is None else f"{text} [default: {default}]"


def _shown(default: object) -> str | None:
    if isinstance(default, tuple):
        return ",".join(map(str, default)) or None
    return None if default is None else str(default).lower()
