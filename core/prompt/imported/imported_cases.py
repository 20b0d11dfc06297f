"""The cases of a case file as the nouns of every question: case, demonstrations, items.

Options are candidates, history items are interactions, and demonstration N of a case is `case id:dN`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path, PurePath
from typing import BinaryIO, NamedTuple

from core.data.folders import LONGEST_PATH
from core.data.reading.streams import label, readable_name
from core.data.records import Case, Demonstration, Interaction, Item, LoggedPrompt, Piece, Role, Turn
from core.errors import DataError, RequestError
from core.prompt.imported.case_file import LONGEST_CASE, PromptCase, case_of_line
from core.prompt.imported.sections import all_words, history_id, sections_of
from core.prompt.logged import words_of
from core.store.home import home_path, room, write_atomically
from core.store.names import form_fault
from core.store.sealed import regular, state_of
from core.words import brief, counted

STORED = "cases"
"""The folder in the home of case files that a page has taken in, each under the hash of its content."""
HASH = re.compile("[0-9a-f]{16}")
"""First 16 hex digits of the SHA-256 of a case file: its name there."""
LABELS = "labels"
"""Where the options of a case are labels such as Yes and No, and no titles."""
_DEMO = re.compile("d([1-9][0-9]{0,5})")
MOST_STORED = 100_000_000
"""Bytes of a case file that is copied into the home."""
MOST_POOLED = 10_000
"""Cases of a file whose demonstrations are read for a pool; 10,000 take some seconds."""
MOST_OPEN = 4
"""Indexes of case files that are kept."""


class _Line(NamedTuple):
    number: int
    offset: int


class ImportedCases:
    """One case file, asked for one case at a time; safe to share between threads.

    Only the places of the cases stay in memory. Raises `DataError` for a file that is no case file, for an unknown id,
    and where the file has changed since it was opened.
    """

    notices: tuple[str, ...] = ()
    noun = "option"
    """What a candidate is called."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, label(path)
        """Of the file; of one that a page has taken in, the name of the log that its first case was read from."""
        self._lines, digest = _index(path)
        self.dataset_id = digest[:16]
        """First 16 hex digits of the SHA-256 of the file."""
        if path.stem == self.dataset_id:
            self.name = brief_name(self.logged(self.case_ids[0]).origin.file)

    @property
    def case_ids(self) -> tuple[str, ...]:
        """The ids of all cases, in the order of the file."""
        return tuple(self._lines)

    def line_of(self, case_id: str) -> int:
        """The number of the line of that case, from 1."""
        return self._place(case_id).number

    def _place(self, case_id: str) -> _Line:
        line = self._lines.get(case_id)
        if line is None:
            expected = f"one of its {counted(len(self._lines), 'case')}, such as {brief(next(iter(self._lines)))}"
            raise DataError(f"case {brief(case_id)} is not in {self.name}", expected=expected)
        return line

    def logged(self, case_id: str) -> PromptCase:
        """The case with that id as the file has it."""
        line = self._place(case_id)
        with _readable(self.path) as file:
            file.seek(line.offset)
            text = file.readline(LONGEST_CASE + 1)
        case = _checked(text, f"{self.name}, line {line.number}")
        if case.case_id != case_id:
            raise DataError("the file changed while it was read", expected="one that stays as it is", where=self.name)
        return case

    def case(self, case_id: str, *, seed: int = 0) -> Case:
        """The case with that id; its history are the marked items, oldest first as the log has them."""
        return self.case_of(self.logged(case_id), seed=seed)

    def case_of(self, logged: PromptCase, *, seed: int = 0) -> Case:
        """The same of a case that was read."""
        opening, _, closing = sections_of(logged)
        numbers = sorted({part.number for part in logged.parts if part.kind == "history" and part.number is not None})
        return Case(
            dataset_id=self.dataset_id,
            user_id=logged.case_id,
            split="last",
            history=tuple(Interaction(history_id(logged.case_id, number), number - 1) for number in numbers),
            candidates=tuple(option.option_id for option in logged.options),
            target=logged.target,
            moment=None,
            seed=seed,
            logged=LoggedPrompt(
                opening=opening,
                closing=closing,
                options=tuple((option.option_id, option.text) for option in logged.options),
                titles=logged.options_from != LABELS,
                answer_cue=logged.answer_cue,
            ),
        )

    def demonstrations(self, case_id: str) -> tuple[Demonstration, ...]:
        """The demonstrations of the case with that id, in the order of its prompt."""
        return demonstrations_of(self.logged(case_id))

    def demonstrations_by_ids(self, ids: Sequence[str], like: Case) -> tuple[Demonstration, ...]:
        """The demonstrations named `case id:dN`, in this order; any case of the file has some.

        Raises `RequestError` for an id of another form, one that comes twice, and one that cannot stand in the prompt
        of the case `like`: chat messages in plain text, or the reverse.
        """
        own = self.demonstrations(like.user_id)
        demos: dict[str, Demonstration] = {}
        for demo_id in ids:
            if demo_id in demos:
                raise RequestError(f"demonstration {brief(demo_id)} is given twice", expected="each once")
            demos[demo_id] = self._demonstration(demo_id)
            if not fits(demos[demo_id], like, own):
                expected = "one whose messages begin and end as those of this prompt do"
                raise RequestError(f"demonstration {brief(demo_id)} is of another style", expected=expected)
        return tuple(demos.values())

    def pool(self, case: Case, most: int) -> list[Demonstration]:
        """At most `most` demonstrations of other cases that fit the prompt of `case`, in the order of the file.

        The first `MOST_POOLED` cases are read. Each text comes once, and none that the case itself shows.
        """
        own = self.demonstrations(case.user_id)
        pool: dict[str, Demonstration] = {}
        shown = {words_of(demo.pieces).strip() for demo in own}
        for case_id in islice(self._lines, MOST_POOLED):
            for demo in self.demonstrations(case_id) if case_id != case.user_id else ():
                text = words_of(demo.pieces).strip()
                if text not in shown and fits(demo, case, own):
                    pool.setdefault(text, demo)
            if len(pool) >= most:
                break
        return list(pool.values())[:most]

    def _demonstration(self, demo_id: str) -> Demonstration:
        case_id, colon, name = demo_id.rpartition(":")
        match = _DEMO.fullmatch(name)
        if not colon or match is None:
            raise RequestError(f"demonstration {brief(demo_id)}", expected="case id:dN, such as call-17:d1")
        demos, number = self.demonstrations(case_id), int(match[1])
        if number > len(demos):
            expected = f"d1 to d{len(demos)}" if demos else "a case with demonstrations"
            raise DataError(f"demonstration {brief(demo_id)} does not exist", expected=expected)
        return demos[number - 1]

    def items(self, case: Case, demos: Sequence[Demonstration]) -> dict[str, Item]:
        """What the case's options, history and demonstrations are called: their text on one line."""
        assert case.logged is not None
        words = [*all_words(case.logged.opening), *all_words(case.logged.closing)]
        words += [piece for demo in demos for piece in all_words(demo.pieces)]
        history = {row.item_id: "" for row in case.history}
        for piece in words:
            if piece.item_id in history:
                history[piece.item_id] += piece.text
        texts = {demo.item_id: words_of(demo.pieces) for demo in demos} | history | dict(case.logged.options)
        return {item_id: Item(item_id, " ".join(text.split())) for item_id, text in texts.items()}

    def is_rated(self, _interaction: Interaction) -> bool:
        """An item of a logged history is taken as it stands."""
        return True

    def liked(self, _interaction: Interaction) -> bool:
        """All items of a logged history stand in the prompt."""
        return True

    def close(self) -> None:
        """Nothing is held open."""


