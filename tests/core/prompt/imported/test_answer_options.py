"""Which answers a prompt leaves to the model, by hand for each source."""

from __future__ import annotations

import pytest

from core.prompt.imported.answer_options import RIVALS, Options, option_of, options_of
from core.prompt.imported.calls import Call
from core.prompt.imported.segments import segments_of


def options(text: str, call: Call | None = None, **choices: object) -> Options | str:
    call = call or Call(text=text)
    segments = segments_of(Call(text=text))
    return options_of(call, segments.parts, segments.answers, **choices)  # type: ignore[arg-type]


def shots(*answers: str, end: str = "") -> str:
    return (
        "".join(f"Input: film {place}\nOutput: {text}\n\n" for place, text in enumerate(answers))
        + f"{end}Input: x\nOutput:"
    )


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (shots("Yes", "No", "Yes"), ("Yes", "No")),
        (shots("yes", "yes"), ("yes", "no")),
        (shots("No.", "No."), ("Yes.", "No.")),
        (shots("Ja", "Nein"), ("Ja", "Nein")),
        (shots("是", "否"), ("是", "否")),
        (shots("4", "2", "5"), ("1", "2", "3", "4", "5")),
        (shots("skip", "watch", "skip", "watch"), ("skip", "watch")),
        ("Answer yes/no. Next: x?", ("yes", "no")),
        ("Réponds par « oui » ou non. Answer with oui or non:", ("oui", "non")),
        ('Output "Yes" or "No": would x fit?', ("Yes", "No")),
    ],
)
def test_labels_come_from_the_demonstrations_or_the_words(text: str, labels: tuple[str, ...]) -> None:
    found = options(text)
    assert isinstance(found, Options)
    assert (found.texts, found.source) == (labels, "labels")


RANKING = "Watched:\n1. Tin Harbour\n2. Paper Moons\n\nCandidates:\n{list}\n\nAnswer:"


def test_candidates_are_the_list_behind_the_history() -> None:
    found = options(RANKING.format(list="1. Salt Parade\n2. Iron Lullaby\n3. Salt Parade"))
    assert isinstance(found, Options)
    assert (found.texts, found.source) == (("Salt Parade", "Iron Lullaby", "Salt Parade"), "candidates")
    assert found.notices == ("Two candidates have the same title; they are kept apart by their place.",)
    assert option_of("Iron Lullaby", found) == "2"
    assert option_of("3", found) == "3"
    assert option_of("Nobody", found) is None


def test_letters_are_the_options_where_demonstrations_answer_by_letter() -> None:
    block = "Example {n}\nWatched: a, b\nOptions:\nA. Salt Parade\nB. Iron Lullaby\nAnswer:{a}\n\n"
    text = block.format(n=1, a=" A") + block.format(n=2, a=" B") + block.format(n=3, a="").rstrip()
    found = options(text)
    assert isinstance(found, Options)
    assert (found.texts, found.source) == (("A", "B"), "candidates")
    assert option_of("Salt Parade", found) == "1"


def test_logged_options_come_first_and_named_labels_before_them() -> None:
    call = Call(text="Answer Yes or No.", options=("like", "dislike"))
    assert options("Answer Yes or No.", call) == Options(("like", "dislike"), "labels")
    assert options("Answer Yes or No.", call, labels=("a", "b")) == Options(("a", "b"), "labels")


def test_a_long_list_of_titles_is_drawn_with_the_answer_in_it() -> None:
    titles = [f"title {place}" for place in range(1_000)]
    call = Call(text="Next?", target="Title 7")
    found = options("Next?", call, titles=titles)
    assert isinstance(found, Options)
    assert found.texts[0] == "Title 7"
    assert len(found.texts) == RIVALS + 1
    assert set(found.texts[1:]) <= set(titles) - {"title 7"}
    assert options("Next?", call, titles=titles) == found
    assert options("Next?", call, titles=list(reversed(titles))) == found
    assert options("Next?", call, titles=titles[:3]) == Options(("title 0", "title 1", "title 2"), "titles")
    assert options("Next?", call, source="titles", titles=titles[:1]) == (
        "no titles (give --titles FILE with two or more)"
    )


def test_a_logged_answer_is_held_against_those_of_other_calls() -> None:
    call = Call(text="Next?", completion="Tin Harbour")
    found = options("Next?", call, others=("tin harbour", "Salt Parade", "Iron Lullaby"))
    assert isinstance(found, Options)
    assert (found.source, found.texts[0], set(found.texts[1:])) == (
        "completion",
        "Tin Harbour",
        {"Salt Parade", "Iron Lullaby"},
    )
    assert found.notices == ("The logged answer is held against 2 answers of other calls.",)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("labels", "no labels, neither in the demonstrations nor in the words of the prompt"),
        ("candidates", "no candidate list in the question"),
        ("completion", "no logged answer, or no answer of another call to hold it against"),
        ("auto", "no answer options (name labels with --options Yes,No, or give --titles FILE)"),
    ],
)
def test_a_prompt_without_options_says_why(source: str, reason: str) -> None:
    assert options("Next?", source=source) == reason
