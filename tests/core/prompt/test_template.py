"""A template is four texts with a fixed set of placeholders; whatever else it holds is refused or stays text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import PromptError
from core.prompt.template import LONGEST_TEMPLATE, Template, parse_template, template_for

GOOD = (
    "# a comment\n\n[instruction]\nRate a {noun}.\n[demo]\n{history} | {item} | {answer}\n"
    "[query]\n{history}\n[candidate]\n{item}\n"
)


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
def test_the_shipped_templates_fit_their_family(family: Any) -> None:
    template = template_for(family)
    assert template.checked_for(family) is template
    assert len(template.content_hash) == 16


def test_sections_keep_inner_lines_and_lose_outer_space() -> None:
    template = parse_template(GOOD.replace("Rate a {noun}.", "\nOne\n\n  Two  \n\n"), "t")
    assert template.instruction == "One\n\n  Two"
    assert parse_template("\ufeff" + GOOD.replace("\n", "\r\n"), "t") == parse_template(GOOD, "t")


def test_comments_do_not_change_the_hash_but_words_do() -> None:
    first, second = parse_template(GOOD, "a"), parse_template(GOOD.replace("# a comment", "# other"), "b")
    assert first.content_hash == second.content_hash
    assert first.content_hash != parse_template(GOOD.replace("Rate", "Judge"), "a").content_hash


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("[query]\n{history}\n", ""), r"t: no \[query\] section; expected \[instruction\], \[demo\]"),
        (GOOD + "[demo]\n{item}", r"t, line 11: a second \[demo\] section"),
        (GOOD.replace("[query]", "[quarry]"), r"t, line 7: unknown section \[quarry\]; expected \[instruction\]"),
        ("Hello\n" + GOOD, r"t, line 1: text before the first section: 'Hello'"),
        (GOOD.replace("{noun}", "{user}"), r"t, line 4: placeholder \{user\} in \[instruction\]; expected \{noun\}"),
        (GOOD.replace("{noun}", "{item}"), r"placeholder \{item\} in \[instruction\]"),
        (GOOD.replace("[candidate]\n{item}", "[candidate]\nit"), r"line 10: no \{item\} in \[candidate\]"),
        (GOOD.replace("Rate", "{% for x in range(10**9) %}"), r"placeholder \{% for x in range\(10\*\*9\) %\}"),
        (GOOD.replace("Rate", "{0.__class__}"), r"placeholder \{0.__class__\}"),
        (GOOD.replace("Rate", "{{ lipsum.__globals__ }}"), r"placeholder \{ lipsum.__globals__ \}"),
        (GOOD.replace("Rate", "{}"), r"placeholder \{\}"),
        ("x" * (LONGEST_TEMPLATE + 1), r"t: 20001 characters; expected at most 20000"),
        ("x" * 200_000, r"t: 200000 characters"),
        ("", r"no \[instruction\] section"),
    ],
)
def test_a_bad_template_is_refused_with_file_line_and_what_is_allowed(text: str, said: str) -> None:
    with pytest.raises(PromptError, match=said):
        parse_template(text, "t")


def test_each_family_asks_for_what_it_needs() -> None:
    template = parse_template(GOOD, "t")
    with pytest.raises(PromptError, match=r"\[demo\] with \{answer\}"):
        template.checked_for("next_item")
    plain = parse_template(GOOD.replace(" | {answer}", ""), "t")
    with pytest.raises(PromptError, match=r"\[demo\] without \{answer\}"):
        plain.checked_for("yes_no")
    with pytest.raises(PromptError, match=r"\[candidate\] is 'x \{item\}'; expected \{item\} alone"):
        parse_template(GOOD.replace(" | {answer}", "").replace("[candidate]\n", "[candidate]\nx "), "t").checked_for(
            "next_item"
        )


@given(st.text(), st.text())
def test_values_are_put_in_as_they_are(history: str, item: str) -> None:
    template = Template(instruction="", demo="a {history} b {item} c", query="", candidate="")
    assert template.text("demo", {"history": history, "item": item}) == f"a {history} b {item} c"


@pytest.mark.parametrize(
    "data", ["{title}", "{{ x }}", "{% if %}", "%s", "{0.__class__}", "{item}", "{history}", "\\1"]
)
def test_braces_in_data_stay_literal(data: str) -> None:
    template = parse_template(GOOD, "t")
    assert template.text("query", {"history": data, "item": "no"}) == data