def brief_name(name: str) -> str:
    """The name of a file without the folders that may stand before it."""
    return readable_name(PurePath(name).name) or "case file"


def case_file_at(name: str) -> Path:
    """The case file of that name: a path, or the hash of one that a page has taken in.

    Raises `DataError` for a name of a form that is not looked up.
    """
    if fault := form_fault(name, longest=LONGEST_PATH):
        raise DataError(f"case file {brief(name)}", expected=f"the path of a case file, not a name {fault}")
    return _stored(name) if is_stored(name) else Path(name).expanduser()


def is_stored(name: str) -> bool:
    """Whether that is the hash of a case file that a page has taken in."""
    return bool(HASH.fullmatch(name)) and _stored(name).is_file()


def _stored(name: str) -> Path:
    return home_path() / STORED / f"{name}.jsonl"


def taken_in(name: str) -> str:
    """The name of a case file that stays what it is: the hash of its content, under which the home then has it.

    A file above `MOST_STORED` bytes keeps its own name. Raises `DataError` for what is no case file, `MaterialError`
    where it cannot be stored.
    """
    cases = open_cases(name)
    stored = _stored(cases.dataset_id)
    with _readable(cases.path) as file:
        content = file.read(MOST_STORED + 1)
    if len(content) > MOST_STORED:
        return name
    if hashlib.sha256(content).hexdigest()[: len(cases.dataset_id)] != cases.dataset_id:
        raise DataError("the file changed while it was read", expected="one that stays as it is", where=cases.name)
    if not stored.is_file():
        write_atomically(room(STORED) / stored.name, content)
    return cases.dataset_id


