"""How an item's title reads inside a prompt: on one line, not endless, never empty; and what is odd about it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

LONGEST_TITLE = 300
"""Characters of a title that a prompt shows."""
UNTITLED = "(untitled)"

_LINE_BREAKS = frozenset("\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
_CONTROL_LIKE = re.compile(
    r"<\|[^|<>\n]{1,40}\|>|<｜[^｜<>\n]{1,40}｜>|</?s>|\[/?INST\]|<</?SYS>>|<(start|end)_of_(turn|image)>"
    r"|</?(think|thinking|tool_call|tool_response)>|<(bos|eos|pad|unk|mask)>|\[(CLS|SEP|PAD|UNK|MASK)\]"
    r"|#{2,}\s*(response|instructions?|input|output|answer|system|user|assistant|human)\b|\b(human|assistant|system)\s*:",
    re.IGNORECASE,
)
_INSTRUCTION_LIKE = re.compile(
    r"\b(ignore|disregard|forget|override)\b.{0,40}\b(previous|above|prior|earlier|all|any|your)\b.{0,40}"
    r"\b(instructions?|prompts?|rules?|messages?|text|context)\b"
    r"|\b(rank|place|put|list|recommend)\b.{0,40}\b(first|top|highest|number one|#1)\b"
    r"|\b(system prompt|new instructions?|you must (now )?(answer|say|choose|recommend)|(always )?answer (yes|no)\b)",
    re.IGNORECASE,
)


@lru_cache(maxsize=10_000)
def prompt_title(title: str) -> str:
    """The title as prompts write it: one line of at most 300 characters.

    Line breaks become ␤, tabs ␉, other control characters their picture (␀ to ␡) or �; runs of spaces stay.
    A longer title ends in …; a blank one reads (untitled).
    """
    if not title.strip():
        return UNTITLED
    start = title[: 4 * LONGEST_TITLE]  # more than can be shown, however many line breaks become one mark
    marked = "".join(_mark(letter) for letter in start.replace("\r\n", "\n"))
    return marked if len(marked) <= LONGEST_TITLE else marked[: LONGEST_TITLE - 1] + "…"


def oddities(title: str, cues: Iterable[str] = (), *, what: str = "Title") -> tuple[str, ...]:
    """What a reader should know about a title, one sentence each; `cues` are words the template ends in a colon.

    `what` names it in the sentences, where it is the title of no item.
    """
    return tuple(sentence.format(title=f"{what} {quoted(title)}") for sentence in _odd(title, cues))


def quoted(title: str) -> str:
    """The title as sentences show it: on one line, in quotes, at most 60 characters."""
    text = prompt_title(title)
    return f"“{text if len(text) <= 60 else text[:59] + '…'}”"


def _odd(title: str, cues: Iterable[str]) -> list[str]:
    text = prompt_title(title)
    checks = {
        "{title} is blank; the prompt says (untitled).": not title.strip(),
        "{title} holds line breaks or control characters; the prompt shows a mark for each.": _is_marked(title),
        f"{{title}} has {len(title)} characters; the prompt shows {LONGEST_TITLE}.": len(title) > LONGEST_TITLE,
        "{title} holds text that looks like a control token; it is never encoded as one.": bool(
            _CONTROL_LIKE.search(text)
        ),
        "{title} imitates a line of the template; it is encoded as plain text.": any(
            cue.casefold() in text.casefold() for cue in cues
        ),
        "{title} looks like an instruction to the model; it is used as it is.": bool(_INSTRUCTION_LIKE.search(text)),
    }
    return [sentence for sentence, holds in checks.items() if holds]


def _is_marked(title: str) -> bool:
    return bool(title.strip()) and any(_mark(letter) != letter for letter in title)


def _mark(letter: str) -> str:
    code = ord(letter)
    if letter in _LINE_BREAKS:
        return "␤"
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return "�" if 0x80 <= code < 0xA0 or 0xD800 <= code <= 0xDFFF else letter
