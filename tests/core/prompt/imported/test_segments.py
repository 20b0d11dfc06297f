"""Whatever a prompt says, its parts are its text again; the demonstrations are those that a reader would mark."""

from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_cases import TEXTS

from bench.own.cut_corpus import corpus
from core.prompt.imported.calls import Call, FormatPart
from core.prompt.imported.case_file import Message, numbered
from core.prompt.imported.segments import TALK, segments_of

WORDS = st.sampled_from(
    (
        *("Example 1:", "Input:", "Output:", "Answer: Yes", "Q: a", "A: b", "### Instruction:", "### Response:"),
        *("<example>", "</example>", "User:", "- ", "1. x", "2. y", "a -> b", "Liked: a, b, c", '"a", "b"', "---"),
        *("[[ ## x ## ]]", "<|im_start|>user", "**b**:", "# h", "  ", "{x}", "{% for %}", "é：", "\r"),
    )
)
PROMPTS = st.lists(st.one_of(WORDS, TEXTS, st.just("\n"), st.just("\n\n")), min_size=1, max_size=25).map("".join)
ROLES = st.sampled_from(["system", "user", "assistant"])


@given(text=PROMPTS)
def test_parts_of_a_text_are_the_text(text: str) -> None:
    segments = segments_of(Call(text=text))
    assert "".join(part.text for part in segments.parts) == text
    assert all(part.text for part in segments.parts)
    assert numbered(segments.parts) == segments.parts


@given(turns=st.lists(st.tuples(ROLES, PROMPTS), min_size=1, max_size=7))
def test_parts_of_a_chat_are_its_messages(turns: list[tuple[str, str]]) -> None:
    messages = tuple(Message(role, text) for role, text in turns)  # type: ignore[arg-type]
    segments = segments_of(Call(messages=messages))
    by_message = groupby(segments.parts, key=lambda part: (part.message, part.role))
    rebuilt = [(place, role, "".join(part.text for part in parts)) for (place, role), parts in by_message]
    assert rebuilt == [(place, turn.role, turn.text) for place, turn in enumerate(messages)]
    assert numbered(segments.parts) == segments.parts


@pytest.mark.parametrize("prompt", corpus()[::9], ids=lambda prompt: prompt.name)
def test_prompts_of_the_corpus_stay_whole(prompt: object) -> None:
    text, messages = prompt.text, prompt.messages  # type: ignore[attr-defined]
    segments = segments_of(Call(text=text, messages=messages))
    assert "".join(part.text for part in segments.parts) == (text or "".join(turn.text for turn in messages))


def demos(text: str) -> list[str]:
    return [part.text for part in segments_of(Call(text=text)).parts if part.kind == "demo"]


def history(text: str) -> list[str]:
    return [part.text for part in segments_of(Call(text=text)).parts if part.kind == "history"]


def test_the_numbered_query_is_no_demonstration() -> None:
    text = "Rules.\n\n#Example 1:\nIn: a\nOut: Yes\n\n#Example 2:\nIn: b\nOut: No\n\n#Example 3:\nIn: c\nOut:"
    segments = segments_of(Call(text=text))
    assert [(part.kind, part.text) for part in segments.parts] == [
        ("pinned", "Rules.\n\n"),
        ("demo", "#Example 1:\nIn: a\nOut: Yes\n\n"),
        ("demo", "#Example 2:\nIn: b\nOut: No\n\n"),
        ("query", "#Example 3:\nIn: c\nOut:"),
    ]
    assert (segments.cutter, segments.answers, segments.answer_cue) == ("stems", ("Yes", "No"), True)
    assert segments.runner_up is not None


def test_a_single_demonstration_is_cut() -> None:
    text = "Input: a\nOutput: Yes\n\nInput: b\nOutput:"
    assert demos(text) == ["Input: a\nOutput: Yes\n\n"]


def test_two_hundred_demonstrations_are_cut() -> None:
    shots = [f"Input: title {n}\nOutput: {'Yes' if n % 3 else 'No'}\n\n" for n in range(200)]
    assert demos("Rules.\n\n" + "".join(shots) + "Input: last\nOutput:") == shots


