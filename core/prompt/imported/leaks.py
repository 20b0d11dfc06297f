"""Does the true answer already stand in the prompt, outside of the candidate list?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from core.prompt.imported.case_file import PromptCase, messages_of, text_of
from core.prompt.imported.lists import lists_of
from core.prompt.imported.titles_alike import is_telling, normal, times_in
from core.words import brief, counted

PLACES_FROM = 10
"""Cases from which on the place of the true answer among the candidates is judged."""


@dataclass(frozen=True)
class LeakFinding:
    """Something of a case or file that makes its scores mean less than they seem."""

    kind: str
    """Name of a row of `CHECKS`, or of a finding about the whole file."""
    sentence: str
    leak: bool
    """Whether the true answer stands in the prompt."""


@dataclass(frozen=True)
class LeakCheck:
    """One thing that is looked for in a case with a true answer."""

    name: str
    words: str
    """For the screen."""
    leak: bool
    find: Callable[[PromptCase, str], str | None]
    """A sentence for a case and the text of its true answer; None where all is well."""


def findings_of(case: PromptCase) -> list[LeakFinding]:
    """What the checks say of one case; without a true answer only what needs none."""
    target = next((option.text for option in case.options if option.option_id == case.target), None)
    rows = [row for row in CHECKS if target is not None or row.name in WITHOUT_TARGET]
    sentences = ((row, row.find(case, target or "")) for row in rows)
    return [LeakFinding(row.name, sentence, row.leak) for row, sentence in sentences if sentence]


def _kind_text(case: PromptCase, *kinds: str) -> str:
    return "".join(part.text for part in case.parts if part.kind in kinds)


def _at_end(case: PromptCase, target: str) -> str | None:
    messages = messages_of(case)
    last = (messages[-1].text if messages else text_of(case)).rstrip()
    written = normal(last.rsplit("\n", 1)[-1].rpartition(":")[2]) == normal(target) != ""
    if (messages and messages[-1].role == "assistant" and normal(last) == normal(target)) or written:
        return f"The prompt ends with the true answer {brief(target)}."
    return None


def _in_history(case: PromptCase, target: str) -> str | None:
    count = times_in(target, _kind_text(case, "history")) if is_telling(target) else 0
    return f"The true answer {brief(target)} stands in the history, {counted(count, 'time')}." if count else None


def _in_question(case: PromptCase, target: str) -> str | None:
    """The target in the question, outside of the candidate list."""
    if not is_telling(target) or case.options_from == "labels":
        return None
    count = times_in(target, _kind_text(case, "query")) - _times_listed(case, target)
    return f"The true answer {brief(target)} also stands in the question itself." if count > 0 else None


def _times_listed(case: PromptCase, target: str) -> int:
    """How often the target stands in candidate lists of the question: lists with that name, or with two options."""
    options = {normal(option.text) for option in case.options}
    count = 0
    for titles in lists_of(_kind_text(case, "query", "history")):
        listed = [normal(item.title) for item in titles.items]
        if titles.role == "candidates" or len(options.intersection(listed)) > 1:
            count += listed.count(normal(target))
    return count


def _in_pinned(case: PromptCase, target: str) -> str | None:
    count = times_in(target, _kind_text(case, "pinned")) if is_telling(target) else 0
    return f"The true answer {brief(target)} stands in the pinned text." if count else None


def _in_demo(case: PromptCase, target: str) -> str | None:
    count = times_in(target, _kind_text(case, "demo")) if is_telling(target) else 0
    return f"The true answer {brief(target)} stands in the demonstrations, {counted(count, 'time')}." if count else None


def _demo_is_query(case: PromptCase, _: str) -> str | None:
    """A demonstration that asks what the query asks."""
    question = normal(_kind_text(case, "query", "history")).rstrip(":->= ")
    demos: dict[int | None, str] = {}
    for part in case.parts:
        if part.kind == "demo":
            demos[part.number] = demos.get(part.number, "") + part.text
    same = [number for number, text in demos.items() if len(question) > 20 and normal(text).startswith(question)]
    return f"Demonstration {same[0]} asks the same as the query." if same else None


def _absent(case: PromptCase, _: str) -> str | None:
    return None if case.target is not None else next((n for n in case.notices if n.startswith(ABSENT)), None)


ABSENT = "The true answer is none of the options"


def _equal_options(case: PromptCase, _: str) -> str | None:
    repeated = [text for text, count in Counter(normal(option.text) for option in case.options).items() if count > 1]
    return f"Two options are the same title, {brief(repeated[0])}." if repeated else None


CHECKS = (
    LeakCheck("answer_at_end", "the prompt ends with the true answer", True, _at_end),
    LeakCheck("answer_in_history", "the true answer stands in the history", True, _in_history),
    LeakCheck(
        "answer_in_question", "the true answer stands in the question, outside of the candidates", True, _in_question
    ),
    LeakCheck("answer_in_pinned", "the true answer stands in the pinned text", True, _in_pinned),
    LeakCheck("answer_in_demo", "the true answer stands in a demonstration", True, _in_demo),
    LeakCheck("demo_is_query", "a demonstration asks what the query asks", True, _demo_is_query),
    LeakCheck("answer_absent", "the true answer is none of the options", False, _absent),
    LeakCheck("equal_options", "two options are the same title", False, _equal_options),
)
"""What is looked for; a new check is a function and a row."""
WITHOUT_TARGET = frozenset({"demo_is_query", "answer_absent", "equal_options"})


class PlaceCount:
    """Where the true answers stand among the candidates of a file."""

    def __init__(self) -> None:
        self._places: Counter[int] = Counter()
        self._labels: Counter[str] = Counter()

    def add(self, case: PromptCase) -> None:
        """Count a case with a true answer."""
        ids = [option.option_id for option in case.options]
        if case.target is None:
            return
        if case.options_from == "candidates":
            self._places[ids.index(case.target) + 1] += 1
        elif case.options_from == "labels":
            self._labels[case.options[ids.index(case.target)].text] += 1

    def findings(self) -> Iterable[LeakFinding]:
        """A true answer that always has one place, or one label."""
        cases = sum(self._places.values())
        if cases >= PLACES_FROM and len(self._places) == 1:
            place = next(iter(self._places))
            sentence = f"The true answer is candidate {place} in all {cases:,} cases: the lists were not shuffled."
            yield LeakFinding("same_place", sentence, True)
        labels = sum(self._labels.values())
        if labels >= PLACES_FROM and len(self._labels) == 1:
            sentence = f"The true answer is {brief(next(iter(self._labels)))} in all {labels:,} cases."
            yield LeakFinding("one_label", sentence, False)
