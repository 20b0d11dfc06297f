"""Words on every page: each term is explained where it is used, and no raw name, id or time is read."""

from __future__ import annotations

import pytest
import screens
from streamlit.testing.v1 import AppTest

from app.glossary import TERMS, terms_in

PAGES = ("explore", "theory", "robustness", "improve", "personalise")


def unexplained(page: AppTest) -> list[str]:
    """The terms that the texts of a page use and none of its popovers explains."""
    texts = [*screens.sentences(page), *screens.alternatives(page), *screens.chart_words(page)]
    texts += [heading for headings, _ in screens.tables(page) for heading in headings.values()]
    return [term.name for term in terms_in(texts) if term.name not in screens.explained(page)]


@pytest.mark.parametrize("name", PAGES)
def test_every_term_that_a_page_uses_is_explained_on_it(open_page, name: str) -> None:
    page, _ = open_page(name, run=name != "explore")
    assert not unexplained(page)
    assert not unexplained(screens.show_tables(page))


@pytest.mark.parametrize("name", PAGES[1:])
def test_what_a_page_says_before_its_first_run_is_explained(open_page, name: str) -> None:
    page, _ = open_page(name)
    assert not unexplained(page)


def test_the_side_bar_explains_every_term(open_page) -> None:
    page, _ = open_page("theory")
    glossary = next(element.proto.body for element in page.sidebar.get("html") if "dl-terms" in element.proto.body)
    assert glossary.count("<dt>") == len(TERMS)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a relative residual of 1e-7", ["relative residual"]),
        ("the residual, +0.10 nats", ["nats", "residual"]),
        ("LDS 0.97 over 24 ablations", ["LDS", "ablation"]),
        ("Kendall's tau of two lists", ["tau"]),
        ("dW<sub>1</sub> is one gradient step", ["dW"]),
        ("J and the letter j", ["J"]),
        ("Zero-shot and FEW-SHOT ranking", ["zero-shot", "few-shot"]),
        ("<em>The Target (1985)</em> was liked", []),
        ("a passing shot; scored, targeted, placeholder", []),
        ("Z_T/Z of this head, p = 0.02", ["p", "head", "Z_T/Z"]),
    ],
)
def test_terms_are_found_as_whole_words_the_longest_first(text: str, names: list[str]) -> None:
    assert [term.name for term in terms_in([text])] == names


def test_no_spelling_stands_for_two_terms_and_every_meaning_is_one_to_three_sentences() -> None:
    spellings = [spelling for term in TERMS for spelling in term.written]
    assert len(spellings) == len(set(spellings))
    for term in TERMS:
        assert 1 <= term.meaning.count(". ") + 1 <= 3, term.name
        assert term.meaning.endswith("."), term.name
        assert [found.name for found in terms_in(term.written)] == [term.name]
