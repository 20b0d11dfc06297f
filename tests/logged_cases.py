"""Small imported cases, as text and as a chat: for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.prompt.imported.case_file import AnswerOption, CaseOrigin, CasePart, PromptCase, write_cases

INSTRUCTION = "Answer Yes or No."
TURNS = (
    ('Liked: "Tin Harbour". Next: "Glass Orchard"?', "Yes"),
    ('Liked: "Iron Lullaby". Next: "Salt Parade"?', "No"),
    ('Liked: "Paper Moons". Next: "Quiet Ox"?', "Yes"),
)
"""What the demonstrations say and answer."""
YES_NO = (("yes", "Yes"), ("no", "No"))
TITLES = (("a", "Small Thunder"), ("b", "Glass Orchard"), ("c", "Alien"))


def part(kind: str, text: str, number: int | None = None, message: int | None = None, role: Any = None) -> CasePart:
    return CasePart(kind=kind, text=text, number=number, message=message, role=role)  # type: ignore[arg-type]


def case(case_id: str, parts: Sequence[CasePart], **more: Any) -> PromptCase:
    """A case with these parts, Yes and No as options where nothing else is said."""
    usual: dict[str, Any] = {"options_from": "labels", "target": "yes", "answer_cue": True, "cuts_from": "hand"}
    options = more.pop("options", YES_NO)
    return PromptCase(
        case_id=case_id,
        parts=tuple(parts),
        options=tuple(AnswerOption(option_id=option, text=text) for option, text in options),
        origin=CaseOrigin(file="calls.jsonl", line=1, format="text", call_id=None),
        **usual | more,
    )


def text_demo(number: int) -> str:
    words, answer = TURNS[number - 1]
    return f"Example {number}:\nInput: {words}\nOutput: {answer}"


def text_case(case_id: str = "text", demos: int = 3, **more: Any) -> PromptCase:
    """A prompt in one text, whose query has two history items."""
    numbers = range(1, demos + 1)
    shown = [piece for n in numbers for piece in (part("demo", text_demo(n), n), part("pinned", "\n\n"))]
    query = [
        part("query", "Now:\nInput: Liked: "),
        part("history", '"Blue Kettle", ', 1),
        part("history", '"North Lamp"', 2),
        part("query", '. Next: "Small Thunder"?\nOutput:'),
    ]
    return case(case_id, [part("pinned", INSTRUCTION + "\n\n"), *shown, *query], **more)


def messages(demos: int = 3, system: bool = True) -> list[dict[str, str]]:
    """The messages of `chat_case`."""
    pairs = [(("user", words), ("assistant", answer)) for words, answer in TURNS[:demos]]
    turns = [("system", INSTRUCTION)] * system + [turn for pair in pairs for turn in pair]
    last = ("user", 'Liked: "Blue Kettle". Next: "Small Thunder"?')
    return [{"role": role, "content": words} for role, words in (*turns, last)]


def chat_case(case_id: str = "chat", demos: int = 3, system: bool = True, **more: Any) -> PromptCase:
    """A chat with an instruction and a pair of turns for each demonstration."""
    kinds: list[tuple[str, int | None]] = [("pinned", None)] * system
    kinds += [("demo", n) for n in range(1, demos + 1) for _ in range(2)] + [("query", None)]
    rows = zip(kinds, messages(demos, system), strict=True)
    parts = [
        part(kind, turn["content"], number, place, turn["role"]) for place, ((kind, number), turn) in enumerate(rows)
    ]
    return case(case_id, parts, **more)


def case_file(folder: Path, *cases: PromptCase, name: str = "cases.jsonl") -> Path:
    path = folder / name
    write_cases(path, cases)
    return path
