"""How do the rows of tables and plain JSON lines hold a call: a column with the prompt, messages, or Alpaca's three?"""

from __future__ import annotations

from collections.abc import Iterator

from core.prompt.imported.calls import Call, Json, Logged, Skipped, first_text, is_messages, split_answer, turns_of
from core.prompt.imported.fields import (
    MESSAGES,
    PROMPTS,
    QUESTIONS,
    Described,
    described,
    lowered,
    parsed,
)

ALPACA = (
    "Below is an instruction that describes a task{input}. Write a response that appropriately completes the request.",
    ", paired with an input that provides further context",
)
REBUILT = "The columns hold no prompt: it was put together in the form of Alpaca, which may differ from the one sent."


def has_prompt(record: Json) -> bool:
    """Whether a record has a column for the whole prompt or its messages."""
    return not {*MESSAGES, *PROMPTS, *QUESTIONS}.isdisjoint(lowered(record))


def row_calls(line: int, record: Json) -> Iterator[Logged]:
    """The call of a row with a prompt; what else the row says of it is taken by the names of the columns."""
    row = lowered(record)
    fields = described(row)
    for name in (*MESSAGES, *PROMPTS, *QUESTIONS):
        messages = parsed(row.get(name))
        if is_messages(messages):
            turns = turns_of(messages)
            prompt, answer = split_answer(turns.messages)
            fields["completion"] = fields.get("completion") or answer
            yield Call(line, prompt, notices=turns.notices, **_trained(fields, row))
            return
    text = first_text(row, PROMPTS) or first_text(row, QUESTIONS)
    if text is None:
        yield Skipped(line, "no prompt text")
    else:
        yield Call(line, text=text, **_trained(fields, row))


def _trained(fields: Described, row: Json) -> Described:
    """A pair of prompt and completion without a model is for training: the completion is the true answer."""
    is_pair = fields.get("target") is None and fields.get("model") is None
    if is_pair and any(name in row for name in ("completion", *MESSAGES)):
        fields["target"] = fields.get("completion")
    return fields


def alpaca_calls(line: int, record: Json) -> Iterator[Logged]:
    """A row of Alpaca's or TALLRec's form: instruction, input and the true answer."""
    row = lowered(record)
    instruction, words = first_text(row, ("instruction",)) or "", first_text(row, ("input",))
    head = ALPACA[0].format(input=ALPACA[1] if words else "")
    pinned = f"{head}\n\n### Instruction:\n{instruction}\n\n"
    rest = f"### Input:\n{words}\n\n### Response:\n" if words else "### Response:\n"
    fields = described(row)
    answer = first_text(row, ("output",))
    fields["target"] = fields.get("target") or answer
    fields["completion"] = None if fields.get("completion") == answer else fields.get("completion")
    yield Call(line, text=pinned + rest, notices=(REBUILT,), **fields)


def plain_calls(_: int, record: Json) -> Iterator[Logged]:
    """A text file, which is one prompt."""
    yield Call(None, text=str(record["text"]).removesuffix("\n"))
