"""The answer tokens of a prompt and their labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.data.dataset import Dataset
from core.errors import PromptError, RequestError
from core.prompt.codes import Codes
from core.prompt.families import ANSWERS, Family
from core.prompt.spans import Prompt, Span, Tokenizer
from core.prompt.titles import prompt_title
from core.tuning.examples import Example, prompt_of
from core.tuning.training.training_settings import Loss


class Balance(NamedTuple):
    """Weight of an answer Yes and of an answer No."""

    yes: float = 1.0
    no: float = 1.0


class AnswerLabels(NamedTuple):
    """Rows and labels of one answer or title."""

    rows: tuple[int, ...]
    """Rows of the prompt whose next token is learned."""
    labels: tuple[int, ...]
    """The token that should follow each."""
    weight: float
    """Of all of them together."""


@dataclass(frozen=True)
class EncodedPrompt:
    """One prompt as numbers. Token `rows[i] + 1` is an answer's token, or would follow the last one."""

    family: Family
    ids: NDArray[np.int64]
    """Token ids, [token]; the yes_no query's own answer is not among them."""
    rows: NDArray[np.int64]
    """Rows whose next token is learned, rising, [label]."""
    labels: NDArray[np.int64]
    """The token that should follow each of those rows, [label]."""
    weights: NDArray[np.float64]
    """[label]; one answer weighs its `Balance`, one title 1, shared equally by its tokens."""
    query: int
    """Where in `rows` the labels of the query begin; earlier ones are of demonstrations."""
    answer_ids: tuple[int, int] | None
    """Tokens of (Yes, No), for `yes_no`."""
    liked: bool


def encode_prompt(
    example: Example,
    dataset: Dataset,
    tokenizer: Tokenizer,
    *,
    family: Family,
    loss: Loss = "all",
    context: int | None = None,
    balance: Balance = Balance(),  # noqa: B008  (immutable)
    codes: Codes | None = None,
) -> EncodedPrompt:
    """The example's prompt with its labels: one answer token each, or the tokens of each title.

    Raises `PromptError` when the answer of a demonstration is not the token that the query's answer would be, and
    as `core.prompt.build.build` does.
    """
    prompt = prompt_of(example, dataset, tokenizer, family=family, context=context, codes=codes)
    parts = demo_labels(prompt, example, dataset, balance) if loss == "all" else []
    query = sum(len(part.rows) for part in parts)
    parts.append(_of_query(prompt, sum(len(span.token_ids) for span in prompt.prefix), example.liked, balance))
    spans = (*prompt.prefix, prompt.candidates[0])
    return EncodedPrompt(
        family=family,
        ids=np.array([token for span in spans for token in span.token_ids], dtype=np.int64),
        rows=np.array([row for part in parts for row in part.rows], dtype=np.int64),
        labels=np.array([label for part in parts for label in part.labels], dtype=np.int64),
        weights=np.array([part.weight / len(part.rows) for part in parts for _ in part.rows], dtype=np.float64),
        query=query,
        answer_ids=prompt.answer_ids,
        liked=example.liked,
    )


def demo_labels(prompt: Prompt, example: Example, dataset: Dataset, balance: Balance) -> list[AnswerLabels]:
    """Labels of the demonstrations that stand in the prompt, in order; see `encode_prompt`."""
    before, parts = len(prompt.instruction.token_ids), []
    for span, place in zip(prompt.demos, prompt.kept_demos, strict=True):
        demo = example.demos[place]
        title = prompt_title(dataset.item(demo.item_id).title)
        parts.append(_of_demo(prompt, span, before, demo.liked, title, balance))
        before += len(span.token_ids)
    return parts


def balance_of(examples: Iterable[Example], loss: Loss) -> Balance:
    """Weights under which all Yes answers together weigh as much as all No answers, and an answer 1 on average.

    Counts the query's answer, and the demonstrations' for loss `all`. Raises `RequestError` when one is missing.
    """
    yes, no = answer_counts(examples, loss)
    if not yes or not no:
        raise RequestError(
            f"all {yes + no} answers are {'Yes' if yes else 'No'}", expected="both answers to learn from"
        )
    return Balance((yes + no) / (2 * yes), (yes + no) / (2 * no))


def answer_counts(examples: Iterable[Example], loss: Loss) -> tuple[int, int]:
    """How many answers are Yes and how many No, with all demonstrations for loss `all`."""
    yes = no = 0
    for example in examples:
        answers = [example.liked, *(demo.liked for demo in example.demos if loss == "all")]
        yes, no = yes + sum(answers), no + len(answers) - sum(answers)
    return yes, no


def _of_query(prompt: Prompt, start: int, liked: bool, balance: Balance) -> AnswerLabels:
    """Labels of the query; `start` is the place of the candidate's first token."""
    ids = prompt.candidates[0].token_ids
    if prompt.answer_ids is None:
        return AnswerLabels(tuple(range(start - 1, start - 1 + len(ids))), ids, 1.0)
    return AnswerLabels((start + len(ids) - 1,), (prompt.answer_ids[not liked],), balance.yes if liked else balance.no)


def _of_demo(prompt: Prompt, span: Span, first: int, liked: bool, title: str, balance: Balance) -> AnswerLabels:
    """Labels of a demonstration whose first token stands at `first`."""
    if prompt.answer_ids is None:
        start = span.text.rindex(title)
        lead = start - len(span.text[:start].rstrip(" "))  # The query's title begins with its space, too.
        places = _tokens_of(span, start - lead, lead + len(title))
        return _labels(span, first, places, 1.0)
    answer = ANSWERS[not liked]
    places = _tokens_of(span, span.text.rindex(answer), len(answer))
    if [span.token_ids[place] for place in places] != [prompt.answer_ids[not liked]]:
        pieces = ", ".join(repr(span.text[slice(*span.offsets[place])]) for place in places)
        raise PromptError(
            f"the model's tokenizer reads the answer of a demonstration as {pieces}",
            expected=f"the one token that answers the query with {answer}",
        )
    return _labels(span, first, places, balance.yes if liked else balance.no)


def _labels(span: Span, start: int, places: list[int], weight: float) -> AnswerLabels:
    rows = tuple(start + place - 1 for place in places)
    return AnswerLabels(rows, tuple(span.token_ids[place] for place in places), weight)


def _tokens_of(span: Span, start: int, length: int) -> list[int]:
    """Places of the tokens that hold some of the `length` characters from `start` on."""
    return [place for place, (low, high) in enumerate(span.offsets) if low < start + length and high > start]
