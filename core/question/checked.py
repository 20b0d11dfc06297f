"""Untrusted choices become a frozen request, or one plain sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from core.errors import RequestError

T = TypeVar("T", bound=BaseModel)


def checked(kind: type[T], where: str, choices: Mapping[str, object]) -> T:
    """A request or task of class `kind` from untrusted choices.

    Raises `RequestError` with one sentence naming the option, what was found and what was expected.
    """
    try:
        return kind.model_validate(dict(choices))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = [part for part in first["loc"] if part != "case"] or list(first["loc"])
        if not place:
            raise RequestError(_plain(first["msg"]), where=where) from None
        if first["type"] == "extra_forbidden":
            names = ", ".join(kind.model_fields)
            raise RequestError(f"an unknown choice {place[0]!r:.80}", expected=f"one of {names}", where=where) from None
        problem = f"{place[0]} is {first.get('input')!r:.80}"
        expected = "text in UTF-8, not bytes" if first["type"] == "string_unicode" else _plain(first["msg"])
        raise RequestError(problem, expected=expected, where=where) from None


def _plain(message: str) -> str:
    text = message.removeprefix("Value error, ").removeprefix("Input should be ")
    return text[0].lower() + text[1:]
