"""Which answers does a prompt let the model choose from?"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, get_args

from core.prompt.imported.calls import Call
from core.prompt.imported.case_file import AnswerOption, CasePart, OptionsFrom
from core.prompt.imported.lists import candidates_of
from core.prompt.imported.titles_alike import normal
from core.words import brief

OptionSource = Literal["auto", "labels", "candidates", "titles", "completion"]
SOURCES: tuple[OptionSource, ...] = get_args(OptionSource)
MOST_OPTIONS = 200
MOST_LABELS = 10
RIVALS = 19
"""Most answers of other calls, or titles of a long list, that an answer is held against."""
LONGEST_LABEL = 40

LABEL_SETS: tuple[tuple[str, ...], ...] = (
    *(("Yes", "No"), ("True", "False"), ("Like", "Dislike"), ("Liked", "Disliked"), ("Positive", "Negative")),
    *(("Relevant", "Irrelevant"), ("1", "0"), ("Ja", "Nein"), ("Oui", "Non"), ("Sí", "No"), ("Sim", "Não")),
    *(("Sì", "No"), ("Да", "Нет"), ("Tak", "Nie"), ("はい", "いいえ"), ("是", "否"), ("예", "아니요"), ("نعم", "لا")),
)
"""Labels that come together."""
_OR = r"[\"'”]?[ \t]*(?:/|,|\||or|oder|ou|o|или|или же|または|或|أو|또는)[ \t]*[\"'“]?"
_IN_WORDS = tuple(
    (pair, re.compile(rf"(?<!\w){pair[0]}{_OR}{pair[1]}(?!\w)", re.IGNORECASE)) for pair in LABEL_SETS if pair[0] != "1"
)


class Options(NamedTuple):
    """The answer options of a prompt."""

    texts: tuple[str, ...]
    source: OptionsFrom
    notices: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    """What the candidate list calls its titles, where answers may use it."""


def options_of(
    call: Call,
    parts: Sequence[CasePart],
    answers: Sequence[str],
    *,
    source: OptionSource = "auto",
    labels: Sequence[str] = (),
    titles: Sequence[str] = (),
    others: Sequence[str] = (),
) -> Options | str:
    """The options of a call, or why it has none.

    `answers` are those of the demonstrations, `labels` and `titles` what a person hands in, `others` the answers of
    other calls. Without a choice the first of these that gives two answers is taken: what was handed in, options in the
    log, labels, the candidate list, the logged completion.
    """
    if labels:
        return Options(tuple(labels), "labels")
    if source == "titles" or (source == "auto" and titles):
        return _titled(call, titles)
    for name in ("labels", "candidates", "completion") if source == "auto" else (source,):
        options = _from(name, call, parts, answers, others)
        if options is not None:
            return options
    return _REASONS[source]


def _from(
    name: str, call: Call, parts: Sequence[CasePart], answers: Sequence[str], others: Sequence[str]
) -> Options | None:
    if name == "labels":
        return _logged(call) or _labels(call, parts, answers)
    return _candidates(parts, answers) if name == "candidates" else _completions(call, others)


_REASONS: dict[str, str] = {
    "auto": "no answer options (name labels with --options Yes,No, or give --titles FILE)",
    "labels": "no labels, neither in the demonstrations nor in the words of the prompt",
    "candidates": "no candidate list in the question",
    "titles": "no titles (give --titles FILE with two or more)",
    "completion": "no logged answer, or no answer of another call to hold it against",
}


def _logged(call: Call) -> Options | None:
    return Options(_unique(call.options), "labels") if len(_unique(call.options)) > 1 else None


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.strip() for text in texts if text.strip()))[:MOST_OPTIONS]


def _labels(call: Call, parts: Sequence[CasePart], answers: Sequence[str]) -> Options | None:
    """Labels of the demonstrations, completed by their partner; else those that the prompt's words name."""
    seen = _unique(answers)
    if not seen:
        return _named_labels(call, parts)
    if any(len(answer) > LONGEST_LABEL for answer in seen):
        return None
    plain = {_plain(text) for text in seen}
    family = next((family for family in LABEL_SETS if plain <= set(map(_plain, family))), None)
    if family is not None:
        return Options(_completed(seen, family), "labels")
    if plain <= set("12345"):
        return Options(tuple("12345"), "labels")
    return Options(seen, "labels") if 1 < len(seen) <= MOST_LABELS and 2 * len(seen) <= len(answers) else None


def _named_labels(call: Call, parts: Sequence[CasePart]) -> Options | None:
    """The labels in words such as `Answer Yes or No`, where the logged answers are among them."""
    words = "".join(part.text for part in parts if part.kind != "demo")
    logged = {_plain(text) for text in (call.target, call.completion) if text}
    for family, pattern in _IN_WORDS:
        if (match := pattern.search(words)) and logged <= set(map(_plain, family)):
            return Options(_cased(family, match[0]), "labels")
    return None