@pytest.mark.parametrize(
    "text",
    [
        "User liked these:\nUser 1: Rise\nUser 2: Fall\nWhat is next?",
        "Watch Case 39: a film. Would the user like it? Yes or No?",
        "I've watched these in order:\n1. Tin Harbour\n2. Paper Moons\n\nNow rank:\n1. Salt Parade\n2. Iron Lullaby",
        "Pick a title for someone who liked Tin Harbour and then chose Paper Moons.",
    ],
)
def test_prompts_without_demonstrations_have_none(text: str) -> None:
    assert demos(text) == []


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ('Liked: "A B", "C, D" and "E". Next: "F"?', ['"A B", ', '"C, D" and ', '"E"']),
        ("History: A; B, The; C\nNext:", ["A; ", "B, The; ", "C"]),
        ("History: Paper Moons, The (1990), Alien\nNext:", ["Paper Moons, The (1990), ", "Alien"]),
        ("Watched:\n1. A\n2. B\n3. C\nNext:", ["1. A\n", "2. B\n", "3. C"]),
        ("Watched:\n- A\n- B\n\nNext:", ["- A\n", "- B"]),
        ("History: ['A', \"B's\"]\nNext:", ["'A', ", '"B\'s"']),
        ("The user liked A, B and C.", ["A, ", "B and C"]),
        ("Verlauf: A, B\nAntwort:", ["A, ", "B"]),
        ("历史：A、B、C\n答案：", ["A、", "B、", "C"]),
        ("Liked: A → B → C\nNext:", ["A → ", "B → ", "C"]),
        ("Candidates:\nA. x\nB. y\nAnswer:", []),
        ("Nothing here.", []),
    ],
)
def test_history_items_are_found_in_the_question(text: str, items: list[str]) -> None:
    assert history(text) == items


def test_a_conversation_is_said_to_be_one() -> None:
    turns = ("user", "Hello there, who are you?"), ("assistant", "I am a very long answer " * 5), ("user", "Why?")
    segments = segments_of(Call(messages=tuple(Message(*turn) for turn in turns)))  # type: ignore[arg-type]
    assert segments.notices == (TALK,)


def test_a_table_and_lines_with_stems_inside_are_cut() -> None:
    head = "| history | answer |\n|---|---|\n"
    assert demos(head + "| a | Yes |\n| b | No |\n| c |") == ["| a | Yes |\n", "| b | No |\n"]
    assert demos(head + "| a | Yes |\n| b | No |\n") == []
    lines = [f'{{"history": "x, y, {n}", "answer": "{a}"}}\n' for n, a in ((1, "Yes"), (2, "No"))]
    segments = segments_of(Call(text="".join(lines) + '{"history": "z", "answer": "'))
    assert [part.text for part in segments.parts if part.kind == "demo"] == lines
    assert segments.answers == ("Yes", "No")


def test_a_turn_with_all_examples_is_cut_itself() -> None:
    turns = (
        ("user", "Input: a\nOutput: Yes\n\nInput: b\nOutput: No"),
        ("assistant", "Understood."),
        ("user", "Input: c"),
    )
    segments = segments_of(Call(messages=tuple(Message(*turn) for turn in turns)))  # type: ignore[arg-type]
    assert [(part.kind, part.message) for part in segments.parts] == [
        ("demo", 0),
        ("demo", 0),
        ("pinned", 1),
        ("query", 2),
    ]


def test_cuts_of_the_format_are_taken() -> None:
    parts = (FormatPart("pinned", "P "), FormatPart("demo", "D ", 1), FormatPart("query", "Liked: A; B"))
    segments = segments_of(Call(text="P D Liked: A; B", format_parts=parts))
    assert [(part.kind, part.text) for part in segments.parts] == [
        ("pinned", "P "),
        ("demo", "D "),
        ("query", "Liked: "),
        ("history", "A; "),
        ("history", "B"),
    ]
    assert segments.cutter == "format"


def test_a_hostile_prompt_is_cut_in_bounded_time() -> None:
    for text in ("Input: " * 20_000, "<a>" * 20_000, '"a", ' * 20_000, "a: b\n" * 20_000, "Liked: " + "a, " * 20_000):
        segments = segments_of(Call(text=text))
        assert "".join(part.text for part in segments.parts) == text
