"""How is a call cut into parts? The format's own cuts, the turns of a chat, or a proposal for its text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.prompt.imported.calls import Call, FormatPart
from core.prompt.imported.case_file import CasePart, Message, numbered
from core.prompt.imported.cutting import CUE, Cutting, cuttings_of
from core.prompt.imported.lists import history_of

FORMAT_CUTS, TURN_CUTS, NO_CUTS = "format", "turns", "none"
MOST_ALIKE_ANSWERS = 10
_SHORT = 60
"""Characters of an answer that can be a label or a title."""


@dataclass(frozen=True)
class Segments:
    """A prompt in parts, and what is known of them."""

    parts: tuple[CasePart, ...]
    cutter: str
    """Name of the cutter's row, "turns" for those of a chat, "format" where the source says the cuts, "none"."""
    runner_up: str | None = None
    """The cutter with the next best proposal."""
    answers: tuple[str, ...] = ()
    """Of the demonstrations, in order; empty where they cannot be told."""
    answer_cue: bool = False
    notices: tuple[str, ...] = ()


def segments_of(call: Call) -> Segments:
    """The parts of a call; of a chat, each part belongs to one message."""
    segments = _chat_segments(call) if call.messages else _text_segments(call)
    return Segments(
        numbered(segments.parts),
        segments.cutter,
        segments.runner_up,
        segments.answers,
        bool(CUE.search((call.messages[-1].text if call.messages else call.text or "").rstrip())),
        segments.notices,
    )


def _text_segments(call: Call) -> Segments:
    text = call.text or ""
    if call.format_parts:
        return Segments(_format_parts(call.format_parts), FORMAT_CUTS, answers=_format_answers(call))
    cuttings = cuttings_of(text)
    return _proposed(cuttings, _cut(text, cuttings[0]) if cuttings else _query_parts(text, first=True))


def _proposed(cuttings: Sequence[Cutting], parts: tuple[CasePart, ...]) -> Segments:
    if not cuttings:
        return Segments(parts, NO_CUTS)
    best = cuttings[0]
    answers = tuple(demo.answer for demo in best.demos)
    runner_up = next((cutting.cutter for cutting in cuttings[1:]), None)
    return Segments(parts, best.cutter, runner_up, answers if all(answers) else (), notices=best.notices)


def _format_parts(parts: Sequence[FormatPart]) -> tuple[CasePart, ...]:
    """The parts that the format says; its last part of the query is searched for a history if it says none."""
    whole = tuple(CasePart(kind=part.kind, text=part.text, number=part.number) for part in parts)
    if whole[-1].kind == "query" and not any(part.kind == "history" for part in whole):
        return (*whole[:-1], *_query_parts(whole[-1].text))
    return whole


def _format_answers(call: Call) -> tuple[str, ...]:
    """Answers of the demonstrations that the format cuts: as it says, else as their text tells."""
    if call.format_answers:
        return call.format_answers
    demos = [part.text for part in call.format_parts if part.kind == "demo"]
    cuttings = cuttings_of("".join(demos), closed=True)
    answers = tuple(demo.answer for demo in cuttings[0].demos) if cuttings else ()
    return answers if len(answers) == len(demos) and all(answers) else ()


def _cut(text: str, cutting: Cutting) -> tuple[CasePart, ...]:
    """The text in parts as a proposal says."""
    parts, place = [], 0
    for number, demo in enumerate(cutting.demos, 1):
        parts += _pinned(text[place : demo.start])
        parts.append(CasePart(kind="demo", text=text[demo.start : demo.end], number=number))
        place = demo.end
    parts += _pinned(text[place : cutting.query])
    return (*parts, *_query_parts(text[cutting.query :]))


def _pinned(text: str) -> list[CasePart]:
    return [CasePart(kind="pinned", text=text)] if text else []


def _query_parts(text: str, *, first: bool = False) -> tuple[CasePart, ...]:
    """The question with its history items apart; the `first` words of a prompt without demonstrations are pinned."""
    if not text:
        return ()
    parts, place = [], 0
    history = history_of(text)
    if first and history is None:
        return _after_instruction(text)
    for number, item in enumerate(history.items if history else (), 1):
        lead = text[place : item.start]
        if lead:
            parts.append(CasePart(kind="pinned" if first and number == 1 else "query", text=lead))
        parts.append(CasePart(kind="history", text=text[item.start : item.end], number=number))
        place = item.end
    if place < len(text):
        parts.append(CasePart(kind="query", text=text[place:]))
    return tuple(parts)


def _after_instruction(text: str) -> tuple[CasePart, ...]:
    """A prompt without demonstrations and history: its first paragraph is pinned where others follow."""
    blank = re.search(r"\n[ \t]*\r?\n\s*", text)
    if blank is None or not text[blank.end() :]:
        return (CasePart(kind="query", text=text),)
    return (CasePart(kind="pinned", text=text[: blank.end()]), CasePart(kind="query", text=text[blank.end() :]))


