import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import text

UNSEEN = re.compile("[\u2060\u200a\u2066-\u2069]")


@pytest.mark.parametrize(
    "title",
    [
        "*bold* **more**",
        "_emphasis_ here",
        "~~gone~~",
        ":red[x]",
        ":material/home:",
        ":joy: tears",
        "![p](http://127.0.0.1:9/p.png)",
        "[a](javascript:alert(1))",
        "<script>alert(1)</script>",
        "https://example.org",
        "www.example.org",
        "a@b.example",
        "# heading",
        "- item",
        "1. item",
        "&amp; &lt;",
        "\\*kept\\*",
        "a -> b <- c -- d >= e",
    ],
)
def test_a_label_keeps_every_visible_character(title):
    assert UNSEEN.sub("", text.safe_label(title)) == title


@pytest.mark.parametrize("title", ["$x$", "$$y$$", "`code`"])
def test_paired_marks_are_escaped(title):
    assert re.sub(r"\\([$`])", r"\1", text.safe_label(title)) == title
    assert not re.search(r"(?<!\\)[$`]", text.safe_label(title))


def test_the_unseen_is_shown():
    assert text.visible("a\u202eb") == "a⟦U+202E⟧b"
    assert text.visible("a\nb\tc") == "a⏎b⇥c"
    assert text.visible("\ud800") == "⟦U+D800⟧"
    assert text.visible("   ") == text.visible("") == "(no title)"


def test_long_titles_are_shortened_and_say_so():
    assert len(text.shortened("x" * 10_000)) == text.SHORT
    assert text.shortened("x" * 10_000).endswith("…")
    assert text.shortened("short") == "short"


def test_right_to_left_titles_are_isolated():
    assert text.plain("שלום") == "\u2068שלום\u2069"


def test_html_and_plotly_text_is_inert():
    hostile = "<img src=x onerror=alert(1)> & $x$"
    assert "<img" not in text.safe_html(hostile)
    assert "<img" not in text.safe_mark(hostile)
    assert "$" not in text.safe_mark(hostile)


def test_equal_titles_stay_apart():
    labels = text.unique_labels([("1", "Hamlet"), ("2", "Hamlet")])
    assert len(set(labels.values())) == 2


@given(st.text(max_size=200))
def test_any_text_is_safe_everywhere(title):
    assert "<" not in text.safe_html(title).removeprefix("<bdi>").removesuffix("</bdi>")
    assert not re.search(r"<[a-zA-Z/!]", text.safe_label(title))
    assert "](" not in text.safe_label(title)
    assert "<" not in text.safe_mark(title)
    text.plain(title).encode()
