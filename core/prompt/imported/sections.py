"""The parts of an imported case as sections of a prompt: before the demonstrations, each of them, behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.data.records import Piece, Turn, Words
from core.prompt.imported.case_file import CasePart, PromptCase
from core.words import counted


def sections_of(logged: PromptCase) -> tuple[tuple[Piece, ...], list[tuple[Piece, ...]], tuple[Piece, ...]]:
    """What stands before the demonstrations, each of them, and what stands behind them.

    A new message's beginning belongs to what stands before it, so that the next text can follow anything; but where
    that is a demonstration that must go without it, the beginning belongs to what follows (see `_ends_alike`).
    """
    parts, sections = logged.parts, _section_of(logged.parts)
    rows: list[list[Piece]] = [[] for _ in range(logged.demo_count + 2)]
    if parts[0].role is not None:
        rows[0].append(Turn(parts[0].role))
    for place, part in enumerate(parts):
        section, before = sections[place], parts[place - 1]
        if place and part.role is not None and part.message != before.message:
            owner = sections[place - 1]
            alone = owner != section and owner > 0 and not _ends_alike(parts, sections, place)
            rows[section if alone else owner].append(Turn(part.role))
        item_id = history_id(logged.case_id, part.number or 0) if part.kind == "history" else None
        rows[section].append(Words(part.text, part.role, item_id))
    _give_separator(rows)
    opening, *demos, closing = (tuple(row) for row in rows)
    return opening, demos, closing


def _give_separator(rows: list[list[Piece]]) -> None:
    """Let white space behind the last demonstration go with it, where each of the others has its own behind it.

    Without the last one there would else be two separators in a row.
    """
    if len(rows) < 3 or not rows[-1] or not _separated_behind(rows):
        return
    last, following = rows[-2][-1], rows[-1][0]
    if not isinstance(last, Words) or not isinstance(following, Words) or following.item_id is not None:
        return
    bare = following.text.lstrip()
    if last.text[-1:].isspace() or len(bare) == len(following.text):
        return
    space = following.text[: len(following.text) - len(bare)]
    rows[-2].append(replace(following, text=space))
    rows[-1][:1] = [replace(following, text=bare)] if bare else []


def _separated_behind(rows: Sequence[Sequence[Piece]]) -> bool:
    """Whether the text before the first demonstration ends in white space, if there is any, and none begins it."""
    before, first = all_words(rows[0]), all_words(rows[1])
    return (not before or before[-1].text[-1:].isspace()) and bool(first) and not first[0].text[:1].isspace()


def _section_of(parts: Sequence[CasePart]) -> list[int]:
    """For each part 0 before the first demonstration, its number in it and up to the next, and one more behind all.

    Without demonstrations the pinned parts at the beginning stand before, and at least the last part behind.
    """
    places = _demo_places(parts)
    if not places:
        asking = (place for place, part in enumerate(parts) if part.kind != "pinned")
        first = next(asking, len(parts) - 1)
        return [int(place >= first) for place in range(len(parts))]
    section, sections = 0, []
    for place, part in enumerate(parts):
        section = part.number or section if part.kind == "demo" else section
        sections.append(section if place <= places[-1] else section + 1)
    return sections


def _demo_places(parts: Sequence[CasePart]) -> list[int]:
    return [place for place, part in enumerate(parts) if part.kind == "demo"]


def _ends_alike(parts: Sequence[CasePart], sections: Sequence[int], place: int) -> bool:
    """Whether the demonstration before `place`, taken out together with the beginning of the message there, leaves text
    that can follow what stands before it: its first message has that role, and it is not only a piece of a message."""
    first = sections.index(sections[place - 1])
    starts = first == 0 or parts[first].message != parts[first - 1].message
    return parts[first].role == parts[place].role and (starts or parts[first].message != parts[place - 1].message)


def all_words(pieces: Sequence[Piece]) -> list[Words]:
    """The text among the pieces of a prompt."""
    return [piece for piece in pieces if isinstance(piece, Words)]


def history_id(case_id: str, number: int) -> str:
    """Item id of an item of a case's history, from 1."""
    return f"{case_id}:h{number}"


def logged_answer(logged: PromptCase) -> str | None:
    """Option id of what the model answered when the call was logged; None where that is no option."""
    answer = (logged.completion or "").strip()
    return next((option.option_id for option in logged.options if option.text.strip() == answer), None)


def notices_of(logged: PromptCase) -> tuple[str, ...]:
    """What a reader should know of how a case was cut, one sentence each."""
    between = _between(logged.parts)
    pinned = f"Text between demonstrations ({counted(between, 'part')}) goes with the demonstration before it."
    return (*logged.notices, *([pinned] if between else []))


def _between(parts: Sequence[CasePart]) -> int:
    """Parts with words between two demonstrations."""
    places = _demo_places(parts)
    middle = parts[places[0] : places[-1]] if places else ()
    return sum(part.kind != "demo" and bool(part.text.strip()) for part in middle)
