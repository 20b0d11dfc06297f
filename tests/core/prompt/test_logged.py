"""A logged prompt reaches the model as its text, or its chat, does; leaving a part out is exactly that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from logged_cases import INSTRUCTION, TITLES, case, case_file, chat_case, messages, part, text_case, text_demo
from tiny_networks import CHATML, tiny_backend

from core.data.records import Case, Demonstration
from core.errors import PromptError
from core.lm.loading.tokenizer import TextTokenizer
from core.prompt.imported.case_file import PromptCase, text_of
from core.prompt.imported.imported_cases import ImportedCases
from core.prompt.imported.sections import sections_of
from core.prompt.logged import logged_prompt, options_shown
from core.prompt.spans import Prompt

FOLDED = (
    "{% if messages[0].role == 'system' %}{% set rest = messages[1:] %}{% set first = messages[0].content + '\n\n' %}"
    "{% else %}{% set rest = messages %}{% set first = '' %}{% endif %}{% for m in rest %}"
    "{{ '<|im_start|>' + m.role + '\n' + (first if loop.first else '') + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""As Gemma's: the system message stands in the first turn of the user."""
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + CHATML
COUNTED = CHATML.replace("message['role'] +", "message['role'] + (loop.length | string) +")
"""Says how many messages there are, so that fewer ones are not the same text."""
LAST_FIRST = CHATML.replace("in messages", "in messages | reverse")


def opened(folder: Path, imported: PromptCase) -> tuple[Case, tuple[Demonstration, ...]]:
    source = ImportedCases(case_file(folder, imported))
    return source.case(imported.case_id), source.demonstrations(imported.case_id)


def ids(prompt: Prompt) -> list[int]:
    return [token for span in prompt.prefix for token in span.token_ids]


def with_template(template: str | None) -> tuple[TextTokenizer, Any]:
    backend = tiny_backend()
    backend.chat_template = template
    return TextTokenizer(backend, where="tiny"), backend


def subsets(count: int) -> list[tuple[int, ...]]:
    return [kept for size in range(count + 1) for kept in combinations(range(count), size)]


def test_a_text_has_the_tokens_of_the_text_without_what_is_left_out(
    tmp_path: Path, tiny_tokenizer: TextTokenizer, tiny_transformers_tokenizer: Any
) -> None:
    whole = text_case()
    logged, demos = opened(tmp_path, whole)
    query = 'Now:\nInput: Liked: "Blue Kettle", "North Lamp". Next: "Small Thunder"?\nOutput:'
    for kept in subsets(3):
        text = "\n\n".join([INSTRUCTION, *(text_demo(place + 1) for place in kept), query])
        prompt = logged_prompt(logged, [demos[place] for place in kept], tiny_tokenizer)
        assert ids(prompt) == tiny_transformers_tokenizer(text, add_special_tokens=False)["input_ids"]
    assert text == text_of(whole)
    assert [span.token_ids for span in prompt.candidates] == [
        tuple(tiny_transformers_tokenizer(answer, add_special_tokens=False)["input_ids"]) for answer in (" Yes", " No")
    ]
    assert prompt.notices == ()


def test_an_interaction_of_the_history_is_left_out_exactly(tmp_path: Path, tiny_tokenizer: TextTokenizer) -> None:
    logged, demos = opened(tmp_path, text_case())
    without = replace(logged, history=logged.history[1:])
    prompt = logged_prompt(without, demos, tiny_tokenizer)
    assert prompt.query.text == 'Now:\nInput: Liked: "North Lamp". Next: "Small Thunder"?\nOutput:'


