"""What is a case file: JSON lines, each a finished prompt in parts with its answer options."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated, BinaryIO, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.data.reading.streams import label
from core.data.records import Role
from core.errors import DataError
from core.store.export import whole_file
from core.words import brief

FORMAT: Final = 1
"""Version of the case file; stands in each line as `"case_file": 1`."""
LONGEST_CASE = 16_000_000
"""Most bytes in one line of a case file."""
_BOM = b"\xef\xbb\xbf"

PartKind = Literal["pinned", "demo", "history", "query"]
"""`pinned` always stays; `demo` is one demonstration, `history` one item of the query's history; `query` is the rest
of the question."""
OptionsFrom = Literal["labels", "candidates", "titles", "completion"]
"""Where the answer options come from: labels such as Yes and No, the candidate list of the prompt, titles that were
handed in, or the logged completion against the answers of other calls."""
ShortText = Annotated[str, Field(min_length=1, max_length=1_000)]

FROZEN = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class CasePart(BaseModel):
    """Consecutive characters of a prompt with one meaning."""

    model_config = FROZEN

    kind: PartKind
    text: str
    """Exactly as logged; empty only as the whole text of an empty chat message."""
    number: Annotated[int, Field(ge=1)] | None = None
    """Of the demonstration or history item, from 1; consecutive parts of one demonstration share it."""
    message: Annotated[int, Field(ge=0)] | None = None
    """Index of the chat message that the part belongs to; None in a text prompt."""
    role: Role | None = None
    """Of the chat message."""


class AnswerOption(BaseModel):
    """One answer whose score is computed."""

    model_config = FROZEN

    option_id: ShortText
    text: Annotated[str, Field(min_length=1)]
    """As the model would write it, without a leading space."""


class CaseOrigin(BaseModel):
    """Where a case was read."""

    model_config = FROZEN

    file: str
    """Name of the file, without its folder."""
    line: int | None
    """Of a text file, from 1; of a table, the row from 1."""
    format: str
    """Name of a row of the formats."""
    call_id: str | None
    """The id that the log has for the call."""


class PromptCase(BaseModel):
    """A finished prompt in parts, with the answers that the model chooses from.

    Of a text prompt, the texts of all parts in order are the logged prompt, character by character; of a chat, the
    texts of the parts of each message are that message.
    """

    model_config = FROZEN

    case_file: Literal[1] = FORMAT
    """Version of the format."""
    case_id: ShortText
    """Unique in its file."""
    parts: Annotated[tuple[CasePart, ...], Field(min_length=1)]
    options: Annotated[tuple[AnswerOption, ...], Field(min_length=2)]
    options_from: OptionsFrom
    target: str | None = None
    """Option id of the true answer, where it is known."""
    completion: str | None = None
    """What the model answered when the call was logged."""
    answer_cue: bool
    """Whether the text ends with the words that the answer follows, such as "Output:"."""
    user: str | None = None
    time: str | None = None
    model: str | None = None
    """Name of the model in the log."""
    origin: CaseOrigin
    cuts_from: str
    """Name of the cutter, "format" where the source says the cuts, or "hand"."""
    notices: tuple[str, ...] = ()
    """What a reader should know of the case, one sentence each."""

    @model_validator(mode="after")
    def _consistent(self) -> PromptCase:
        ids = [option.option_id for option in self.options]
        if len(set(ids)) < len(ids):
            raise ValueError("each option id once in options")
        if self.target is not None and self.target not in ids:
            raise ValueError("target to be an option id")
        _check_messages(self.parts)
        _check_numbers(self.parts)
        return self

    @property
    def chat(self) -> bool:
        """Whether the prompt is a list of messages."""
        return self.parts[0].message is not None

    @property
    def demo_count(self) -> int:
        """Demonstrations in the prompt."""
        return len({part.number for part in self.parts if part.kind == "demo"})


class Message(NamedTuple):
    """A turn of a chat."""

    role: Role
    text: str


def _check_messages(parts: tuple[CasePart, ...]) -> None:
    """Raise `ValueError` where parts and messages do not fit; messages are numbered from 0 in order."""
    if any((part.message is None) != (part.role is None) for part in parts):
        raise ValueError("message and role of a part both or neither")
    places = [part.message for part in parts]
    if all(place is None for place in places):
        if not all(part.text for part in parts):
            raise ValueError("text in each part")
        return
    turns = [place for place in places if place is not None]
    if len(turns) < len(places) or turns[0] != 0 or any(b - a not in (0, 1) for a, b in pairwise(turns)):
        raise ValueError("message of all parts or of none, from 0 in order")
    for place in set(turns):
        turn = [part for part in parts if part.message == place]
        if len({part.role for part in turn}) > 1 or (len(turn) > 1 and not all(part.text for part in turn)):
            raise ValueError("one role in each message, and text in each part")


def _check_numbers(parts: tuple[CasePart, ...]) -> None:
    """Raise `ValueError` where demonstrations or history items are not numbered from 1 in order."""
    if any((part.number is None) == (part.kind in ("demo", "history")) for part in parts):
        raise ValueError("a number for each demo and history part, and for no other")
    if numbered(parts) != parts:
        raise ValueError("demonstrations and history items numbered from 1 in the order of the prompt, each in one run")


def numbered(parts: tuple[CasePart, ...]) -> tuple[CasePart, ...]:
    """The parts with demonstrations and history items numbered anew, from 1 in order.

    Neighbours of one kind with the same number stay one item; whatever stands between two parts makes them two.
    """
    counts, last, result = {"demo": 0, "history": 0}, None, []
    for part in parts:
        if part.kind in counts:
            counts[part.kind] += last != (part.kind, part.number) or part.number is None
        number = counts.get(part.kind)
        result.append(part if part.number == number else part.model_copy(update={"number": number}))
        last = (part.kind, part.number)
    return tuple(result)


def text_of(case: PromptCase) -> str:
    """The texts of all parts, one after another; of a text prompt, the prompt."""
    return "".join(part.text for part in case.parts)


def messages_of(case: PromptCase) -> tuple[Message, ...]:
    """The messages of a chat; none of a text prompt."""
    turns: list[Message] = []
    for part in case.parts:
        if part.message is None or part.role is None:
            return ()
        if part.message == len(turns):
            turns.append(Message(part.role, part.text))
        else:
            turns[-1] = Message(part.role, turns[-1].text + part.text)
    return tuple(turns)


def case_hash(case: PromptCase) -> str:
    """First 16 hex digits of the SHA-256 of what the scores rest on: parts, options, target and cue.

    The id, the origin, the logged completion and the notices do not count.
    """
    content = case.model_dump(mode="json", include={"parts", "options", "target", "answer_cue"})
    whole = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def read_cases(path: Path) -> Iterator[PromptCase]:
    """The cases of a file, one at a time; blank lines are skipped.

    Raises `DataError` with file and line for what is no case, an id that stands there twice and a line above
    `LONGEST_CASE`; never holds more than one line in memory.
    """
    name, first_lines = label(path), dict[str, int]()
    try:
        with open(path, "rb") as file:
            for number, line in _lines(file, name):
                case = case_of_line(line, f"{name}, line {number}")
                first = first_lines.setdefault(case.case_id, number)
                if first != number:
                    problem = f"case id {brief(case.case_id)} also stands in line {first}"
                    raise DataError(problem, expected="each id once", where=f"{name}, line {number}")
                yield case
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise DataError(f"cannot be read: {reason}", where=name) from None
    if not first_lines:
        raise DataError("no case", expected="a case file: JSON lines, each one case", where=name)


def _lines(file: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(LONGEST_CASE + 1):
        number += 1
        if len(line) > LONGEST_CASE:
            problem = f"a line of more than {LONGEST_CASE // 1_000_000} MB"
            raise DataError(problem, expected="one case a line", where=f"{name}, line {number}")
        line = line.removeprefix(_BOM) if number == 1 else line
        if line.strip():
            yield number, line


def case_of_line(line: bytes, where: str) -> PromptCase:
    """The case of one line; raises `DataError` at `where` with what was found and what was expected."""
    if b'"case_file"' not in line:
        problem = f"{brief(line[:80].decode(errors='replace').strip())} is not a case"
        raise DataError(problem, expected="a line that `demolens cases import` writes", where=where)
    try:
        return PromptCase.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            raise DataError("not JSON, or cut short", expected="one case a line", where=where) from None
        place = ".".join(map(str, first["loc"])) or "the case"
        value_words = "is missing" if first["type"] == "missing" else f"is {brief(first.get('input'))}"
        problem = f"{place} {value_words}" if first["loc"] else "the case is not consistent"
        raise DataError(problem, expected=_expected(first["msg"]), where=where) from None


def _expected(message: str) -> str:
    text = message.removeprefix("Value error, ").removeprefix("Input should be ")
    return text[0].lower() + text[1:]


def write_cases(path: Path, cases: Iterable[PromptCase]) -> int:
    """Write a case file that is whole or, if anything fails, as it was; returns how many cases it has.

    Raises `DataError` for an id that comes twice and `OSError` where the file cannot be written.
    """
    ids: set[str] = set()
    with whole_file(path) as file:
        for case in cases:
            if case.case_id in ids:
                raise DataError(f"case id {brief(case.case_id)} comes twice", expected="each id once")
            ids.add(case.case_id)
            file.write(case.model_dump_json().encode() + b"\n")
    return len(ids)
