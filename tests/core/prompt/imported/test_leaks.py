"""The leak check names prompts in which the true answer already stands, and nothing in those where it does not."""

from __future__ import annotations

import pytest
from prompt_cases import text_case

from core.prompt.imported.case_file import AnswerOption, CasePart, PromptCase
from core.prompt.imported.leaks import ABSENT, PlaceCount, findings_of
from core.prompt.imported.titles_alike import normal, times_in

TITLES = tuple(AnswerOption(option_id=str(n), text=title) for n, title in enumerate(("Salt Parade", "Iron Lullaby"), 1))


def titled(*parts: tuple[str, str], target: str | None = "1", **changes: object) -> PromptCase:
    numbers = {"demo": 0, "history": 0}
    built = []
    for kind, text in parts:
        numbers[kind] = numbers.get(kind, 0) + 1
        number = numbers[kind] if kind in ("demo", "history") else None
        built.append(CasePart(kind=kind, text=text, number=number))  # type: ignore[arg-type]
    values = {"parts": tuple(built), "options": TITLES, "options_from": "candidates", "target": target} | changes
    return text_case(**values)


CLEAN = ("query", "Next of:\n1. Salt Parade\n2. Iron Lullaby\nAnswer:")


def kinds(case: PromptCase) -> list[str]:
    return [finding.kind for finding in findings_of(case)]


def test_a_clean_case_has_no_finding() -> None:
    assert kinds(titled(("history", "Tin Harbour"), CLEAN)) == []
    assert kinds(text_case()) == []


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        ([("history", "salt  parade (1999), "), CLEAN], "answer_in_history"),
        ([("pinned", "Fans of Salt Parade write:\n"), CLEAN], "answer_in_pinned"),
        ([("demo", "Liked: Salt Parade\n"), CLEAN], "answer_in_demo"),
        (
            [("query", "She wants Salt Parade.\nCandidates:\n1. Salt Parade\n2. Iron Lullaby\nAnswer:")],
            "answer_in_question",
        ),
        ([("query", "Candidates:\n1. Salt Parade\n2. Iron Lullaby\nAnswer: Salt Parade")], "answer_at_end"),
        ([("demo", f"{CLEAN[1]} Iron Lullaby\n"), CLEAN], "demo_is_query"),
    ],
)
def test_an_answer_in_the_prompt_is_named(parts: list[tuple[str, str]], kind: str) -> None:
    assert kind in kinds(titled(*parts))
    assert all(finding.leak for finding in findings_of(titled(*parts)))


def test_a_last_message_with_the_answer_is_named() -> None:
    parts = (
        CasePart(kind="query", text="Next?", message=0, role="user"),
        CasePart(kind="query", text="Salt Parade.", message=1, role="assistant"),
    )
    assert "answer_at_end" in kinds(titled(target="1", parts=parts))


def test_short_and_common_words_are_no_titles_to_look_for() -> None:
    short = (AnswerOption(option_id="1", text="Up"), AnswerOption(option_id="2", text="Yes"))
    for target in ("1", "2"):
        assert kinds(titled(("history", "Grow Up, Yes Man"), ("query", "Next:"), options=short, target=target)) == []


def test_an_absent_answer_and_equal_options_are_no_leaks_but_named() -> None:
    notice = f"{ABSENT}: 'X'."
    assert kinds(titled(CLEAN, target=None, notices=(notice,))) == ["answer_absent"]
    twice = (*TITLES, AnswerOption(option_id="3", text="salt parade"))
    assert kinds(titled(CLEAN, options=twice, target="2")) == ["equal_options"]
    assert not any(finding.leak for finding in findings_of(titled(CLEAN, options=twice, target="2")))


def test_one_place_and_one_label_are_named_from_ten_cases_on() -> None:
    places, mixed = PlaceCount(), PlaceCount()
    for count in range(10):
        assert list(places.findings()) == []
        places.add(titled(CLEAN))
        mixed.add(titled(CLEAN, target="12"[count % 2]))
    (finding,) = places.findings()
    assert finding.sentence == "The true answer is candidate 1 in all 10 cases: the lists were not shuffled."
    assert list(mixed.findings()) == []
    labels = PlaceCount()
    for _ in range(10):
        labels.add(text_case())
    assert [finding.kind for finding in labels.findings()] == ["one_label"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Matrix, The (1999)", "the  matrix"),
        ("Tom &amp; Jerry", "tom & jerry"),
        ('"Alien"', "alien."),
        ("Les Vus", "vus, les"),
    ],
)
def test_titles_are_the_same_after_case_year_and_article(first: str, second: str) -> None:
    assert normal(first) == normal(second)


def test_titles_are_counted_as_whole_words() -> None:
    assert times_in("Alien", "Aliens, alien and ALIEN") == 2
    assert times_in("Matrix, The (1999)", "Matrix, The (1999); the matrix") == 1
    assert times_in("a.b", "axb") == 0
