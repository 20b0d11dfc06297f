"""Tasks of flat choices, and tasks of every kind for properties: for tests."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as some
from pydantic import BaseModel

from core.analysis.explain.explain_task import Explain
from core.question.case_spec import CaseSpec
from core.question.command_line import own_fields, task_of
from core.question.task import Task

NAMES = some.text(some.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12) | some.sampled_from(
    ["none", "a,b", '"', "D3", "12", "--user", "-1", " ", "it's", "a\nb"]
)


LABELLED: dict[str, Any] = {"family": "yes_no", "strategy": "recent", "demos": 8}
"""Prompts with answers and the user's own demonstrations, for tests that are about something else than the default."""


def labelled_case(**choices: Any) -> CaseSpec:
    """A case of `LABELLED` and these choices."""
    return CaseSpec(**LABELLED | choices)


def explain_task(**choices: Any) -> Explain:
    """An `Explain` whose case and own choices are given side by side; what is not given is as in `LABELLED`."""
    return task_of(Explain, LABELLED | choices)


def parted(choices: dict[str, Any]) -> tuple[CaseSpec, dict[str, Any]]:
    """The case of flat choices, as `labelled_case`, and what is left for its task."""
    own = {name: value for name, value in choices.items() if name not in CaseSpec.model_fields}
    return labelled_case(**{name: value for name, value in choices.items() if name not in own}), own


def _values(annotation: Any) -> some.SearchStrategy[Any]:
    """Values of a field's type that its bounds may still refuse."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _values(parts[0])
    if origin is Literal:
        return some.sampled_from(parts)
    if origin is tuple:
        return some.lists(_values(parts[0]), max_size=3).map(tuple)
    if origin is not None and (origin is Union or str(origin) == "<class 'types.UnionType'>"):
        return some.one_of([_values(part) for part in parts])
    plain = {bool: some.booleans(), int: some.integers(0, 12), float: some.floats(0.01, 0.9), type(None): some.none()}
    return plain.get(annotation, NAMES)


@some.composite
def tasks(draw: some.DrawFn, kind: type[Task]) -> Task:
    """A task of a kind in which any choices differ from the usual ones; those that its class refuses are left out."""
    fields: dict[str, tuple[type[BaseModel], str]] = {name: (CaseSpec, name) for name in CaseSpec.model_fields}
    fields |= {name: (kind, name) for name in own_fields(kind)}
    choices: dict[str, Any] = {}
    for name in draw(some.lists(some.sampled_from(sorted(fields)), max_size=6, unique=True)):
        owner = fields[name][0]
        more = {name: draw(_values(owner.model_fields[name].annotation))}
        if name == "cases":  # Neither is anything without the other.
            more["case"] = draw(NAMES)
        try:
            task_of(kind, choices | more)
        except Exception:
            continue
        choices |= more
    return task_of(kind, choices)