def _plain(text: str) -> str:
    return text.strip().rstrip(".。!").casefold()


def _completed(seen: Sequence[str], family: Sequence[str]) -> tuple[str, ...]:
    """The family in the form of the labels that were seen: `Yes.` and `No.`, `yes` and `no`."""
    first = seen[0]
    end = first[len(first.rstrip(".。!")) :]
    lower = first.islower()
    by_name = {_plain(text): text for text in seen}
    return tuple(by_name.get(_plain(text), (text.lower() if lower else text) + end) for text in family)


def _cased(family: Sequence[str], words: str) -> tuple[str, ...]:
    """The labels as the prompt writes them."""
    match = (re.search(re.escape(label), words, re.IGNORECASE) for label in family)
    return tuple(match[0] if match else label for match, label in zip(match, family, strict=True))


def _candidates(parts: Sequence[CasePart], answers: Sequence[str]) -> Options | None:
    """The titles of the candidate list in the question; its letters or numbers where the demonstrations answer so."""
    question = "".join(part.text for part in parts if part.kind in ("query", "history"))
    match = candidates_of(question) or candidates_of("".join(part.text for part in parts if part.kind != "demo"))
    if match is None:
        return None
    titles = [item.title for item in match.items]
    marks = [item.mark for item in match.items]
    if answers and all(re.fullmatch(r"\(?(?:[A-Z]|\d{1,3})\)?\.?", answer) for answer in answers) and all(marks):
        return Options(tuple(marks[:MOST_OPTIONS]), "candidates", marks=tuple(titles[:MOST_OPTIONS]))
    notice: tuple[str, ...] = ()
    if len({normal(title) for title in titles}) < len(titles):
        notice = ("Two candidates have the same title; they are kept apart by their place.",)
    return Options(tuple(titles[:MOST_OPTIONS]), "candidates", notice, marks=tuple(marks[:MOST_OPTIONS]))


def _titled(call: Call, titles: Sequence[str]) -> Options | str:
    titles = _unique(titles) if len(titles) <= MOST_OPTIONS else tuple(titles)
    answer = call.target or call.completion
    if len(titles) < 2:
        return _REASONS["titles"]
    if len(titles) <= MOST_OPTIONS:
        return Options(titles, "titles")
    chosen = _drawn(call, answer, titles)
    notice = f"{len(chosen)} of {len(titles):,} titles, drawn by the prompt's own words, are the options."
    return Options(chosen, "titles", (notice,))


def _completions(call: Call, others: Sequence[str]) -> Options | None:
    answer = (call.completion or call.target or "").strip()
    logged = [text for text in (call.target or "", answer) if text.strip()]
    rivals = [text for text in others if normal(text) not in map(normal, logged)]
    if not answer or not rivals:
        return None
    chosen = _drawn(call, None, rivals)
    notice = f"The logged answer is held against {brief_count(len(chosen))} of other calls."
    return Options(_unique([*logged, *chosen]), "completion", (notice,))


def brief_count(count: int) -> str:
    """`1 answer`, `19 answers`."""
    return "1 answer" if count == 1 else f"{count} answers"


def _drawn(call: Call, answer: str | None, texts: Sequence[str]) -> tuple[str, ...]:
    """The own answer and `RIVALS` of the texts, the same for the same prompt."""
    whole = call.text or "\0".join(turn.text for turn in call.messages)
    seed = hashlib.sha256(whole.encode()).digest()
    ordered = sorted(set(texts), key=lambda text: hashlib.sha256(seed + text.encode()).digest())
    rivals = [text for text in ordered if answer is None or normal(text) != normal(answer)][:RIVALS]
    return tuple(([answer] if answer else []) + rivals)


def answer_options(options: Options) -> tuple[AnswerOption, ...]:
    """The options with ids: their number from 1, as a text."""
    return tuple(AnswerOption(option_id=str(place), text=text) for place, text in enumerate(options.texts, 1))


def option_of(answer: str | None, options: Options) -> str | None:
    """The id of the option that a logged answer means: by its words, else by its letter or number in the list."""
    if answer is None or not answer.strip():
        return None
    for texts in (options.texts, options.marks):
        places = [place for place, text in enumerate(texts, 1) if _same(text, answer)]
        if places:
            return str(places[0])
    return None


def _same(text: str, answer: str) -> bool:
    return text.strip() == answer.strip() or _plain(text) == _plain(answer) or normal(text) == normal(answer) != ""


def quoted_answer(answer: str) -> str:
    """An answer in a notice."""
    return brief(answer.strip())
