"""What is one logged call, whatever program wrote it?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.data.records import Role
from core.prompt.imported.case_file import Message, PartKind
from core.words import brief, counted

LONGEST_PROMPT = 1_000_000
"""Most characters of a prompt."""
HIDDEN = "__REDACTED__"
"""What OpenInference writes in place of a text that was hidden when it was logged."""
ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "gpt": "assistant",
}
"""Words for the speaker of a message in the formats."""
TEXT_PARTS = frozenset({"text", "input_text", "output_text"})
_SURROGATE = re.compile(r"[\ud800-\udfff]")

Json = Mapping[str, Any]


@dataclass(frozen=True)
class FormatPart:
    """A part of a prompt whose meaning the format itself says."""

    kind: PartKind
    text: str
    number: int | None = None


@dataclass(frozen=True)
class Call:
    """A prompt that was sent, and what the log knows of it; what it does not know stays empty."""

    line: int | None = None
    """Line or row in the file, from 1."""
    messages: tuple[Message, ...] = ()
    text: str | None = None
    """The prompt, where it is not a list of messages."""
    format_parts: tuple[FormatPart, ...] = ()
    """Where the format says the cuts of `text`, or of the last message of the user."""
    format_answers: tuple[str, ...] = ()
    """Of the demonstrations in `format_parts`, where the format says them."""
    completion: str | None = None
    target: str | None = None
    """The true answer."""
    options: tuple[str, ...] = ()
    """The answers whose scores were logged."""
    model: str | None = None
    call_id: str | None = None
    user: str | None = None
    time: str | None = None
    notices: tuple[str, ...] = ()
    joins: str | None = field(default=None, repr=False)
    """Id that a request and its answer in another line or file share."""


@dataclass(frozen=True)
class Skipped:
    """A line or record without a prompt that can be imported."""

    line: int | None
    reason: str
    """One short clause, the same for all records with the same fault."""


@dataclass(frozen=True)
class LoggedAnswer:
    """What the model answered to a call whose prompt stands in another line or file."""

    line: int | None
    joins: str
    completion: str | None
    model: str | None = None


Logged = Call | LoggedAnswer | Skipped
Numbered = tuple[int, Json | Skipped]
"""A record with its line or row, from 1."""


def fault_of(call: Call) -> str | None:
    """Why a call cannot be a case; None if it can."""
    texts = [message.text for message in call.messages] or [call.text or ""]
    whole = "".join(texts)
    if not whole.strip():
        return "no prompt text"
    if len(whole) > LONGEST_PROMPT:
        return f"a prompt of more than {LONGEST_PROMPT:,} characters"
    if any(text.strip() == HIDDEN for text in texts):
        return "text was hidden at capture"
    others = (call.completion, call.target, call.call_id, call.user, call.time, call.model)
    if _SURROGATE.search("".join([whole, *call.options, *(text for text in others if text)])):
        return "half a surrogate pair, which is no character"
    return None


def text_or_none(value: object) -> str | None:
    """A scalar as text; None for what is missing, empty or has parts."""
    if value is None or isinstance(value, (dict, list)):
        return None
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if text.strip() else None


def first_text(record: Json, names: Iterable[str]) -> str | None:
    """The first of the named fields that has a value."""
    return next((text for name in names if (text := text_or_none(record.get(name))) is not None), None)


@dataclass
class Turns:
    """Messages collected from a log, and what of them is no text."""

    messages: list[Message] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def add(self, role: object, content: object, *, extra: Iterable[str] = ()) -> None:
        """Add a message of any format's role and content: a text, parts, or nothing; `extra` names what else it has."""
        text = self._text(content)
        for name in extra:
            self._count(name)
        speaker = ROLES.get(str(role).lower())
        if speaker is None:
            self._count(f"message of the role {brief(role)}")
        elif text is not None:
            self.messages.append(Message(speaker, text))

    def _text(self, content: object) -> str | None:
        if isinstance(content, str):
            return content
        if not isinstance(content, Sequence):
            return None
        texts = [text for part in content if (text := self._part(part)) is not None]
        return "".join(texts) if texts else None

    def _part(self, part: object) -> str | None:
        if isinstance(part, str):
            return part
        if not isinstance(part, Mapping):
            return None
        text = part.get("text") if isinstance(part.get("text"), str) else part.get("content")
        if str(part.get("type", "text")) in TEXT_PARTS and isinstance(text, str):
            return text
        self._count(f"part of the type {brief(part.get('type', 'unknown'))}")
        return None

    def _count(self, name: str) -> None:
        self.left_out[name] = self.left_out.get(name, 0) + 1

    @property
    def notices(self) -> tuple[str, ...]:
        """What was left out, one sentence each."""
        return tuple(
            f"{counted(count, name, _plural(name))} {'was' if count == 1 else 'were'} left out: only text is scored."
            for name, count in self.left_out.items()
        )


def _plural(name: str) -> str:
    head, _, rest = name.partition(" ")
    return f"{head}s {rest}".strip()


def turns_of(messages: object) -> Turns:
    """The turns of a `messages` list in OpenAI's form or in a near one."""
    turns = Turns()
    for message in messages if isinstance(messages, (list, tuple)) else ():
        if isinstance(message, Mapping):
            called = ("tool call",) * (bool(message.get("tool_calls")) or bool(message.get("function_call")))
            role = message.get("role") or message.get("from") or message.get("type")
            turns.add(role, message.get("content", message.get("value")), extra=called)
    return turns


def is_messages(value: object) -> bool:
    """Whether a value is a list of chat messages."""
    return (
        isinstance(value, (list, tuple))
        and bool(value)
        and all(isinstance(turn, Mapping) and ("role" in turn or "from" in turn) for turn in value)
    )


def split_answer(messages: Sequence[Message]) -> tuple[tuple[Message, ...], str | None]:
    """The messages before a last answer of the assistant, and that answer."""
    if len(messages) > 1 and messages[-1].role == "assistant":
        return tuple(messages[:-1]), messages[-1].text
    return tuple(messages), None
