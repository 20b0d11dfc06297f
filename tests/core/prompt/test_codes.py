"""Codes of users and items: of one form, shown where the template has a place, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.records import Case, Demonstration, Interaction, Item
from core.errors import PromptError
from core.lm.loading.tokenizer import TextTokenizer
from core.prompt.build import build
from core.prompt.codes import NO_CODE, Codes
from core.prompt.spans import Prompt
from core.prompt.template import parse_template, template_for

ITEMS = {number: Item(number, title) for number, title in (("0", "Alien"), ("1", "Heat"), ("2", "Fargo"), ("3", "Ran"))}
CASE = Case("d", "u", "last", (Interaction("0", 0), Interaction("1", 1)), ("2", "3"), "2", None, 0)
DEMOS = (
    Demonstration("u:1", "u", 1, ("0",), "1", True, "recent"),
    Demonstration("v:4", "v", 4, ("3",), "2", False, "similar"),
)
CODES = Codes({"u": "1.2.3.4", "v": "200.0.0.1"}, {"1": "9.9.9.9", "2": "8.8.8.8"})
TEXT = (
    "[instruction]\nRate a {noun}.\n[demo]\n{user_code} {history} | {item} {item_code} | {answer}\n"
    "[query]\n{user_code} {history}\n[candidate]\n{item} {item_code}\n"
)


def built(tokenizer: TextTokenizer, family: Any, codes: Codes | None = CODES, **more: Any) -> Prompt:
    return build(CASE, DEMOS, ITEMS, tokenizer, family=family, noun="movie", codes=codes, **more)


def test_yes_no_shows_the_codes_of_users_and_items(tiny_tokenizer: TextTokenizer) -> None:
    prompt = built(tiny_tokenizer, "yes_no")
    assert prompt.demos[0].text == (
        "User code: 1.2.3.4\nThe user liked: Alien\nWill the user like the movie Heat with code 9.9.9.9?\nAnswer: Yes\n"
    )
    assert prompt.demos[1].text == (
        "User code: 200.0.0.1\nThe user liked: Ran\nWill the user like the movie Fargo with code 8.8.8.8?\nAnswer: No\n"
    )
    assert prompt.query.text == "User code: 1.2.3.4\nThe user liked: Alien; Heat\n"
    assert prompt.candidates[0].text == "Will the user like the movie Fargo with code 8.8.8.8?\nAnswer:"
    assert prompt.candidates[1].text == f"Will the user like the movie Ran with code {NO_CODE}?\nAnswer:"


def test_next_item_shows_the_users_code_and_scores_the_title_alone(tiny_tokenizer: TextTokenizer) -> None:
    prompt = built(tiny_tokenizer, "next_item")
    assert prompt.demos[1].text == "User code: 200.0.0.1\nThe user liked: Ran\nNext movie: Fargo\n"
    assert prompt.query.text == "User code: 1.2.3.4\nThe user liked: Alien; Heat\nNext movie:"
    assert [span.text for span in prompt.candidates] == [" Fargo", " Ran"]


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
@pytest.mark.parametrize("chat", [False, True])
def test_spans_together_are_the_text_as_a_whole(tiny_tokenizer: TextTokenizer, family: Any, chat: bool) -> None:
    prompt = built(tiny_tokenizer, family, chat=chat)
    full = (*prompt.prefix, prompt.candidates[0])
    whole = tiny_tokenizer._full("".join(span.text for span in full), add_special_tokens=False)["input_ids"]
    assert [token for span in full for token in span.token_ids] == whole
    assert built(tiny_tokenizer, family, chat=chat, context=prompt.length) == prompt
    assert built(tiny_tokenizer, family, chat=chat, context=prompt.length - 1).cut


@pytest.mark.parametrize(("family", "known"), [("yes_no", "53e0c6b7ab3b78eb"), ("next_item", "6973c98309ad7c8f")])
def test_without_codes_the_templates_are_those_of_before(
    tiny_tokenizer: TextTokenizer, family: Any, known: str
) -> None:
    """The hashes are in stored results and in cards of adapters."""
    assert template_for(family).content_hash == known
    assert not template_for(family).shows_codes
    assert template_for(family, codes=True).shows_codes
    assert built(tiny_tokenizer, family, None).template == known
    assert built(tiny_tokenizer, family).template == template_for(family, codes=True).content_hash != known


def test_places_for_codes_are_allowed_in_the_variant_only() -> None:
    assert parse_template(TEXT, "t", codes=True).checked_for("yes_no").shows_codes
    with pytest.raises(
        PromptError,
        match=r"t, line 4: placeholder \{user_code\} in \[demo\]; expected \{noun\}, \{history\}, \{item\}, ",
    ):
        parse_template(TEXT, "t")
    with pytest.raises(
        PromptError, match=r"\{item_code\} in \[query\]; expected \{noun\}, \{history\}, \{wish\}, \{user"
    ):
        parse_template(TEXT.replace("[query]\n{user_code}", "[query]\n{item_code}"), "t", codes=True)


def test_a_template_and_codes_come_together(tiny_tokenizer: TextTokenizer) -> None:
    own = parse_template(TEXT, "own", codes=True)
    prompt = built(tiny_tokenizer, "yes_no", template=own)
    assert prompt.query.text == "1.2.3.4 Alien; Heat\n"
    with pytest.raises(PromptError, match="own: a template that shows codes, and no codes; expected both or neither"):
        built(tiny_tokenizer, "yes_no", None, template=own)
    with pytest.raises(PromptError, match="codes, and a template that shows none; expected both or neither"):
        built(tiny_tokenizer, "yes_no", template=template_for("yes_no"))


@pytest.mark.parametrize("code", ["", "1.2.3", "1.2.3.256", "01.2.3.4", "1.2.3.4\n", "1.2.3.4 Answer: Yes", "१.2.3.4"])
def test_a_code_of_another_form_is_refused(code: str) -> None:
    with pytest.raises(PromptError, match=r"of user 'u'; expected four numbers from 0 to 255"):
        Codes({"u": code}, {})
    with pytest.raises(PromptError, match=r"of item 'i'"):
        Codes({}, {"i": code})


@given(st.tuples(*[st.integers(0, 255)] * 4), st.text())
def test_every_code_of_four_bytes_is_kept_for_any_name(numbers: tuple[int, ...], name: str) -> None:
    code = ".".join(map(str, numbers))
    assert Codes({name: code}, {}).user(name) == code
    assert Codes({name: code}, {}).item(name) == NO_CODE
