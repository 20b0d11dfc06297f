"""What a prompt says around the data: four short texts with a fixed set of placeholders, and nothing that runs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from core.errors import PromptError, RequestError
from core.prompt.families import FAMILIES, Family
from core.prompt.spans import SpanKind
from core.prompt.wordings import WORDINGS, Wording

LONGEST_TEMPLATE = 20_000
"""Characters a template may have; the shipped ones have about 600."""
PROMPTS = Path(__file__).parents[2] / "assets" / "prompts"

_ALLOWED: dict[SpanKind, tuple[str, ...]] = {
    "instruction": ("noun",),
    "demo": ("noun", "history", "item", "answer", "wish"),
    "query": ("noun", "history", "wish"),
    "candidate": ("noun", "item"),
}
_CODES: dict[SpanKind, tuple[str, ...]] = {
    "instruction": (),
    "demo": ("user_code", "item_code"),
    "query": ("user_code",),
    "candidate": ("item_code",),
}
"""Allowed besides in the templates that show codes."""
_REQUIRED: dict[SpanKind, tuple[tuple[str, ...], ...]] = {
    "instruction": (),
    "demo": (("history", "wish"), ("item",)),
    "query": (("history", "wish"),),
    "candidate": (("item",),),
}
"""At least one of each group: a template may show the kind of a history in place of its titles."""
_HEADER = re.compile(r"\[(\w+)\]\s*")
_FIELD = re.compile(r"\{([^{}\n]*)\}")
_BRACE = re.compile(r"[{}]")
_CUE = re.compile(r"[^\W\d_][\w ]*:")


@dataclass(frozen=True)
class Template:
    """The four texts of a prompt family; read one with `template_for` or `parse_template`."""

    instruction: str
    demo: str
    query: str
    candidate: str
    where: str = "template"

    def text(self, kind: SpanKind, values: Mapping[str, str]) -> str:
        """The section with its placeholders replaced, in one pass: braces inside the values stay as they are."""
        return _FIELD.sub(lambda field: values[field[1]], self.section(kind))

    def section(self, kind: SpanKind) -> str:
        """The section's text with its placeholders still in place."""
        return str(getattr(self, kind))

    @property
    def content_hash(self) -> str:
        """First 16 hex digits of the SHA-256 of the four texts; comments do not count."""
        whole = "\0".join((self.instruction, self.demo, self.query, self.candidate))
        return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def cues(self, noun: str) -> frozenset[str]:
        """Words that end in a colon at the start of a line (`Answer:`): what a title could imitate."""
        lines = "\n".join((self.demo, self.query, self.candidate)).replace("{noun}", noun).split("\n")
        return frozenset(match[0] for line in lines if (match := _CUE.match(line)))

    @property
    def shows_titles(self) -> bool:
        """Whether it has a place for the titles of a history."""
        return "{history}" in self.demo or "{history}" in self.query

    @property
    def shows_wish(self) -> bool:
        """Whether the query has a place for the kind of item that the user looks for."""
        return "{wish}" in self.query

    @property
    def shows_codes(self) -> bool:
        """Whether it has a place for the code of a user or an item."""
        return any(f"{{{name}}}" in self.section(kind) for kind, names in _CODES.items() for name in names)

    def checked_for(self, family: Family) -> Template:
        """This template, if it has what the family needs; else `PromptError` saying what is missing."""
        row, answers = FAMILIES[family], "{answer}" in self.demo
        if row.labelled and not answers:
            raise PromptError("[demo] without {answer}", expected="a place for Yes or No", where=self.where)
        if answers and not row.labelled:
            raise PromptError("[demo] with {answer}", expected="only a history and the item chosen", where=self.where)
        if row.scores == "title" and self.candidate != "{item}":
            raise PromptError(f"[candidate] is {self.candidate[:60]!r}", expected="{item} alone", where=self.where)
        return self