def open_cases(name: str) -> ImportedCases:
    """The cases of the case file of that name, indexed once for each state of the file. Raises `DataError`."""
    path = case_file_at(name)
    try:
        state = state_of(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    return _opened(path, state)


@lru_cache(maxsize=MOST_OPEN)
def _opened(path: Path, _state: tuple[int, ...]) -> ImportedCases:
    return ImportedCases(path)


def demonstrations_of(logged: PromptCase) -> tuple[Demonstration, ...]:
    """The demonstrations of a case, in the order of its prompt; text between two of them belongs to the first."""
    _, demos, _ = sections_of(logged)
    return tuple(
        Demonstration(
            demo_id=(demo_id := f"{logged.case_id}:d{number}"),
            user_id=logged.case_id,
            position=number,
            history=(),
            item_id=demo_id,
            liked=True,
            source="manual",
            pieces=pieces,
        )
        for number, pieces in enumerate(demos, start=1)
    )


def fits(demo: Demonstration, case: Case, own: Sequence[Demonstration]) -> bool:
    """Whether a demonstration can stand in the prompt of a case, as far as messages go.

    Where the case has demonstrations of its `own`, it must have messages as one of them has. Else plain text fits plain
    text, and in a chat what follows the demonstration must begin as itself does, with a message of its first role.
    """
    if own:
        return _messages(demo.pieces) in {_messages(other.pieces) for other in own}
    assert case.logged is not None
    first, *turns = _messages(demo.pieces)
    behind = all_words(case.logged.closing)
    if not case.logged.chat:
        return first is None and not turns
    return bool(turns) and bool(behind) and turns[-1] == first == behind[0].role


def _messages(pieces: Sequence[Piece]) -> tuple[Role | None, ...]:
    """The role of the first words and of each message that begins behind them."""
    words = all_words(pieces)
    return (words[0].role if words else None, *(piece.role for piece in pieces if isinstance(piece, Turn)))


# ---- the file


def _index(path: Path) -> tuple[dict[str, _Line], str]:
    """The place of each case, in the order of the file, and the SHA-256 of the file."""
    places: dict[str, _Line] = {}
    digest, name = hashlib.sha256(), label(path)
    with _readable(path) as file:
        for line, text in _raw_lines(file, name):
            digest.update(text)
            if not text.strip():
                continue
            case_id = _checked(text, f"{name}, line {line.number}").case_id
            if case_id in places:
                problem = f"case id {brief(case_id)} also stands in line {places[case_id].number}"
                raise DataError(problem, expected="each id once", where=f"{name}, line {line.number}")
            places[case_id] = line
    if not places:
        raise DataError("no case", expected="a case file: JSON lines, each one case", where=name)
    return places, digest.hexdigest()


def _raw_lines(file: BinaryIO, name: str) -> Iterator[tuple[_Line, bytes]]:
    number = offset = 0
    while text := file.readline(LONGEST_CASE + 1):
        number += 1
        if len(text) > LONGEST_CASE:
            problem = f"a line of more than {LONGEST_CASE // 1_000_000} MB"
            raise DataError(problem, expected="one case a line", where=f"{name}, line {number}")
        yield _Line(number, offset), text
        offset += len(text)


def _checked(text: bytes, where: str) -> PromptCase:
    return case_of_line(text.removeprefix(b"\xef\xbb\xbf"), where)


def _readable(path: Path) -> BinaryIO:
    try:
        return regular(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = getattr(error, "strerror", None) or type(error).__name__
    return DataError(f"cannot be read: {reason.lower()}", expected="the path of a case file", where=label(path))
