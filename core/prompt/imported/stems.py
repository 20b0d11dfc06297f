"""Which lines of a prompt begin with a stem, such as "Input:", "### Response", "Example 3." or "<|im_start|>user"?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

LONGEST_STEM = 40
_NUMBER = r"(?:\s*(?:#|№|n°|no\.?)?\s*\(?(?P<number{0}>\d{{1,3}}|[A-Z])\)?)?"
_LABEL = r"(?P<label{0}>[^\W\d_](?:[^\n:：.!?<>\[\]{{}}|*#=\"]{{0,38}}?[^\W_\d)])?\)?)"
_FORMS = (
    r"<\|im_start\|>\s*(?P<label{0}>\w+)\s*",
    r"<\|start_header_id\|>\s*(?P<label{0}>\w+)\s*<\|end_header_id\|>\s*",
    r"<start_of_turn>\s*(?P<label{0}>\w+)\s*",
    r"<\|(?P<label{0}>user|assistant|system)\|>\s*",
    r"(?:<s>)?\s*(?P<label{0}>\[INST\])\s*",
    r"\[\[ ## (?!completed)(?P<label{0}>\w+) ## \]\][ \t]*",
    r"<(?P<label{0}>[^\W\d_][\w-]*)(?:\s[^>\n]*)?>[ \t]*",
    r"\#{{1,6}}[ \t]*" + _LABEL + _NUMBER + r"[ \t]*(?:[:：.][ \t]*|#{{0,6}}$)",
    r"(?P<label{0}>[^\W\d_]{{2,20}})[ \t]*>{{2,3}}[ \t]*",
    r"\*\*[ \t]*" + _LABEL + _NUMBER + r"[ \t]*[:：]?[ \t]*\*\*[ \t]*[:：]?[ \t]*",
    r"[\[(=\-~<«【]+[ \t]*" + _LABEL + _NUMBER + r"[ \t]*[\])=\-~>»】]+[ \t]*[:：]?[ \t]*",
    r"(?:[-*•][ \t]+)?(?:\d{{1,3}}[.)][ \t]+)?" + _LABEL + _NUMBER + r"[ \t]*[:：][ \t]*",
    r"(?P<label{0}>[^\W\d_]{{1,20}})[ \t]*(?P<number{0}>\d{{1,3}})[ \t]*(?:[.)\-–—][ \t]+|$)",
    r"(?P<label{0}>[^\W\d_]{{2,20}})[ \t]+(?P<number{0}>[A-Z])[ \t]*$",
)
"""In this order; each form names its label, and its number where it has one."""
_STEM = tuple(re.compile(rf"[ \t]*(?:{form.format('')})", re.IGNORECASE if "INST" in form else 0) for form in _FORMS)
_ORDINALS = re.compile(
    r"\b(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|one|two|three|four|five|six|seven|eight|"
    r"nine|ten|1st|2nd|3rd|\dth|next|another)\b"
)
DEMO_WORDS = frozenset(
    (
        *("example", "demonstration", "demo", "case", "shot", "sample", "instance", "user"),
        *(
            "exemple",
            "ejemplo",
            "exemplo",
            "esempio",
            "beispiel",
            "voorbeeld",
            "przykład",
            "příklad",
            "örnek",
            "contoh",
        ),
        *("пример", "приклад", "esimerkki", "exempel", "eksempel", "példa", "παράδειγμα", "उदाहरण", "مثال", "דוגמה"),
        *("例", "例子", "示例", "例题", "예", "예시", "예제"),
    )
)
"""Words that number demonstrations, in several languages."""


class Line(NamedTuple):
    """A line of a text; `end` is before its line end, `after` behind it."""

    start: int
    end: int
    after: int


class Stem(NamedTuple):
    """The words that a line begins with and what they introduce."""

    label: str
    """In lower case, without its number."""
    number: str | None
    line: int
    """Index of the line."""
    start: int
    """Where the line begins."""
    value: int
    """Where the introduced text begins."""

    @property
    def demo_word(self) -> bool:
        """Whether it is a word for demonstrations."""
        return any(word in DEMO_WORDS or word.rstrip("s") in DEMO_WORDS for word in self.label.split())


def lines_of(text: str) -> list[Line]:
    """The lines of a text; line ends are LF, CRLF or CR."""
    lines, start = [], 0
    for end in re.finditer(r"\r\n|\r|\n", text):
        lines.append(Line(start, end.start(), end.end()))
        start = end.end()
    if start < len(text):
        lines.append(Line(start, len(text), len(text)))
    return lines


def stems_of(text: str, lines: Sequence[Line]) -> list[Stem]:
    """The stems at the beginnings of lines, in order."""
    stems = []
    for place, line in enumerate(lines):
        words = text[line.start : min(line.end, line.start + 3 * LONGEST_STEM)].rstrip()
        match = next((match for form in _STEM if (match := form.match(words))), None)
        if match is not None:
            groups = match.groupdict()
            label = groups["label"].casefold()
            label = " ".join(_ORDINALS.sub("", label).split()) or label
            stems.append(Stem(label, groups.get("number"), place, line.start, line.start + match.end()))
    return stems
