"""What the browser sends of the parts, checked before anything is done with it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.prompt.imported.case_file import PartKind, PromptCase
from core.prompt.imported.corrections import join_parts, set_kind, split_part

Action = Literal["kind", "belongs", "split", "join", "undo"]
Whole = Annotated[int, Field(ge=0, lt=2**31)]


class Correction(BaseModel):
    """What a person did to one part."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    revision: Whole
    """The number of corrections that the browser had seen."""
    action: Action
    place: Whole
    """Of the part, from 0."""
    kind: PartKind | None
    at: Whole | None
    """Of a split: before which character."""


def correction_of(message: object) -> Correction | None:
    """The correction that a message holds; None where it is of another form."""
    try:
        return Correction.model_validate(message)
    except ValidationError:
        return None


def corrected(case: PromptCase, correction: Correction) -> tuple[PromptCase, int]:
    """The case after a correction other than undo, and the part that is then in hand.

    Raises `RequestError` for one that the case does not allow.
    """
    place = correction.place
    if correction.action == "split":
        return split_part(case, place, correction.at or 0), place + 1
    if correction.action == "join":
        return join_parts(case, place), place
    if correction.action == "belongs":
        before = case.parts[place - 1].kind if 0 < place <= len(case.parts) else "pinned"
        return set_kind(case, place, before, with_previous=True), place
    return set_kind(case, place, correction.kind or "pinned"), place