@pytest.mark.parametrize("template", [CHATML, FOLDED])
@pytest.mark.parametrize("system", [True, False])
def test_a_chat_has_the_tokens_of_its_template_without_the_turns_left_out(
    tmp_path: Path, template: str, system: bool
) -> None:
    tokenizer, reference = with_template(template)
    logged, demos = opened(tmp_path, chat_case(system=system))
    turns = messages(system=system)
    first = int(system)
    for kept in subsets(3):
        pairs = [turn for place in kept for turn in turns[first + 2 * place : first + 2 * place + 2]]
        expected = reference.apply_chat_template(
            [*turns[:first], *pairs, turns[-1]], add_generation_prompt=True, tokenize=True, return_dict=False
        )
        prompt = logged_prompt(logged, [demos[place] for place in kept], tokenizer)
        assert ids(prompt) == list(expected)
        assert prompt.notices == ()
    assert [span.text for span in prompt.candidates] == ["Yes", "No"]


def test_the_first_turn_may_hold_the_instruction_too(tmp_path: Path) -> None:
    tokenizer, reference = with_template(CHATML)
    turns = messages(system=False)
    parts = [
        part("pinned", INSTRUCTION + "\n\n", None, 0, "user"),
        part("demo", turns[0]["content"], 1, 0, "user"),
        part("demo", turns[1]["content"], 1, 1, "assistant"),
        part("query", turns[-1]["content"], None, 2, "user"),
    ]
    logged, _ = opened(tmp_path, case("folded", parts))
    joined = [{"role": "user", "content": f"{INSTRUCTION}\n\n{turns[-1]['content']}"}]
    expected = reference.apply_chat_template(joined, add_generation_prompt=True, tokenize=True, return_dict=False)
    assert ids(logged_prompt(logged, (), tokenizer)) == list(expected)


def test_demonstrations_inside_one_message_leave_it_where_it_is(tmp_path: Path) -> None:
    tokenizer, reference = with_template(CHATML)
    parts = [
        part("pinned", INSTRUCTION + "\n\n", None, 0, "system"),
        part("demo", text_demo(1) + "\n\n", 1, 0, "system"),
        part("demo", text_demo(2) + "\n\n", 2, 0, "system"),
        part("query", "Small Thunder?", None, 1, "user"),
    ]
    logged, demos = opened(tmp_path, case("inside", parts))
    for kept in subsets(2):
        words = INSTRUCTION + "\n\n" + "".join(text_demo(place + 1) + "\n\n" for place in kept)
        turns = [{"role": "system", "content": words}, {"role": "user", "content": "Small Thunder?"}]
        expected = reference.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=False)
        assert ids(logged_prompt(logged, [demos[place] for place in kept], tokenizer)) == list(expected)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (None, "has no chat template"),
        (NO_SYSTEM, "no system role"),
        (COUNTED, "writes other text around fewer demonstrations"),
        (LAST_FIRST, "changes the order of messages"),
    ],
)
def test_a_template_that_does_not_fit_gives_way_to_plain_lines(
    tmp_path: Path, template: str | None, reason: str
) -> None:
    tokenizer, reference = with_template(template)
    logged, demos = opened(tmp_path, chat_case())
    prompt = logged_prompt(logged, demos, tokenizer)
    text = "\n".join([*(f"{turn['role']}: {turn['content']}" for turn in messages()), "assistant:"])
    assert ids(prompt) == reference(text, add_special_tokens=False)["input_ids"]
    assert [span.text for span in prompt.candidates] == [" Yes", " No"]
    assert reason in prompt.notices[0]


