"""What the browser sends of the table, checked before anything is done with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MOST_ROWS = 200
"""More than any prompt has."""
RowKey = Annotated[str, Field(max_length=600)]
Answer = Literal["Yes", "No"]


class EditedRow(BaseModel):
    """One row as a person left it."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    key: RowKey
    stays: bool
    answer: Answer | None


class Edit(BaseModel):
    """Every row in the order that a person gave them."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    sequence: Annotated[int, Field(ge=0, lt=2**53)]
    """How many edits the browser has sent; the page returns the last one that it answered."""
    rows: Annotated[list[EditedRow], Field(max_length=MOST_ROWS)]


def edit_of(message: object, keys: Sequence[str], *, labelled: bool) -> Edit | None:
    """The edit that a message holds of the rows `keys`.

    None where it is none: another form or type, a row too many, too few, twice or unknown, an answer where the prompt
    has none, or none where it has one.
    """
    try:
        edit = Edit.model_validate(message)
    except ValidationError:
        return None
    same_rows = sorted(row.key for row in edit.rows) == sorted(keys)
    answered = all((row.answer is not None) == labelled for row in edit.rows)
    return edit if same_rows and answered else None


def selected_of(message: object, keys: Sequence[str]) -> int | None:
    """Index of the row that a message selects; None where it names none of `keys`."""
    return keys.index(message) if isinstance(message, str) and message in keys else None
