"""How a prompt reads before a model is there: the builder's own text, with what stands for a field marked."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import NamedTuple

from core.data.records import Case, Demonstration, Interaction, Item
from core.prompt.build import NO_CODES, build
from core.prompt.families import Family
from core.prompt.spans import ChatTurns, Cut, Encoding, Offsets, Prompt, SpanKind, Stretch
from core.prompt.template import Template

FIRST, LAST = "\ufdd0", "\ufdd1"
"""Around a value in a marked text. No character is ever assigned to these two."""
_FIELD = re.compile(r"\{\w+\}")
_VALUE = re.compile(f"{FIRST}([^{FIRST}{LAST}]*){LAST}")
_MARKS = re.compile(f"[{FIRST}{LAST}]")


class TextPart(NamedTuple):
    """A stretch of a template or a prompt."""

    text: str
    field: bool
    """Whether it is a field, or stands for one."""


class TextSection(NamedTuple):
    """A section of a template, or a span of a prompt; the parts together are its text."""

    kind: SpanKind
    number: int
    """Of the demonstration, from 0."""
    parts: tuple[TextPart, ...]


def template_sections(template: Template) -> tuple[TextSection, ...]:
    """The four texts of a template with their fields marked."""
    kinds: tuple[SpanKind, ...] = ("instruction", "demo", "query", "candidate")
    return tuple(TextSection(kind, 0, tuple(_parts(template.section(kind), _FIELD))) for kind in kinds)


def prompt_sections(
    case: Case,
    demonstrations: Sequence[Demonstration],
    items: Mapping[str, Item],
    *,
    family: Family,
    template: Template,
    noun: str,
    history: int,
    liked: Callable[[Interaction], bool],
) -> tuple[TextSection, ...]:
    """The prompt of a case with its first candidate, uncut and without a chat template; values are marked.

    Raises `PromptError` as `build` does.
    """
    marked = _Marked(**{field.name: getattr(template, field.name) for field in fields(Template)})
    codes = NO_CODES if template.shows_codes else None
    choices = {"family": family, "noun": noun, "history": history, "liked": liked, "template": marked, "codes": codes}
    prompt: Prompt = build(case, demonstrations, items, _TextOnly(), **choices)  # type: ignore[arg-type]
    spans = (*prompt.prefix, prompt.candidates[0])
    return tuple(TextSection(span.kind, span.index, tuple(_parts(span.text, _VALUE))) for span in spans)


class _Marked(Template):
    """A template that marks the values it writes."""

    def text(self, kind: SpanKind, values: Mapping[str, str]) -> str:
        return super().text(kind, {name: f"{FIRST}{_MARKS.sub('', value)}{LAST}" for name, value in values.items()})


class _TextOnly:
    """In place of a tokenizer: every text is one token."""

    def encode(self, text: str) -> tuple[tuple[int, ...], Offsets]:
        encoding = _whole(text)
        return encoding.token_ids, encoding.offsets

    def opening(self, text: str, *, chat: bool) -> Encoding:  # noqa: ARG002
        return _whole(text)

    def closing(self, text: str) -> Encoding:
        return _whole(text)

    def reply(self, text: str, *, chat: bool) -> Encoding:  # noqa: ARG002
        return _whole(f" {text}")

    def unread(self, text: str) -> str:  # noqa: ARG002
        return ""

    def chat_frame(self) -> None:
        return None

    def turns(self, conversations: Sequence[Sequence[str]]) -> list[ChatTurns] | None:  # noqa: ARG002
        return None

    def cut(self, parts: Sequence[Sequence[Stretch]], *, start: bool) -> Cut:  # noqa: ARG002
        return Cut(tuple(_whole("".join(stretch.text for stretch in part)) for part in parts), 0)

    def behind(self, before: str, text: str) -> Encoding:  # noqa: ARG002
        return _whole(text)


def _whole(text: str) -> Encoding:
    ids = (zlib.crc32(text.encode("utf-8", "surrogatepass")),) if text else ()
    return Encoding(text, ids, ((0, len(text)),) if text else ())


def _parts(text: str, marks: re.Pattern[str]) -> Iterator[TextPart]:
    end = 0
    for match in marks.finditer(text):
        if match.start() > end:
            yield TextPart(text[end : match.start()], field=False)
        yield TextPart(match[1] if marks.groups else match[0], field=True)
        end = match.end()
    if end < len(text):
        yield TextPart(text[end:], field=False)