def _chat_segments(call: Call) -> Segments:
    messages = call.messages
    last = max((place for place, turn in enumerate(messages) if turn.role == "user"), default=len(messages) - 1)
    if call.format_parts:
        return _message_segments(
            messages, {last: _format_parts(call.format_parts)}, Segments((), FORMAT_CUTS, answers=_format_answers(call))
        )
    pairs = _pairs(messages, last)
    if len(pairs) > 1 or (pairs and not _holds_demos(messages[pairs[0]].text)):
        return _turn_segments(messages, pairs, last)
    for place in [last, *pairs, *(place for place, turn in enumerate(messages) if turn.role == "system")]:
        cuttings = cuttings_of(messages[place].text, closed=place != last)
        if cuttings:
            cut = {place: _cut(messages[place].text, cuttings[0])}
            if place != last:
                cut[last] = _query_parts(messages[last].text)
            return _message_segments(messages, cut, _proposed(cuttings, ()))
    cut = {last: _query_parts(messages[last].text, first=len(messages) == 1)}
    return _message_segments(messages, cut, Segments((), NO_CUTS))


def _pairs(messages: Sequence[Message], last: int) -> list[int]:
    """Where the user's turns of strict pairs of user and assistant before the last turn of the user stand."""
    first = next((place for place, turn in enumerate(messages) if turn.role != "system"), last)
    roles = [turn.role for turn in messages[first:last]]
    strict = len(roles) % 2 == 0 and roles == ["user", "assistant"] * (len(roles) // 2)
    return list(range(first, last, 2)) if strict else []


def _holds_demos(text: str) -> bool:
    """Whether one turn holds several demonstrations by itself, which the assistant then only acknowledges."""
    cuttings = cuttings_of(text, closed=True)
    return bool(cuttings) and len(cuttings[0].demos) > 1 and all(demo.answer for demo in cuttings[0].demos)


def _turn_segments(messages: Sequence[Message], pairs: Sequence[int], last: int) -> Segments:
    cut: dict[int, tuple[CasePart, ...]] = {last: _query_parts(messages[last].text)}
    for number, place in enumerate(pairs, 1):
        for turn in (place, place + 1):
            cut[turn] = (CasePart(kind="demo", text=messages[turn].text, number=number),)
    opening = _instruction_in(messages[pairs[0]].text, [messages[place].text for place in (*pairs[1:], last)])
    if opening:
        text = messages[pairs[0]].text
        cut[pairs[0]] = (
            CasePart(kind="pinned", text=text[:opening]),
            CasePart(kind="demo", text=text[opening:], number=1),
        )
    answers = tuple(messages[place + 1].text.strip() for place in pairs)
    alike = _alike([messages[place].text[opening if place == pairs[0] else 0 :] for place in (*pairs, last)], answers)
    return _message_segments(messages, cut, Segments((), TURN_CUTS, answers=answers, notices=() if alike else (TALK,)))


TALK = "The turns differ in form: this may be a conversation whose later turns refer to earlier ones."


def _instruction_in(first: str, others: Sequence[str]) -> int:
    """Where the first demonstration begins in a first turn that also holds the instruction; 0 if it holds none."""
    openings = {_opening(text) for text in others}
    if len(openings) != 1 or _opening(first) in openings:
        return 0
    (opening,) = openings
    place = first.find(f"\n{opening}")
    return place + 1 if opening and place >= 0 else 0


def _opening(text: str) -> str:
    """The words that a turn begins with: up to a colon, else the first two."""
    stem = re.match(r"[^\n:：]{1,40}[:：]", text)
    return stem[0] if stem else " ".join(text.split(maxsplit=2)[:2])


def _alike(turns: Sequence[str], answers: Sequence[str]) -> bool:
    """Whether turns look like demonstrations: they begin alike, or their answers are few and short."""
    short = all(len(answer) <= _SHORT for answer in answers)
    return len({_opening(turn) for turn in turns}) == 1 or (short and len(set(answers)) <= MOST_ALIKE_ANSWERS)


def _message_segments(
    messages: Sequence[Message], cut: dict[int, tuple[CasePart, ...]], segments: Segments
) -> Segments:
    """The parts of all messages; those that no cut names are pinned."""
    parts: list[CasePart] = []
    for place, turn in enumerate(messages):
        whole = (CasePart(kind="pinned", text=turn.text),)
        for part in cut.get(place) or whole:
            parts.append(part.model_copy(update={"message": place, "role": turn.role}))
    return Segments(tuple(parts), segments.cutter, segments.runner_up, segments.answers, notices=segments.notices)
