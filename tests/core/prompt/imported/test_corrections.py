"""Whatever a hand does to the cuts, the prompt stays the same, character by character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_cases import CASES, chat_case, text_case

from core.errors import RequestError
from core.prompt.imported.case_file import CasePart, PromptCase, messages_of, numbered, text_of
from core.prompt.imported.corrections import join_parts, set_kind, set_options, set_target, split_part

MOVES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(0, 9), st.booleans()), max_size=8)
KINDS = ("pinned", "demo", "history", "query")


@given(case=CASES, moves=MOVES)
def test_every_correction_keeps_the_text_and_the_numbering(
    case: PromptCase, moves: list[tuple[int, int, int, bool]]
) -> None:
    changed = case
    for move, place, detail, flag in moves:
        try:
            if move == 0:
                changed = set_kind(changed, place, KINDS[detail % 4], with_previous=flag)  # type: ignore[arg-type]
            elif move == 1:
                changed = split_part(changed, place, detail)
            else:
                changed = join_parts(changed, place)
        except RequestError:
            continue
        assert changed.cuts_from == "hand"
    assert (text_of(changed), messages_of(changed)) == (text_of(case), messages_of(case))
    assert numbered(changed.parts) == changed.parts
    assert PromptCase.model_validate_json(changed.model_dump_json()) == changed


def shape(case: PromptCase) -> list[tuple[str, int | None]]:
    return [(part.kind, part.number) for part in case.parts]


def test_a_kind_is_set_and_demonstrations_are_numbered_anew() -> None:
    case = set_kind(text_case(), 1, "pinned")
    assert shape(case)[:3] == [("pinned", None), ("pinned", None), ("demo", 1)]
    case = set_kind(case, 0, "demo")
    assert shape(case)[:3] == [("demo", 1), ("pinned", None), ("demo", 2)]
    case = set_kind(case, 1, "demo", with_previous=True)
    assert shape(case)[:3] == [("demo", 1), ("demo", 1), ("demo", 2)]


def test_a_part_is_split_and_joined_again() -> None:
    case = split_part(text_case(), 1, 5)
    assert [part.text for part in case.parts[1:3]] == ["Liked", ": Tin Harbour. Next: Paper Moons? Yes\n"]
    assert shape(case)[1:4] == [("demo", 1), ("demo", 1), ("demo", 2)]
    assert shape(set_kind(case, 2, "demo"))[1:4] == [("demo", 1), ("demo", 2), ("demo", 3)]
    assert join_parts(case, 1).parts == text_case().parts


def test_turns_of_a_chat_become_one_demonstration() -> None:
    case = set_kind(set_kind(chat_case(), 1, "query"), 2, "query")
    assert case.demo_count == 0
    case = join_parts(set_kind(case, 1, "demo"), 1)
    assert case.parts == chat_case().parts


@pytest.mark.parametrize(
    ("correct", "sentence"),
    [
        (lambda case: set_kind(case, 7, "demo"), "part 8 of a case with 7 parts"),
        (lambda case: set_kind(case, -1, "demo"), "part 0 of a case with 7 parts"),
        (lambda case: set_kind(case, 0, "demo", with_previous=True), "no demo before part 1"),
        (lambda case: set_kind(case, 3, "history", with_previous=True), "no history before part 4"),
        (lambda case: split_part(case, 0, 0), "split: character 0 of a part of 18 characters"),
        (lambda case: split_part(case, 0, 18), "expected a place inside of it"),
        (lambda case: join_parts(case, 6), "part 8 of a case with 7 parts"),
    ],
)
def test_what_cannot_be_corrected_is_one_sentence(correct: object, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        correct(text_case())  # type: ignore[operator]


RANKED = (
    "Watched:\n1. Tin Harbour\n2. Paper Moons\n\nCandidates:\n1. Salt Parade\n2. Iron Lullaby\n3. Quiet Ox\n\nAnswer:"
)


def ranked_case(**changes: object) -> PromptCase:
    return text_case(**{"parts": (CasePart(kind="query", text=RANKED),), "completion": "Quiet Ox"} | changes)


def texts(case: PromptCase) -> list[str]:
    return [option.text for option in case.options]


def test_options_are_taken_from_the_candidate_list_or_written_by_hand() -> None:
    case = set_options(ranked_case(), "candidates")
    assert (texts(case), case.options_from, case.target) == (
        ["Salt Parade", "Iron Lullaby", "Quiet Ox"],
        "candidates",
        None,
    )
    case = set_options(set_target(case, "2"), "titles", titles=("Quiet Ox", "Iron Lullaby"))
    assert (texts(case), case.options_from, case.target) == (["Quiet Ox", "Iron Lullaby"], "titles", "2")
    assert texts(set_options(case, "labels", labels=("ja", "nein"))) == ["ja", "nein"]
    case = set_options(case, "completion", others=("Alien", "quiet ox"))
    assert texts(case) == ["Iron Lullaby", "Quiet Ox", "Alien"]


def test_labels_come_from_the_answers_of_the_demonstrations() -> None:
    by_hand = set_options(chat_case(), "labels", labels=("x", "y"))
    assert texts(set_options(by_hand, "labels")) == ["Yes", "No"]
    shot = "Input: film\nOutput: {}\n\n"
    parts = tuple(
        CasePart(kind="demo", text=shot.format(answer), number=number) for number, answer in ((1, "ja"), (2, "nein"))
    )
    case = text_case(parts=(*parts, CasePart(kind="query", text="Input: x\nOutput:")))
    assert texts(set_options(case, "labels")) == ["ja", "nein"]


def test_options_that_cannot_be_had_are_one_sentence() -> None:
    with pytest.raises(RequestError, match="no candidate list"):
        set_options(chat_case(), "candidates")
    with pytest.raises(RequestError, match="two or more"):
        set_options(chat_case(), "titles", titles=("one",))
    with pytest.raises(RequestError, match="expected the id of an option"):
        set_target(text_case(), "9")
    assert set_target(text_case(), None).target is None
