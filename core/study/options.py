"""The command line's options for every choice of a request; values are checked by the request itself."""

from __future__ import annotations

import csv
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from core.analysis.request import Request

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
    "adapter": "Folder of a PEFT adapter.",
    "device": "Where the model runs.",
    "dtype": "Number format of the weights.",
    "method": "How contributions are computed.",
    "target": "Item id of the candidate whose score is explained [default: the item really chosen next].",
    "against": "Item id of a second candidate, to explain the margin between the two.",
    "budget": "Most full-prompt forward equivalents of a refined or sampled method.",
    "precision": "Stop once every 90 % interval is narrower than this many nats; 0 uses the budget.",
    "matrix": "Whether the demonstrations x candidates matrix is computed too.",
    "faithfulness": "Text ablations to measure faithfulness on, beyond those the method made.",
    "seed": "Seed of everything that is drawn.",
}
"""One sentence for every field of `Request`."""


def with_request_options(command: Callable[..., None]) -> Callable[..., None]:
    """`command(choices, …)` as a command with one option per field of `Request`; `choices` has the given ones."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    fields = [_option(name) for name in Request.model_fields]

    def call(**given: object) -> None:
        choices = {name: _listed(given.pop(name)) for name in Request.model_fields}
        command({name: value for name, value in choices.items() if value not in (None, [])}, **given)

    call.__name__, call.__doc__ = command.__name__, command.__doc__
    call.__signature__ = inspect.Signature([*fields, *own])  # type: ignore[attr-defined]
    return call


def _listed(value: object) -> object:
    """A repeated option's values, each split at its commas; an id that holds a comma stands in double quotes."""
    return [one for row in csv.reader(value) for one in row] if isinstance(value, list) else value


def _option(name: str) -> inspect.Parameter:
    kind, shown = _kind(name)
    info = typer.Option(help=_help(name), metavar=shown, show_default=False)
    return inspect.Parameter(
        name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=Annotated[kind, info]
    )


def _kind(name: str) -> tuple[Any, str | None]:
    """The option's Python type and what its help shows; the request itself checks and converts all texts."""
    annotation = Request.model_fields[name].annotation
    if annotation is bool:
        return bool | None, None
    if name.endswith("_ids"):
        return list[str] | None, "ID"
    if get_origin(annotation) is Literal:
        return str | None, "|".join(get_args(annotation))
    return str | None, {int: "N", float: "X"}.get(annotation, "TEXT")  # type: ignore[arg-type]


def _help(name: str) -> str:
    default = Request.model_fields[name].default
    return HELP[name] if default is None else f"{HELP[name]} [default: {str(default).lower()}]"
