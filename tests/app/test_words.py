"""Words on every page: each term is explained where it is used, and no raw name, id or time is read."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
import screens
from streamlit.testing.v1 import AppTest

from app.glossary import TERMS, terms_in
from app.pages.explore.depth import DEPTHS

PAGES = ("explore", "theory", "robustness", "improve", "personalise")


def unexplained(page: AppTest) -> list[str]:
    """The terms that the texts of a page use and none of its popovers explains."""
    texts = [*screens.sentences(page), *screens.alternatives(page), *screens.chart_words(page)]
    texts += [heading for headings, _ in screens.tables(page) for heading in headings.values()]
    return [term.name for term in terms_in(texts) if term.name not in screens.explained(page)]


@pytest.mark.parametrize("name", [*PAGES[1:], "data"])
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


RAW = {
    "a name of a field": r"(?<![\w-])[a-z0-9]+(?:_[a-z0-9]+)+(?![\w-])",
    "Unix seconds": r"(?<![\w.,-])\d{9,10}(?:\.\d+)?(?![\w,-])",
    "thousands of milliseconds": r"\d{4,} ms",
    "a value of the program": r"(?<![\w-])(?:nan|NaN|inf)(?![\w-])|(?<=[a-z] )None(?![\w-])",
    "a number with its exponent": r"\d[eE][+-]\d\d",
}
BUTTONS = {
    "robustness of explore": ("start-robustness",),
    "quality of explore": ("start-quality", "start-utility"),
    "theory": ("start-updates",),
}
VIEWS = {f"{row.name} of explore": row.name for row in DEPTHS}
"""The tabs of Explore, each of which is a screen of its own."""


def complete(open_page, name: str) -> tuple[AppTest, set[str]]:
    """A screen with everything that it can show, and the ids of all demonstrations in its reports."""
    in_tab = {} if name not in VIEWS else {"view": VIEWS[name]}
    page, desk = open_page("explore" if in_tab else name, run=not in_tab, **in_tab)
    for key in BUTTONS.get(name, ()):
        page = page.button(key=key).click().run()
    reports = " ".join(job.report.model_dump_json() for key in desk.tasks if (job := desk.job(key)).report)
    lists = re.findall(r'"demo_ids?":(\[[^]]*\]|"[^"]*")', reports)
    return page, {demo for text in lists for demo in re.findall(r'"([^"]+)"', text)}


def raw(texts: Iterable[str], ids: set[str]) -> list[str]:
    """What of the texts nobody should read: what it is, and the text."""
    patterns = RAW | {"an id": "|".join(rf"(?<![\w-]){re.escape(demo)}(?![\w-])" for demo in ids) or r"(?!)"}
    return [f"{what}: {text}" for text in texts for what, pattern in patterns.items() if re.search(pattern, text)]


@pytest.mark.parametrize("name", [*VIEWS, *PAGES[1:]])
def test_every_term_is_explained_and_no_text_holds_a_raw_name_an_id_or_unix_seconds(open_page, name: str) -> None:
    page, ids = complete(open_page, name)
    assert not raw([*screens.sentences(page), *screens.alternatives(page), *screens.chart_words(page)], ids)
    assert not raw([*screens.helps(page), *screens.options(page)], ids)
    assert not unexplained(page)
    page = screens.show_tables(page)
    assert not unexplained(page)
    for headings, cells in screens.tables(page):
        assert not raw(headings.values(), ids)
        assert not [text for text in headings.values() if re.search(r"(?<!\w)ids?(?!\w)", text)]
        assert not raw({text for name in cells for text in cells[name] if isinstance(text, str)}, ids)
        numbers = cells.select_dtypes("number").to_numpy(float, na_value=0).ravel()
        assert not [number for number in numbers if 8e8 < number < 3e9]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("fell by place_in_best", "a name of a field"),
        ("at 891350000.0", "Unix seconds"),
        ("after 16185 ms", "thousands of milliseconds"),
        ("rank None", "a value of the program"),
        ("residual 1e-07", "a number with its exponent"),
        ("from u:1", "an id"),
    ],
)
def test_what_nobody_should_read_is_noticed(text: str, what: str) -> None:
    assert raw([text], {"u:1"}) == [f"{what}: {text}"]


def test_plain_words_are_not_taken_for_raw_ones() -> None:
    texts = ["Z_T/Z is 0.9", "ml-100k, 1,000,000 rows", "184 ms, 2026-11-29", "D1 and D2; u: 1"]
    assert raw(texts, {"u:1"}) == []
