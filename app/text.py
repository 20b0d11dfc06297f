"""Text that someone else wrote (titles, ids, file names), made safe for each place where it is shown."""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache

SHORT = 44
"""Characters of a title in a label; the full title is always one step away."""

_WORD_JOINER = "\u2060"
_HAIR_SPACE = "\u200a"
_INERT = (
    (re.compile(r":(?=[A-Za-z0-9_+\-/]+(?::|\[)|//)"), f":{_WORD_JOINER}"),
    (re.compile(r"([\\<>&\]!~=^-])(?=[^\s\w])|([\\<&])(?=\w)"), rf"\1\2{_WORD_JOINER}"),
    (re.compile(r"(\*+|~~+|(?<!\w)_+|_+(?!\w))"), rf"\1{_HAIR_SPACE}"),
    (re.compile(r"(?i)\b(www)\."), rf"\1{_WORD_JOINER}."),
    (re.compile(r"@"), f"@{_WORD_JOINER}"),
    (re.compile(r"^([#>+\-]|\d+[.)])(?=\s|$)"), rf"\1{_WORD_JOINER}"),
)
"""Places where Markdown would begin something, and the same text kept apart by a character that is not seen.

A backslash would do for Markdown alone, but the chosen value of a selectbox is shown as it is while its options are
read as Markdown: only unseen characters leave both literal."""
_PAIRED = re.compile(r"([$`])")
_HIDDEN = {0x200E, 0x200F, 0x061C, 0xFEFF, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
"""Characters that change the direction or order of text without being seen."""
_RIGHT_TO_LEFT = {"R", "AL"}


def visible(text: str) -> str:
    """`text` with everything invisible made visible: line breaks, controls, direction overrides, lone surrogates."""
    if not text.strip():
        return "(no title)"
    if text.isprintable():  # Then no character is of a category that is replaced.
        return text
    return "".join(_visible_character(character) for character in text)


def _visible_character(character: str) -> str:
    if character in "\n\r\t":
        return {"\n": "⏎", "\r": "⏎", "\t": "⇥"}[character]
    code = ord(character)
    if code in _HIDDEN or unicodedata.category(character) in {"Cc", "Cs", "Co"}:
        return f"⟦U+{code:04X}⟧"
    return character


def shortened(text: str, limit: int = SHORT) -> str:
    """At most `limit` characters, the cut marked by an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def isolated(text: str) -> str:
    """`text` inside a direction isolate where it holds right-to-left letters, so that its neighbours stay in place."""
    if not text.isascii() and any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in text):
        return f"\u2068{text}\u2069"
    return text


def plain(text: str, limit: int = SHORT) -> str:
    """For sinks that interpret nothing (table cells): visible, shortened, isolated."""
    return isolated(shortened(visible(text), limit))


def safe_label(text: str, limit: int = SHORT) -> str:
    """For Streamlit labels, which are Markdown: no emphasis, link, image, LaTeX, `:emoji:` or `:colour[…]` survives."""
    label = option(text, limit)
    return _PAIRED.sub(r"\\\1", label) if label.count("$") > 1 or label.count("`") > 1 else label


@lru_cache(maxsize=8192)  # Every run of a page asks for the label of each user in its list.
def option(text: str, limit: int = SHORT) -> str:
    """For options of a selectbox, which are plain text when chosen: what Markdown might read is kept apart unseen."""
    label = shortened(visible(text), limit)
    for pattern, separated in _INERT:
        label = pattern.sub(separated, label)
    return isolated(label)


def counted(number: int, noun: str) -> str:
    """`1 demonstration`, `8 demonstrations`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def capital(text: str) -> str:
    """`text` with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def safe_html(text: str, limit: int | None = None) -> str:
    """For `st.html`: escaped, and kept apart from the direction of its neighbours."""
    readable = visible(text)
    return f"<bdi>{html.escape(readable if limit is None else shortened(readable, limit))}</bdi>"


def safe_mark(text: str, limit: int = SHORT) -> str:
    """For Plotly text, which reads `<b>`, `<a>`, entities and `$…$`."""
    mark = html.escape(shortened(visible(text), limit), quote=False)
    return isolated(mark.replace("$", "&#36;").replace("%{", "%&#123;"))


def unique_labels(pairs: list[tuple[str, str]], limit: int = SHORT) -> dict[str, str]:
    """Id -> `title · id`: a selectbox takes equal labels for the same option, so the id is always part of it."""
    return {identity: f"{option(title, limit)} · {option(identity)}" for identity, title in pairs}
