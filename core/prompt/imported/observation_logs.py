"""How do the stores of traces Langfuse and LangSmith hold a call?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.prompt.imported.calls import (
    Call,
    Json,
    Logged,
    Skipped,
    Turns,
    first_text,
    is_messages,
    split_answer,
    text_or_none,
    turns_of,
)
from core.prompt.imported.fields import described, lowered, parsed

NO_INPUT = "an observation without input (select the field group with input and output when exporting)"


def langfuse_calls(line: int, record: Json) -> Iterator[Logged]:
    """An observation of Langfuse; only generations are calls."""
    if str(record.get("type", "GENERATION")).upper() != "GENERATION":
        yield Skipped(line, f"an observation of the type {str(record.get('type'))[:30]}, not a call of a model")
        return
    turns, text = _prompt_in(record.get("input"))
    if not turns.messages and text is None:
        yield Skipped(line, NO_INPUT)
        return
    messages, answer = split_answer(turns.messages)
    yield Call(
        line,
        messages,
        text=text,
        completion=_answer_in(record.get("output")) or answer,
        target=text_or_none(record.get("expectedOutput") or record.get("expected_output")),
        model=first_text(record, ("provided_model_name", "model")),
        call_id=text_or_none(record.get("id")),
        user=first_text(record, ("user_id", "userId")),
        time=first_text(record, ("start_time", "startTime")),
        notices=turns.notices,
    )


def _prompt_in(value: Any) -> tuple[Turns, str | None]:
    """The messages or the text of an input that is a text, JSON text, a list or an object."""
    value = parsed(value)
    inner = value.get("messages") if isinstance(value, Mapping) else value
    if isinstance(inner, list) and len(inner) == 1 and isinstance(inner[0], list):
        inner = inner[0]
    if isinstance(inner, list) and inner and all(_constructed(turn) for turn in inner):
        inner = [turn["kwargs"] for turn in inner]
    if is_messages(inner) or (isinstance(inner, list) and all(isinstance(t, Mapping) and "type" in t for t in inner)):
        return turns_of(inner), None
    if isinstance(value, Mapping):
        return Turns(), first_text(lowered(value), ("prompt", "input", "text", "question"))
    return Turns(), text_or_none(value)


def _constructed(turn: Any) -> bool:
    """Whether a message is an object of LangChain's as it writes them."""
    return isinstance(turn, Mapping) and isinstance(turn.get("kwargs"), Mapping)


def _answer_in(value: Any) -> str | None:
    value = parsed(value)
    if isinstance(value, Mapping):
        messages = turns_of([{"role": "assistant", **value}]).messages if "content" in value else []
        return messages[0].text if messages else first_text(value, ("completion", "text", "output", "answer"))
    return turns_of(value).messages[-1].text if is_messages(value) else text_or_none(value)


def langsmith_calls(line: int, record: Json) -> Iterator[Logged]:
    """A run of LangSmith; only runs of a model are calls, since a chain repeats the prompt of its child."""
    if record.get("run_type") != "llm":
        yield Skipped(line, f"a run of the type {str(record.get('run_type'))[:30]}, not a call of a model")
        return
    inputs, outputs, extra = (parsed(record.get(name)) or {} for name in ("inputs", "outputs", "extra"))
    prompts = inputs.get("prompts") if isinstance(inputs, Mapping) else None
    turns, text = (Turns(), str(prompts[0])) if isinstance(prompts, list) and prompts else _prompt_in(inputs)
    if not turns.messages and text is None:
        yield Skipped(line, "a run without inputs (they may lie in another store)")
        return
    messages, answer = split_answer(turns.messages)
    metadata = extra.get("metadata") or {} if isinstance(extra, Mapping) else {}
    yield Call(
        line,
        messages,
        text=text,
        completion=_generation(outputs) or answer,
        target=described(lowered(metadata)).get("target"),
        model=text_or_none(metadata.get("ls_model_name")),
        call_id=text_or_none(record.get("id")),
        time=text_or_none(record.get("start_time")),
        notices=turns.notices,
    )


def _generation(outputs: Any) -> str | None:
    if not isinstance(outputs, Mapping):
        return text_or_none(outputs)
    generation: Any = outputs.get("generations")
    while isinstance(generation, list) and generation:
        generation = generation[0]
    if isinstance(generation, Mapping):
        return text_or_none(generation.get("text"))
    choices = outputs.get("choices")
    message = choices[0].get("message") if isinstance(choices, list) and choices and choices[0] else None
    return text_or_none(message.get("content")) if isinstance(message, Mapping) else _answer_in(dict(outputs))


def langsmith_examples(line: int, record: Json) -> Iterator[Logged]:
    """A row of a LangSmith data set: its outputs are the true answer."""
    turns, text = _prompt_in(record.get("inputs"))
    target = _answer_in(record.get("outputs"))
    yield Call(line, tuple(turns.messages), text=text, target=target, call_id=text_or_none(record.get("id")))
