"""Answers are found where a reader of the text would find them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.data.dataset import Dataset
from core.errors import PromptError, RequestError
from core.tuning.examples import Example, Window, examples_in, prompt_of
from core.tuning.training.answer_tokens import Balance, EncodedPrompt, answer_counts, balance_of, encode_prompt


@pytest.fixture(scope="module")
def given(films: Dataset) -> tuple[Example, ...]:
    return tuple(one for one in examples_in(films, Window(), demos=3, history=2) if len(one.demos) == 3)


def words(tokenizer: Any, prompt: EncodedPrompt) -> list[str]:
    """Each label's text."""
    return [tokenizer.piece(int(label)) for label in prompt.labels]


def test_yes_no_learns_one_token_an_answer(films: Dataset, tiny_tokenizer: Any, given: tuple[Example, ...]) -> None:
    for example in given[:8]:
        found = encode_prompt(example, films, tiny_tokenizer, family="yes_no")
        answers = [*(one.liked for one in example.demos), example.liked]
        assert words(tiny_tokenizer, found) == [" Yes" if answer else " No" for answer in answers]
        assert found.ids[found.rows[:-1] + 1].tolist() == found.labels[:-1].tolist()
        assert found.rows[-1] == len(found.ids) - 1
        assert (found.query, found.weights.tolist(), found.liked) == (3, [1.0] * 4, example.liked)
        before = "".join(tiny_tokenizer.piece(int(token)) for token in found.ids[: found.rows[0] + 1])
        assert before.endswith("Answer:")


def test_next_item_learns_titles_that_weigh_the_same(
    films: Dataset, tiny_tokenizer: Any, given: tuple[Example, ...]
) -> None:
    example = given[0]
    found = encode_prompt(example, films, tiny_tokenizer, family="next_item")
    titles = [films.item(item).title for item in (*(one.item_id for one in example.demos), example.item_id)]
    assert "".join(words(tiny_tokenizer, found)) == "".join(f" {title}" for title in titles)
    assert found.ids[found.rows + 1].tolist() == found.labels.tolist()
    assert (np.diff(found.rows) > 0).all()
    assert found.weights.sum() == pytest.approx(len(titles))
    query = encode_prompt(example, films, tiny_tokenizer, family="next_item", loss="query")
    assert "".join(words(tiny_tokenizer, query)) == f" {titles[-1]}"
    assert query.weights.tolist() == pytest.approx([1 / len(query.rows)] * len(query.rows))
    assert query.query == 0
    assert found.rows[found.query :].tolist() == query.rows.tolist()


def test_the_tokens_are_those_of_the_prompt(films: Dataset, tiny_tokenizer: Any, given: tuple[Example, ...]) -> None:
    prompt = prompt_of(given[0], films, tiny_tokenizer, family="yes_no")
    spans = (*prompt.prefix, prompt.candidates[0])
    found = encode_prompt(given[0], films, tiny_tokenizer, family="yes_no")
    assert found.ids.tolist() == [token for span in spans for token in span.token_ids]
    assert found.answer_ids == prompt.answer_ids


def test_a_prompt_without_demonstrations_has_one_label(films: Dataset, tiny_tokenizer: Any) -> None:
    bare = examples_in(films, Window(), demos=0, history=2)[-1]
    for loss in ("all", "query"):
        assert len(encode_prompt(bare, films, tiny_tokenizer, family="yes_no", loss=loss).rows) == 1


def test_a_demonstration_cut_to_fit_is_not_learned_from(
    films: Dataset, tiny_tokenizer: Any, given: tuple[Example, ...]
) -> None:
    whole = encode_prompt(given[0], films, tiny_tokenizer, family="yes_no")
    cut = encode_prompt(given[0], films, tiny_tokenizer, family="yes_no", context=len(whole.ids) // 2)
    assert 1 <= len(cut.rows) < len(whole.rows)
    kept = [*(one.liked for one in given[0].demos[-(len(cut.rows) - 1) :] if len(cut.rows) > 1), given[0].liked]
    assert words(tiny_tokenizer, cut) == [" Yes" if answer else " No" for answer in kept]


def test_balance_gives_both_answers_the_same_total(
    films: Dataset, tiny_tokenizer: Any, given: tuple[Example, ...]
) -> None:
    for loss in ("all", "query"):
        balance = balance_of(given, loss)
        found = [
            encode_prompt(one, films, tiny_tokenizer, family="yes_no", loss=loss, balance=balance) for one in given
        ]
        yes_id = found[0].answer_ids[0] if found[0].answer_ids else -1
        weights = np.concatenate([one.weights for one in found])
        is_yes = np.concatenate([one.labels for one in found]) == yes_id
        assert weights[is_yes].sum() == pytest.approx(weights[~is_yes].sum())
        assert weights.mean() == pytest.approx(1.0)
        assert answer_counts(given, loss) == (is_yes.sum(), (~is_yes).sum())


def test_one_answer_only_cannot_be_balanced(given: tuple[Example, ...]) -> None:
    liked = [replace(one, demos=()) for one in given if one.liked]
    with pytest.raises(RequestError, match=f"all {len(liked)} answers are Yes; expected both answers"):
        balance_of(liked, "all")
    assert Balance() == (1.0, 1.0)


class _Glued:
    """A tokenizer that reads an answer and the line break behind it as one token."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def encode(self, text: str) -> Any:
        ids, offsets = self._tokenizer.encode(text)
        if not text.endswith("\n") or len(ids) < 2:
            return ids, offsets
        return ids[:-1], (*offsets[:-2], (offsets[-2][0], offsets[-1][1]))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


def test_an_answer_that_reads_otherwise_in_a_demonstration_is_told(
    films: Dataset, tiny_tokenizer: Any, given: tuple[Example, ...]
) -> None:
    class Other(_Glued):
        def encode(self, text: str) -> Any:
            ids, offsets = super().encode(text)
            return (*ids[:-1], 7) if text.endswith(("Yes\n", "No\n")) else ids, offsets

    with pytest.raises(PromptError, match=r"reads the answer of a demonstration as ' (Yes|No)\\n'"):
        encode_prompt(given[0], films, Other(tiny_tokenizer), family="yes_no")
