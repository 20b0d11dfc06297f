"""A preview is the prompt's own text, with what stands for a field marked, before any model is there."""

from __future__ import annotations

from typing import Any

import pytest
from film_case import CASE, ITEMS
from hypothesis import given, settings
from hypothesis import strategies as some

from core.data.records import Demonstration, Item
from core.lm.loading.tokenizer import TextTokenizer
from core.prompt.build import build
from core.prompt.stored_templates import checked_template
from core.prompt.template import template_for
from core.prompt.text_preview import FIRST, LAST, prompt_sections, template_sections
from core.prompt.wordings import WORDINGS

DEMOS = (
    Demonstration("v:2", "v", 2, ("1", "2"), "5", True, "similar"),
    Demonstration("w:1", "w", 1, ("0",), "3", False, "similar"),
)


def sections(family: Any, template: Any, items: Any = ITEMS, history: int = 2) -> tuple[Any, ...]:
    choices = {"noun": "film", "history": history, "liked": lambda _: True}
    return prompt_sections(CASE, DEMOS, items, family=family, template=template, **choices)


@pytest.mark.parametrize("wording", WORDINGS)
@pytest.mark.parametrize("family", ["next_item", "yes_no"])
def test_the_text_is_that_of_the_prompt_that_the_model_reads(
    tiny_tokenizer: TextTokenizer, family: Any, wording: Any
) -> None:
    choices = {"family": family, "noun": "film", "history": 2, "wording": wording}
    prompt = build(CASE, DEMOS, ITEMS, tiny_tokenizer, **choices)
    spans = [(span.kind, span.index, span.text) for span in (*prompt.prefix, prompt.candidates[0])]
    preview = sections(family, template_for(family, wording=wording))
    assert [(kind, number, "".join(part.text for part in parts)) for kind, number, parts in preview] == spans


def test_fields_and_what_stands_for_them_are_marked() -> None:
    template = template_for("next_item")
    demo = next(section for section in template_sections(template) if section.kind == "demo")
    assert [part.text for part in demo.parts if part.field] == ["{history}", "{noun}", "{item}"]
    assert "".join(part.text for part in demo.parts) == template.demo
    first = next(section for section in sections("next_item", template) if section.kind == "demo")
    title = ITEMS[DEMOS[0].item_id].title
    assert [part.text for part in first.parts if part.field][1:] == ["film", title]


def test_codes_have_no_value_before_a_model_is_there() -> None:
    text = "[instruction]\n[demo]\n{user_code} {history} {item}\n[query]\n{user_code} {history}\n[candidate]\n{item}"
    template = checked_template(text.encode(), "t").template
    assert "0.0.0.0" in {part.text for section in sections("next_item", template) for part in section.parts}


@given(title=some.text(min_size=1, max_size=20) | some.sampled_from([f"a{FIRST}b{LAST}c", "{item}", "{history.x}"]))
@settings(max_examples=40, deadline=None)
def test_no_title_breaks_the_marks(title: str) -> None:
    items = {item_id: Item(item_id, title or "x") for item_id in ITEMS}
    template = template_for("next_item")
    usual = sections("next_item", template)
    odd = sections("next_item", template, items)
    fixed = [[part.text for part in section.parts if not part.field] for section in usual]
    assert [[part.text for part in section.parts if not part.field] for section in odd] == fixed
    assert not any(mark in part.text for section in odd for part in section.parts for mark in (FIRST, LAST))
