"""What a person may say of files instead of leaving it to the reader: each choice overrides one guess."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

TimeUnit = Literal["seconds", "milliseconds", "microseconds", "nanoseconds", "days"]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class DataChoices(BaseModel):
    """How interaction files are to be read; what is left out is recognised from their content."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    format: Name | None = None
    """The format's name, such as movielens or table."""
    user_column: Name | None = None
    """The column of user ids: its name, or its number from 1 in a file without a header."""
    item_column: Name | None = None
    """The column of item ids."""
    rating_column: Name | None = None
    """The column of ratings, counts or labels; none to read no ratings."""
    time_column: Name | None = None
    """The column of times; none to read no times."""
    title_column: Name | None = None
    """The column of titles in the file of items."""
    time_unit: TimeUnit | None = None
    """The unit of times that are numbers."""
    like_from: float | None = None
    """Least rating that counts as liked."""
    not_rated: tuple[float, ...] | None = None
    """Ratings that mean not rated, by commas; none where every number is a rating."""
    encoding: Name | None = None
    """The encoding of the text, such as cp1252."""
    delimiter: Name | None = None
    """What stands between two fields, such as ; or tab."""


NOTHING_SAID = DataChoices()
"""Every guess is the reader's."""
NONE = "none"
"""How a choice says that there is no such column."""
