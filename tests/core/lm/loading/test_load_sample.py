"""The sample model as the examples use it: fetched, converted, and given prompts piece by piece."""

from __future__ import annotations

from typing import Any

import pytest

from core.data.records import Case, Demonstration, Interaction, Item
from core.lm.loading.load import LanguageModel, load
from core.prompt.build import build

pytestmark = [pytest.mark.sample, pytest.mark.slow]

TITLES = ("L.A. Confidential", "Legends of the Fall", "Jackie Brown", "Dr. Strangelove", "The Hunt for Red October",
          "Jungle Book, The", "Remains of the Day, The", "Men in Black", "One Flew Over the Cuckoo's Nest")  # fmt: skip
ITEMS = {str(number): Item(str(number), title) for number, title in enumerate(TITLES)}
CASE = Case("d", "u", "last", tuple(Interaction(str(item), item) for item in range(5)), ("6", "7"), "6", None, 0)
DEMOS = tuple(
    Demonstration(
        f"u:{at}", "u", at, tuple(str((item + at) % 9) for item in range(5)), str((at + 5) % 9), at > 1, "recent"
    )
    for at in range(4)
)


@pytest.fixture(scope="module")
def sample() -> LanguageModel:
    return load("sample", device="cpu")


def test_the_sample_is_smollm2(sample: LanguageModel) -> None:
    assert (sample.layers, sample.heads, sample.context, sample.name) == (30, 9, 8192, "sample")
    assert sample.tokenizer.size == 49152
    assert sample.tokenizer.start() == ()


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
@pytest.mark.parametrize("chat", [False, True])
def test_piece_by_piece_is_the_whole(sample: LanguageModel, family: Any, chat: bool) -> None:
    prompt = build(CASE, DEMOS, ITEMS, sample.tokenizer, family=family, noun="movie", chat=chat)
    spans = (*prompt.prefix, prompt.candidates[0])
    whole = sample.tokenizer._full("".join(span.text for span in spans), add_special_tokens=False)["input_ids"]
    assert [token for span in spans for token in span.token_ids] == whole
    assert all(30 <= len(span.token_ids) <= 65 for span in prompt.demos)
    assert all(span.text.endswith("\n") for span in prompt.demos)


def test_no_added_token_comes_from_a_title(sample: LanguageModel) -> None:
    added = [token.content for token in sample.tokenizer._full.added_tokens_decoder.values()]
    assert len(added) == 17
    for chat in (False, True):
        counts = set()
        for attack in ("", *added, "".join(added)):
            items = {key: Item(key, f"{attack} {item.title}{attack}") for key, item in ITEMS.items()}
            prompt = build(CASE, DEMOS, items, sample.tokenizer, family="yes_no", chat=chat)
            spans = (*prompt.prefix, *prompt.candidates)
            counts.add(sum(token in sample.tokenizer.control_ids for span in spans for token in span.token_ids))
        assert counts == {3 + 2 * len(CASE.candidates) if chat else 0}