@given(data=some.data())
def test_no_words_of_a_log_become_control_tokens(
    data: some.DataObject, tiny_tokenizer: TextTokenizer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    hostile = some.lists(
        some.sampled_from(["<|im_end|>", "<|im_start|>system\n", "<|", "Alien", " ", "\n"]), min_size=1
    )
    words = ["".join(data.draw(hostile)) for _ in range(4)]
    rows = zip(("demo", "demo", "query"), (1, 1, None), ("user", "assistant", "user"), words, strict=False)
    parts = [part(kind, text, number, place, role) for place, (kind, number, role, text) in enumerate(rows)]
    imported = case("hostile", parts, options=(("a", words[3] + "a"), ("b", "b")), target=None)
    logged, demos = opened(tmp_path_factory.mktemp("hostile"), imported)
    prompt = logged_prompt(logged, demos, tiny_tokenizer)
    control = [token for token in ids(prompt) if token in tiny_tokenizer.control_ids]
    assert len(control) == 2 * 3 + 1
    assert not any(set(span.token_ids) & tiny_tokenizer.control_ids for span in prompt.candidates)
    written = "".join(span.text for span in prompt.prefix)
    assert written == "".join(f"<|im_start|>{p.role}\n{p.text}<|im_end|>\n" for p in parts) + "<|im_start|>assistant\n"


@pytest.mark.parametrize(
    ("end", "query", "option"),
    [
        ("Output:", "Output:", " Yes"),
        ("Output: ", "Output:", " Yes"),
        ("Output:\n", "Output:\n", "Yes"),
        ('Output: "', 'Output: "', "Yes"),
        ('is "Alien"', 'is "Alien"', " Yes"),
        ("Answer (", "Answer (", "Yes"),
    ],
)
def test_an_option_follows_the_prompt_as_a_model_would_write_it(
    tmp_path: Path, tiny_tokenizer: TextTokenizer, end: str, query: str, option: str
) -> None:
    logged, _ = opened(tmp_path, case("end", [part("query", end)]))
    prompt = logged_prompt(logged, (), tiny_tokenizer)
    assert (prompt.query.text, prompt.candidates[0].text) == (query, option)


def test_a_border_inside_a_word_is_named_with_its_tokens(tmp_path: Path, tiny_tokenizer: TextTokenizer) -> None:
    parts = [part("pinned", "The user li"), part("demo", "ked: Alien", 1), part("query", "\nAnswer:")]
    logged, demos = opened(tmp_path, case("inside", parts))
    prompt = logged_prompt(logged, demos, tiny_tokenizer)
    assert [span.text for span in prompt.prefix] == ["The user li", "ked: Alien", "\nAnswer:"]
    assert "at the borders of parts" in prompt.notices[0]
    assert "".join(tiny_tokenizer.piece(token) for token in ids(prompt)) == "The user liked: Alien\nAnswer:"


def test_a_prompt_that_is_too_long_is_refused_and_never_cut(tmp_path: Path, tiny_tokenizer: TextTokenizer) -> None:
    logged, demos = opened(tmp_path, text_case())
    length = logged_prompt(logged, demos, tiny_tokenizer).length
    assert logged_prompt(logged, demos, tiny_tokenizer, context=length).length == length
    with pytest.raises(PromptError, match=rf"{length - 1} tokens, {length} with its longest option; expected at most"):
        logged_prompt(logged, demos, tiny_tokenizer, context=length - 1)


def test_a_demonstration_shows_titles_and_no_labels(tmp_path: Path) -> None:
    logged, demos = opened(tmp_path, text_case(options=TITLES, options_from="candidates", target="a"))
    assert logged.logged is not None
    assert [options_shown(demo, logged.logged) for demo in demos] == [("b",), (), ()]
    labelled, demos = opened(tmp_path, text_case())
    assert labelled.logged is not None
    assert [options_shown(demo, labelled.logged) for demo in demos] == [(), (), ()]


KINDS = some.lists(some.sampled_from(["pinned", "demo", "history", "query"]), min_size=1, max_size=12)


@given(kinds=KINDS, texts=some.data())
def test_the_sections_of_a_text_hold_all_of_it_in_order(kinds: Sequence[str], texts: some.DataObject) -> None:
    counts = {"demo": 0, "history": 0}
    parts = []
    for kind in kinds:
        if kind in counts:
            counts[kind] += 1
        text = texts.draw(some.text(alphabet="ab \n", min_size=1, max_size=4))
        parts.append(part(kind, text, counts.get(kind)))
    imported = case("any", parts)
    opening, demos, closing = sections_of(imported)
    pieces = [*opening, *(piece for demo in demos for piece in demo), *closing]
    assert "".join(getattr(piece, "text", "") for piece in pieces) == text_of(imported)
    assert len(demos) == imported.demo_count
