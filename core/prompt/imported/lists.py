"""Which lists of titles does a question hold, and which of them is the history, which the candidates?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

ListRole = Literal["history", "candidates", "unknown"]

HISTORY_WORDS = re.compile(
    r"\b(?:lik(?:e|ed|es)|history|watch(?:ed)?|play(?:ed)?|read|bought|purchas\w*|enjoy\w*|interact\w*|listen\w*|rated|"
    r"view(?:ed)?|past|previous\w*|recent\w*|favou?rit\w*|preferences?|seen|loved?|visited|finished|chose|"
    r"verlauf|mochte\w*|gefiel\w*|gesehen|gelesen|gekauft|historique|aim[ée]\w*|vus?|lus?|historial|gust\w+|visto|"
    r"leído|histórico|gostou|assisti\w*|storia|piaciut\w+|история|понравил\w*|смотрел\w*)\b"
    r"|历史|喜欢|看过|观看|購入|履歴|好き|見た|기록|좋아",
    re.IGNORECASE,
)
"""Words for what a user did before, in several languages."""
CANDIDATE_WORDS = re.compile(
    r"\b(?:candidat\w*|options?|choices|choose from|select from|pick from|following (?:items|titles|movies|films|games|"
    r"books|songs|list)|rank(?:ing)?|kandidat\w*|auswahl|options?|opciones|opções|варианты|кандидаты)\b|候補|候选|選択肢|选项|후보",
    re.IGNORECASE,
)
"""Words for the list that the answer is chosen from."""
_MARK = re.compile(
    r"[ \t]*(?:(?P<mark>\(?(?:\d{1,3}|[A-Za-z])[.):]|\[\d{1,3}\]|[-*•·])[ \t]+)(?P<title>\S[^\n]*?)[ \t]*$",
    re.MULTILINE,
)
_QUOTES = "\"[^\"\n]+\"|“[^”\n]+”|«[^»\n]+»|「[^」\n]+」|『[^』\n]+』|《[^》\n]+》|'(?:[^'\n]|'(?=\\w))+'"
_BETWEEN = r"(?:[ \t]*[,;，、|→][ \t]*|[ \t]+(?:and|und|et|y|e|и)[ \t]+)"
_QUOTED = re.compile(rf"(?:{_QUOTES})(?:{_BETWEEN}(?:{_QUOTES}))+")
_ONE_QUOTE = re.compile(_QUOTES)
_STEM_LINE = re.compile(r"(?:^|(?<=[.!?]\s))[^\n:：]{2,60}[:：][ \t]*(?P<list>\S[^\n]*?)[ \t]*$", re.MULTILINE)
_SENTENCE = re.compile(
    r"\b(?:liked|watched|played|read|bought|enjoyed|loved|finished|seen|purchased)[ \t]+"
    r"(?P<list>[^\n.?!:]+(?:[.!?](?=\w)[^\n.?!]*)*)"
)
_BEHIND = re.compile(
    r"[ \t]*(?:[.!?](?:[ \t]|$).*|,[ \t]*(?:then|and then|went|would|next)\b.*"
    r"|[ \t]+(?:went on|and (?:then|next)|would)\b.*)"
)
_ARTICLE = re.compile(r"(?:the|an?|les?|la|l'|die|der|das|el|los|las|il)(?:[ \t]*\([^)]*\))?", re.IGNORECASE)
SEPARATORS = ("; ", " | ", " → ", " -> ", " > ", "、", "，", ", ")
"""Between the titles of one line, in the order of trial."""
LONGEST_TITLE = 200


class ListItem(NamedTuple):
    """A title of a list; `start` to `end` also holds its mark, and what stands between it and the next title."""

    start: int
    end: int
    title: str
    mark: str = ""
    """`1`, `B` and the like, where the list numbers its titles."""


@dataclass(frozen=True)
class ItemList:
    """A list of titles in a text."""

    items: tuple[ListItem, ...]
    role: ListRole

    @property
    def start(self) -> int:
        """Where its first title begins."""
        return self.items[0].start

    @property
    def end(self) -> int:
        """Behind its last title."""
        return self.items[-1].end


def history_of(text: str) -> ItemList | None:
    """The history in a question; None where there is none, or none that can be told from the candidates."""
    return next((titles for titles in lists_of(text) if titles.role == "history"), None)


def candidates_of(text: str) -> ItemList | None:
    """The candidate list in a question: the last one there."""
    return next((titles for titles in reversed(lists_of(text)) if titles.role == "candidates"), None)


def lists_of(text: str) -> list[ItemList]:
    """All lists of titles in a text, in order; of two that no word tells apart, the last is the candidates."""
    lists: list[ItemList] = []
    for find in FINDERS:
        for titles in find(text):
            if all(titles.end <= other.start or titles.start >= other.end for other in lists):
                lists.append(titles)
    lists.sort(key=lambda titles: titles.start)
    return _with_roles(lists)


def _with_roles(lists: Sequence[ItemList]) -> list[ItemList]:
    settled = {titles.role for titles in lists}
    roles: list[ListRole] = []
    for place, titles in enumerate(lists):
        is_last = place == len(lists) - 1 and place > 0
        guess: ListRole = "candidates" if is_last and "candidates" not in settled else "history"
        roles.append(titles.role if titles.role != "unknown" else guess)
    return [ItemList(titles.items, role) for titles, role in zip(lists, roles, strict=True)]


def _role(lead: str) -> ListRole:
    """What the words before a list say of it: the word nearest to the list decides."""
    history = [match.start() for match in HISTORY_WORDS.finditer(lead)]
    candidates = [match.start() for match in CANDIDATE_WORDS.finditer(lead)]
    if not history and not candidates:
        return "unknown"
    return "candidates" if max(candidates, default=-1) > max(history, default=-1) else "history"


def _lead(text: str, place: int) -> str:
    """The words before a list: its line and the last line with text before it."""
    lines = text[max(0, place - 400) : place].rstrip().split("\n")
    return "\n".join(lines[-1:])


def _marked_lists(text: str) -> Iterator[ItemList]:
    """Neighbouring lines with numbers, letters or bullets in front."""
    run: list[re.Match[str]] = []
    for match in _MARK.finditer(text):
        if run and (
            text[run[-1].end() : match.start()].strip("\r") != "\n" or not _goes_on(run[-1]["mark"], match["mark"])
        ):
            yield from _marked_run(text, run)
            run = []
        run.append(match)
    yield from _marked_run(text, run)


def _goes_on(before: str, after: str) -> bool:
    """Whether a mark follows another: the same bullet, the next number or letter."""
    old, new = before.strip("().:[]"), after.strip("().:[]")
    if old.isdecimal() and new.isdecimal():
        return int(new) == int(old) + 1
    return (len(old) == len(new) == 1 and ord(new) == ord(old) + 1) or before == after


def _marked_run(text: str, run: Sequence[re.Match[str]]) -> Iterator[ItemList]:
    if len(run) < 2 or any(len(match["title"]) > LONGEST_TITLE for match in run):
        return
    marks = [match["mark"].strip("().:[]-*•·") for match in run]
    starts = [match.start() for match in run]
    ends = [*starts[1:], run[-1].end()]
    items = (ListItem(*values) for values in zip(starts, ends, (match["title"] for match in run), marks, strict=True))
    role = _role(_lead(text, starts[0]))
    lettered = marks[0].upper() == "A" and len(marks) > 1
    yield ItemList(tuple(items), "candidates" if lettered and role == "unknown" else role)


def _quoted_lists(text: str) -> Iterator[ItemList]:
    """Titles in quotes, one after another."""
    for match in _QUOTED.finditer(text):
        quotes = list(_ONE_QUOTE.finditer(text, match.start(), match.end()))
        ends = [*(quote.start() for quote in quotes[1:]), match.end()]
        items = tuple(ListItem(quote.start(), end, quote[0][1:-1]) for quote, end in zip(quotes, ends, strict=True))
        yield ItemList(items, _role(_lead(text, match.start())))


def _line_lists(text: str) -> Iterator[ItemList]:
    """Titles behind a stem on one line, `Liked: A, B, C`."""
    for match in _STEM_LINE.finditer(text):
        lead = text[match.start() : match.start("list")]
        yield from _inline(text, match.start("list"), match.end("list"), _role(lead))


def _sentence_lists(text: str) -> Iterator[ItemList]:
    """Titles in a sentence, `The user liked A, B and C.`"""
    for match in _SENTENCE.finditer(text):
        yield from _inline(text, match.start("list"), match.end("list"), "history")


def _inline(text: str, start: int, end: int, role: ListRole) -> Iterator[ItemList]:
    behind = _BEHIND.search(text, start, end)
    end = behind.start() if behind else end
    separator = next((mark for mark in SEPARATORS if mark in text[start:end]), None)
    if separator is None or (separator == ", " and role == "unknown"):
        return
    items = _separated(text, start, end, separator)
    if len(items) > 1 and all(0 < len(item.title) <= LONGEST_TITLE for item in items):
        yield ItemList(tuple(items), role)


def _separated(text: str, start: int, end: int, separator: str) -> list[ListItem]:
    """The titles between separators; an article behind a comma belongs to the title before it."""
    places, place = [start], start
    while (place := text.find(separator, place, end)) >= 0:
        place += len(separator)
        piece = text[place:end].split(separator, 1)[0]
        if separator != ", " or not _ARTICLE.fullmatch(piece.strip()):
            places.append(place)
    items = []
    for first, last in zip(places, [*places[1:], end], strict=True):
        items.append(ListItem(first, last, text[first:last].removesuffix(separator).strip()))
    return items


FINDERS: tuple[Callable[[str], Iterator[ItemList]], ...] = (_marked_lists, _quoted_lists, _line_lists, _sentence_lists)
"""In this order; a later one finds nothing inside of what an earlier one found."""
