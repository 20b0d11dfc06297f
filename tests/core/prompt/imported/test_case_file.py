"""A case file gives back what was written, and says where a line is no case."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_cases import CASES, YES_NO, chat_case, parts_of, text_case
from pydantic import ValidationError

from core.errors import DataError
from core.prompt.imported import case_file
from core.prompt.imported.case_file import (
    AnswerOption,
    CasePart,
    Message,
    PromptCase,
    case_hash,
    messages_of,
    numbered,
    read_cases,
    text_of,
    write_cases,
)


def test_text_and_messages_are_those_of_the_parts() -> None:
    assert text_of(text_case()) == (
        "Answer Yes or No.\nLiked: Tin Harbour. Next: Paper Moons? Yes\nLiked: Salt Parade. Next: Paper Moons? No\n"
        "Liked: Blue Kettle, North Lamp. Next: Small Thunder?"
    )
    assert messages_of(text_case()) == ()
    assert not text_case().chat
    assert messages_of(chat_case()) == (
        Message("system", "Answer Yes or No."),
        Message("user", "Next: Paper Moons?"),
        Message("assistant", "Yes"),
        Message("user", "Liked: Blue Kettle. Next: Small Thunder?"),
    )
    assert chat_case().chat
    assert (text_case().demo_count, chat_case().demo_count) == (2, 1)


@given(cases=st.lists(CASES, min_size=1, max_size=3, unique_by=lambda case: case.case_id))
def test_what_is_written_is_read(cases: list[PromptCase], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("cases") / "cases.jsonl"
    assert write_cases(path, cases) == len(cases)
    assert list(read_cases(path)) == cases
    lines = path.read_bytes().split(b"\n")
    assert [json.loads(line)["case_file"] for line in lines[:-1]] == [1] * len(cases)


@given(case=CASES)
def test_the_hash_is_of_what_scores_rest_on(case: PromptCase) -> None:
    assert re.fullmatch(r"[0-9a-f]{16}", case_hash(case))
    same = case.model_copy(update={"case_id": "other", "notices": ("said",), "completion": "x", "cuts_from": "hand"})
    assert case_hash(same) == case_hash(case)
    last = case.parts[-1]
    changed = (*case.parts[:-1], last.model_copy(update={"text": last.text + "x"}))
    assert case_hash(case.model_copy(update={"parts": changed})) != case_hash(case)
    assert case_hash(case.model_copy(update={"answer_cue": not case.answer_cue})) != case_hash(case)


def test_the_hash_is_the_same_in_every_version() -> None:
    assert case_hash(text_case()) == "2d060cfb231b90cc"


@given(parts=parts_of())
def test_numbers_are_counted_from_one_and_numbering_again_changes_nothing(parts: tuple[CasePart, ...]) -> None:
    for kind in ("demo", "history"):
        numbers = [part.number for part in parts if part.kind == kind]
        assert sorted(set(numbers)) == list(range(1, len(set(numbers)) + 1))
    assert numbered(parts) == parts


def part(kind: str = "query", text: str = "x", **values: Any) -> CasePart:
    return CasePart(kind=kind, text=text, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"parts": ()}, "at least 1"),
        ({"options": YES_NO[:1]}, "at least 2"),
        ({"options": (YES_NO[0], AnswerOption(option_id="yes", text="No"))}, "each option id once"),
        ({"target": "maybe"}, "target to be an option id"),
        ({"parts": (part(text=""),)}, "text in each part"),
        ({"parts": (part("demo"),)}, "a number for each demo"),
        ({"parts": (part(number=1),)}, "a number for each demo"),
        ({"parts": (part("demo", number=2),)}, "numbered from 1"),
        ({"parts": (part("demo", number=1), part(), part("demo", number=1))}, "numbered from 1"),
        ({"parts": (part(message=0),)}, "both or neither"),
        ({"parts": (part(message=0, role="user"), part())}, "of all parts or of none"),
        ({"parts": (part(message=1, role="user"),)}, "from 0 in order"),
        ({"parts": (part(message=0, role="user"), part(message=2, role="user"))}, "from 0 in order"),
        ({"parts": (part(message=0, role="user"), part(message=0, role="system"))}, "one role in each message"),
        ({"parts": (part(message=0, role="user"), part(text="", message=0, role="user"))}, "text in each part"),
        ({"case_id": ""}, "at least 1 character"),
    ],
)
def test_what_does_not_fit_is_no_case(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        text_case(**changes)


def test_an_empty_message_has_an_empty_part() -> None:
    parts = (part(text="", message=0, role="system"), part(message=1, role="user"))
    assert messages_of(text_case(parts=parts)) == (Message("system", ""), Message("user", "x"))


GOOD = text_case().model_dump_json()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"messages": []}', "is not a case; expected a line that `demolens cases import` writes"),
        (GOOD[:-9], "not JSON, or cut short; expected one case a line"),
        (GOOD.replace('"case_file":1', '"case_file":2'), "case_file is '2'; expected 1"),
        (GOOD.replace('"pinned"', '"fixed"'), "parts.0.kind is 'fixed'; expected 'pinned', 'demo', 'history' or "),
        (GOOD.replace('"answer_cue":false,', ""), "answer_cue is missing"),
        (GOOD.replace('"target":"yes"', '"target":"si"'), "the case is not consistent; expected target to be an"),
        (GOOD.replace("Tin Harbour", "\\ud800"), "not JSON, or cut short"),
        ('{"case_file":1,"parts":' + "[" * 10_000 + "]" * 10_000 + "}", "not JSON, or cut short"),
        (GOOD, "case id 'case-1' also stands in line 1; expected each id once"),
        ("\xff", "is not a case"),
    ],
)
def test_a_line_that_is_no_case_is_one_sentence_with_file_and_line(tmp_path: Path, line: str, sentence: str) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode() + b"\n\n" + line.encode("latin-1") + b"\n")
    cases = read_cases(path)
    assert next(cases) == text_case()
    with pytest.raises(DataError, match=re.escape(sentence)) as error:
        next(cases)
    assert error.value.where == "cases.jsonl, line 3"


def test_a_long_line_is_refused_before_it_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_file, "LONGEST_CASE", 1_000)
    path = tmp_path / "cases.jsonl"
    path.write_bytes(b"x" * 2_000)
    with pytest.raises(DataError, match="line 1: a line of more than 0 MB"):
        list(read_cases(path))


def test_an_empty_file_and_a_missing_file_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_bytes(b"\n")
    with pytest.raises(DataError, match=r"empty\.jsonl: no case; expected a case file"):
        list(read_cases(tmp_path / "empty.jsonl"))
    with pytest.raises(DataError, match=r"none\.jsonl: cannot be read: no such file"):
        list(read_cases(tmp_path / "none.jsonl"))


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    write_cases(path, [text_case()])

    def broken() -> Iterator[PromptCase]:
        yield chat_case()
        raise DataError("the log ends here")

    with pytest.raises(DataError, match="ends here"):
        write_cases(path, broken())
    with pytest.raises(DataError, match="'case-1' comes twice"):
        write_cases(path, [chat_case(), text_case()])
    assert list(read_cases(path)) == [text_case()]
    assert [file.name for file in tmp_path.iterdir()] == ["cases.jsonl"]
