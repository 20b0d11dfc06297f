"""What a search chooses from and judges by where the case stands in a file of finished prompts.

Sets are judged by the true answers of other cases of the file: each is asked in its own words, with the set in place of
its demonstrations. The case's own true answer has no part in that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

import numpy as np

from core.analysis.setting import Setting
from core.data.records import Case, Demonstration, Turn
from core.data.similarity import bm25
from core.errors import DataError, PromptError, RequestError
from core.metrics.intervals import Floats
from core.prompt.imported.case_file import PromptCase
from core.prompt.imported.imported_cases import ImportedCases, fits
from core.prompt.imported.titles_alike import normal
from core.prompt.logged import words_of
from core.seeds import generator
from core.selection.heldout import LEAST, HeldOut
from core.selection.improve_task import HeldOutRow, ImproveTask
from core.selection.members import Member, distinct
from core.selection.objectives import OBJECTIVES
from core.words import counted

MOST_READ = 2_000
"""Other cases that are read, those nearest in the file first, to find some that can judge."""
LEAST_QUESTION = 20
"""Letters from which on a demonstration that begins as a question does asks the same."""
TURN_TOKENS = 8
"""Tokens that a chat template writes around a message, at most."""
MOST_SHARE = 0.5
"""Largest share of the room for demonstrations that one of them may take."""
_WORD = re.compile(r"\w+")
_END = ":->= "


@dataclass(frozen=True)
class _Judging:
    """Another case of the file that judges sets."""

    held: HeldOut
    own: tuple[Demonstration, ...]
    question: str

    def shows(self, demo: Demonstration) -> bool:
        """Whether its prompt can hold a demonstration, and that does not ask the same."""
        return fits(demo, self.held.case, self.own) and not _asks(demo, self.question)


class FileMaterial:
    """A case of a case file: other cases judge, and their demonstrations can be shown."""

    has_both_answers = False

    def __init__(self, task: ImproveTask, setting: Setting, cases: ImportedCases) -> None:
        self.task, self.setting, self.cases, self.case = task, setting, cases, setting.case
        self._question = question_of(cases.logged(setting.case.user_id))
        if task.judged_by.both_answers:
            others = " or ".join(row.name for row in OBJECTIVES.values() if not row.both_answers)
            problem = f"the objective {task.judged_by.name} for a case from a file"
            raise RequestError(problem, expected=f"the objective {others}")

    # ---- the choices that judge

    def held_out(self) -> tuple[HeldOut, ...]:
        """The nearest cases of the file with a true answer whose prompts take these demonstrations, in its order."""
        return tuple(judging.held for judging in self._judging)

    @cached_property
    def _judging(self) -> tuple[_Judging, ...]:
        most, rows, questions = self.task.held_out + self.task.confirm, list[_Judging](), {self._question}
        for place, case_id in self._others():
            row = self._judging_case(place, self.cases.logged(case_id))
            if row is not None and row.question not in questions:
                questions.add(row.question)
                rows.append(row)
            if len(rows) == most:
                break
        return tuple(sorted(rows, key=lambda row: row.held.position))

    def _others(self) -> Iterator[tuple[int, str]]:
        """Places and ids of the other cases, the nearest in the file first."""
        ids = self.cases.case_ids
        here = ids.index(self.case.user_id)
        near = sorted(range(len(ids)), key=lambda place: (abs(place - here), place))
        return ((place, ids[place]) for place in near[1 : MOST_READ + 1])

    def _judging_case(self, place: int, logged: PromptCase) -> _Judging | None:
        """A case as a choice that judges; None where it cannot."""
        assert self.case.logged is not None
        if logged.target is None:
            return None
        case = _answer_first(self.cases.case_of(logged, seed=self.task.case.seed))
        assert case.logged is not None
        if case.logged.titles != self.case.logged.titles:
            return None
        held = HeldOut(case, place, True, _shortened(case))
        row = _Judging(held, self.cases.demonstrations(logged.case_id), question_of(logged))
        shown = self.setting.demos or self._demos[:1]
        return row if all(row.shows(demo) for demo in shown) and self._length(case, self.setting.demos) else None

    def _length(self, case: Case, demos: tuple[Demonstration, ...] = ()) -> int:
        """Tokens of a prompt; 0 where it is too long for the model."""
        try:
            return self.setting.write(case, demos).length
        except PromptError:
            return 0

    def held_row(self, held: HeldOut) -> HeldOutRow:
        """A held-out choice as the report has it."""
        assert held.case.logged is not None
        item_id, title = held.case.logged.options[0]
        case_id = held.case.user_id
        return HeldOutRow(
            item_id=item_id, title=title, answer=None, position=held.position, timestamp=None, case_id=case_id
        )

    # ---- the demonstrations that sets can hold

    @cached_property
    def _demos(self) -> tuple[Demonstration, ...]:
        """The case's own demonstrations as logged, then those of other cases; none that asks what the case asks or is
        much too long."""
        logged = self.cases.demonstrations(self.case.user_id)
        everything = [*logged, *self.cases.pool(self.case, self.task.pool)]
        room = self._context - self._length(self.case)
        fitting = [demo for demo in everything if self._tokens(demo) <= MOST_SHARE * room]
        return tuple(demo for demo in fitting if not _asks(demo, self._question))

    @property
    def _context(self) -> int:
        return self.setting.model.context

    def _tokens(self, demo: Demonstration) -> int:
        """About how many tokens a demonstration takes, rather too many."""
        turns = sum(isinstance(piece, Turn) for piece in demo.pieces)
        ids, _ = self.setting.model.tokenizer.encode(words_of(demo.pieces))
        return len(ids) + TURN_TOKENS * turns + 1

    @cached_property
    def most(self) -> int:
        """As many as the task says, as far as every set of so many fits into the model's context."""
        cases = [self.case, *(row.held.case for row in self._judging)]
        room = self._context - max(self._length(case) for case in cases)
        longest = sorted((self._tokens(demo) for demo in self._demos), reverse=True)
        fitting = sum(total <= room for total in accumulate(longest))
        return self.task.k if fitting == len(longest) else max(1, min(self.task.k, fitting))

    def _member(self, demo: Demonstration) -> Member:
        return Member(demo, tuple(demo if row.shows(demo) else None for row in self._judging))

    def current(self, _held: Sequence[HeldOut]) -> tuple[Member, ...]:
        """The case's own demonstrations, or those named by hand."""
        return tuple(self._member(demo) for demo in self.setting.demos)

    def named(self, _held: Sequence[HeldOut], ids: Sequence[str]) -> tuple[Member, ...]:
        """The demonstrations with these ids; see `ImportedCases.demonstrations_by_ids`."""
        return tuple(self._member(demo) for demo in self.cases.demonstrations_by_ids(ids, self.case))

    def pool(self, _held: Sequence[HeldOut], taken: Sequence[Member]) -> tuple[Member, ...]:
        """All that are not taken. Raises `DataError` where no prompt of the file has a demonstration."""
        names = {member.interaction for member in taken}
        pool = [member for member in map(self._member, self._demos) if member.interaction not in names]
        if not pool and not taken:
            problem = "no prompt of the case file has a demonstration that fits this case"
            raise DataError(problem, expected="a pool with at least one demonstration")
        return tuple(pool)

    def starts(self, _held: Sequence[HeldOut]) -> list[tuple[Member, ...]]:
        """The nearest by words, as many as a set holds and half of them, the nearest last; its own turned round."""
        nearness = self.criteria(self._demos)["bm25"]
        nearest = [self._demos[place] for place in np.argsort(-nearness, kind="stable")]
        sets = [nearest[: self.most][::-1], nearest[: max(1, self.most // 2)][::-1], self.setting.demos[::-1]]
        return [distinct(self._member(demo) for demo in demos)[-self.most :] for demos in sets if demos]

    def words(self, demos: Sequence[Demonstration]) -> list[list[str]]:
        """Of the text of each, without the words that all of them hold."""
        documents = [_WORD.findall(words_of(demo.pieces).casefold()) for demo in demos]
        everywhere = set.intersection(*map(set, documents)) if len(documents) > 1 else set()
        return [[word for word in document if word not in everywhere] or document for document in documents]

    def criteria(self, demos: Sequence[Demonstration]) -> dict[str, Floats]:
        """BM25 of each demonstration's words for those of the question."""
        return {"bm25": bm25(self.words(demos), _WORD.findall(self._question)) if demos else np.zeros(0)}

    # ---- what a reader should know

    @property
    def notices(self) -> tuple[str, ...]:
        """How sets are judged, and what is left out; one sentence each."""
        count, read = len(self._judging), min(MOST_READ, len(self.cases.case_ids) - 1)
        judges = f"{count} of {counted(read, 'other case')} can judge"
        if count == self.task.held_out + self.task.confirm:
            judges = f"the {counted(count, 'case')} nearest in it that can judge"
        sentences = [f"Sets are judged by the true answers of other cases of the file, not of this case: {judges}."]
        if self.most < self.task.k:
            why = f"more may not fit the model's context of {self._context} tokens"
            sentences.append(f"A set holds at most {counted(self.most, 'demonstration')}: {why}.")
        if count < LEAST:
            sentences.append(
                f"At least {LEAST} are needed to judge sets, each with a true answer among its options and a prompt of"
                " this style; demonstrations are ordered by what needs no true answer."
            )
        return tuple(sentences)


def question_of(logged: PromptCase) -> str:
    """What a case asks, in the form that texts are compared in."""
    return normal("".join(part.text for part in logged.parts if part.kind in ("query", "history"))).rstrip(_END)


def _asks(demo: Demonstration, question: str) -> bool:
    """Whether a demonstration holds a question, and so perhaps its true answer."""
    return len(question) > LEAST_QUESTION and question in normal(words_of(demo.pieces))


def _answer_first(case: Case) -> Case:
    """The case with its true answer as first candidate."""
    assert case.logged is not None
    options = tuple(sorted(case.logged.options, key=lambda option: option[0] != case.target))
    logged = replace(case.logged, options=options)
    return replace(case, candidates=tuple(item for item, _ in options), logged=logged)


def _shortened(case: Case) -> Case:
    """The case without one item of its history, drawn at random; as it is where that has fewer than two."""
    if len(case.history) < 2:
        return case
    gone = int(generator(case.dataset_id, case.user_id, "shortened history", case.seed).integers(len(case.history)))
    return replace(case, history=(*case.history[:gone], *case.history[gone + 1 :]))
