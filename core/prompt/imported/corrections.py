"""How are the cuts of a case corrected by hand? The prompt's text stays the same, character by character."""

from __future__ import annotations

from core.errors import RequestError
from core.prompt.imported.case_file import CasePart, PartKind, PromptCase, numbered

HAND = "hand"
"""What `cuts_from` says of corrected cuts."""


def set_kind(case: PromptCase, place: int, kind: PartKind, *, with_previous: bool = False) -> PromptCase:
    """The case with another kind for the part at `place`, from 0.

    `with_previous` makes it belong to the demonstration or history item before it. Demonstrations are numbered anew.
    Raises `RequestError` for a place that is none, or where no part of that kind stands before it.
    """
    part = _part(case, place)
    before = case.parts[place - 1] if place else None
    if with_previous and (before is None or before.kind != kind or before.number is None):
        raise RequestError(f"no {kind} before part {place + 1} that it could belong to")
    number = _FRESH if kind in ("demo", "history") else None
    if with_previous and before is not None:
        number = before.number
    return _changed(case, place, place + 1, (part.model_copy(update={"kind": kind, "number": number}),))


_FRESH = 1_000_000_000
"""A number that no neighbour has."""


def split_part(case: PromptCase, place: int, at: int) -> PromptCase:
    """The case with the part at `place` in two, before character `at` of its text; both keep its kind.

    Two parts of a demonstration or history item stay one until `set_kind` makes them two. Raises `RequestError` for a
    place that is none, or one at the edge of the text.
    """
    part = _part(case, place)
    if not 0 < at < len(part.text):
        problem = f"character {at} of a part of {len(part.text)} characters"
        raise RequestError(problem, expected="a place inside of it", where="split")
    first, second = (part.model_copy(update={"text": text}) for text in (part.text[:at], part.text[at:]))
    return _changed(case, place, place + 1, (first, second))


def join_parts(case: PromptCase, place: int) -> PromptCase:
    """The case with the part at `place` and the next as one, of the first one's kind.

    Two turns of a chat keep their messages and become one demonstration or history item. Raises `RequestError` where
    none follows.
    """
    first, second = _part(case, place), _part(case, place + 1)
    if first.message != second.message:
        same = second.model_copy(update={"kind": first.kind, "number": first.number})
        return _changed(case, place, place + 2, (first, same))
    return _changed(case, place, place + 2, (first.model_copy(update={"text": first.text + second.text}),))


def _part(case: PromptCase, place: int) -> CasePart:
    if not 0 <= place < len(case.parts):
        problem = f"part {place + 1} of a case with {len(case.parts)} parts"
        raise RequestError(problem, expected="a part of the case")
    return case.parts[place]


def _changed(case: PromptCase, start: int, end: int, parts: tuple[CasePart, ...]) -> PromptCase:
    whole = numbered((*case.parts[:start], *parts, *case.parts[end:]))
    return PromptCase.model_validate({**dict(case), "parts": whole, "cuts_from": HAND})