def template_for(family: Family, *, wording: Wording = "plain", codes: bool = False) -> Template:
    """The shipped template of a family in a wording, or the plain one's variant with codes.

    Raises `PromptError` when its file is missing or not a template, `RequestError` for codes in another wording.
    """
    if codes and wording != "plain":
        problem = f"wording {wording} for a model that was tuned to read codes of users and items"
        raise RequestError(problem, expected="wording plain, the only one that shows them")
    path = PROMPTS / (f"{family}_codes.txt" if codes else WORDINGS[wording].template_name(family))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"no readable file ({type(error).__name__})", where=f"assets/prompts/{path.name}") from None
    return parse_template(text, f"assets/prompts/{path.name}", codes=codes).checked_for(family)


def parse_template(text: str, where: str, *, codes: bool = False) -> Template:
    """A template from text with the sections `[instruction]`, `[demo]`, `[query]`, `[candidate]`.

    Comment lines (`#`) may stand before the first section. A section's text is its lines, without the white space
    at its end and the blank lines at its start; the builder puts a line break after each section that another follows.
    With `codes` the placeholders {user_code} and {item_code} are allowed besides.
    Raises `PromptError` naming `where` and the line, what was found and what is allowed.
    """
    if len(text) > LONGEST_TEMPLATE:
        raise PromptError(f"{len(text)} characters", expected=f"at most {LONGEST_TEMPLATE}", where=where)
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    sections = _sections(lines, where)
    for kind in get_args(SpanKind):
        if kind not in sections:
            raise PromptError(f"no [{kind}] section", expected=_listed(get_args(SpanKind), "[{}]"), where=where)
        _check_fields(kind, *sections[kind], where, _ALLOWED[kind] + (_CODES[kind] if codes else ()))
    return Template(**{kind: _trimmed(section) for kind, (_, section) in sections.items()}, where=where)


def _sections(lines: list[str], where: str) -> dict[SpanKind, tuple[int, list[str]]]:
    """First line number and lines of each section, in the order of the file."""
    sections: dict[SpanKind, tuple[int, list[str]]] = {}
    current: list[str] | None = None
    for number, line in enumerate(lines, start=1):
        header = _HEADER.fullmatch(line)
        if header:
            current = []
            sections[_new_kind(header[1], sections, f"{where}, line {number}")] = (number + 1, current)
        elif current is not None:
            current.append(line)
        elif line.strip() and not line.startswith("#"):
            expected = "a comment (#) or [instruction]"
            raise PromptError(
                f"text before the first section: {line[:60]!r}", expected=expected, where=f"{where}, line {number}"
            )
    return sections


def _new_kind(name: str, sections: Mapping[SpanKind, object], where: str) -> SpanKind:
    kinds: tuple[SpanKind, ...] = get_args(SpanKind)
    kind = next((kind for kind in kinds if kind == name), None)
    if kind is None:
        raise PromptError(f"unknown section [{name[:40]}]", expected=_listed(kinds, "[{}]"), where=where)
    if kind in sections:
        raise PromptError(f"a second [{name}] section", expected="each section once", where=where)
    return kind


def _check_fields(kind: SpanKind, first: int, lines: list[str], where: str, names: tuple[str, ...]) -> None:
    allowed = _listed(names, "{{{}}}")
    for number, line in enumerate(lines, start=first):
        for field in _FIELD.finditer(line):
            if field[1] not in names:
                problem = f"placeholder {field[0][:60]} in [{kind}]"
                raise PromptError(problem, expected=allowed, where=f"{where}, line {number}")
        if stray := _BRACE.search(_FIELD.sub("", line)):
            expected = "a { and its } around the name of a placeholder, on one line"
            raise PromptError(f"an unpaired {stray[0]} in [{kind}]", expected=expected, where=f"{where}, line {number}")
    text = "\n".join(lines)
    missing = [group for group in _REQUIRED[kind] if not any(f"{{{name}}}" in text for name in group)]
    if missing:
        named = " or ".join(f"{{{name}}}" for name in missing[0])
        raise PromptError(f"no {named} in [{kind}]", expected=allowed, where=f"{where}, line {first}")


def _trimmed(lines: list[str]) -> str:
    return "\n".join(lines).rstrip().lstrip("\n")


def _listed(names: tuple[str, ...], form: str) -> str:
    return ", ".join(form.format(name) for name in names)
