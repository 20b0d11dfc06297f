"""Which names do logs and tables have for the same field? Taken in this order, all compared in lower case."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypedDict

from core.prompt.imported.calls import Json, first_text

PROMPTS = ("prompt", "text", "full_prompt", "prompt_text", "rendered_prompt", "final_prompt", "llm_input", "input_text")
"""Columns with the whole prompt."""
QUESTIONS = ("input", "question", "query")
"""Columns that hold the whole prompt where none of `PROMPTS` is there."""
MESSAGES = ("messages", "prompt_messages", "conversations", "conversation", "chat", "input_messages")
TARGETS = (
    "target", "label", "answer", "expected", "expected_output", "expectedoutput", "expected_answer", "__expected",
    "ground_truth", "groundtruth", "gold", "reference", "true_item", "true_answer", "next_item", "chosen",
)  # fmt: skip
COMPLETIONS = ("completion", "response", "output", "prediction", "predicted", "generated", "model_output", "generation")
IDS = ("custom_id", "case", "case_id", "call_id", "request_id", "id", "doc_id", "uuid")
USERS = ("user", "user_id", "userid", "uid", "reviewerid")
TIMES = ("time", "timestamp", "start_time", "created_at", "created", "ts", "date")
MODELS = ("model", "model_name", "provided_model_name", "model_id", "llm")
OPTIONS = ("options", "choices", "candidates", "candidate_titles")


class Described(TypedDict, total=False):
    """Fields of a call that are no prompt."""

    target: str | None
    completion: str | None
    call_id: str | None
    user: str | None
    time: str | None
    model: str | None
    options: tuple[str, ...]


def lowered(record: Json) -> dict[str, Any]:
    """The record with its names in lower case."""
    return {str(name).strip().lower(): value for name, value in record.items()}


def described(record: Json) -> Described:
    """What a flat record with names in lower case says of its call, beside the prompt."""
    return Described(
        target=first_text(record, TARGETS),
        completion=first_text(record, COMPLETIONS),
        call_id=first_text(record, IDS),
        user=first_text(record, USERS),
        time=first_text(record, TIMES),
        model=first_text(record, MODELS),
        options=options_in(record),
    )


def options_in(record: Json) -> tuple[str, ...]:
    """The answer options that a record lists, as texts; none for fewer than two."""
    for name in OPTIONS:
        value = parsed(record.get(name))
        if isinstance(value, Sequence) and not isinstance(value, str):
            texts = tuple(str(option) for option in value if isinstance(option, (str, int, float)))
            if len(texts) > 1 and len(texts) == len(value):
                return texts
    return ()


def parsed(value: object) -> Any:
    """A JSON list or object that stands in a text; any other value as it is."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        return json.loads(value, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return value
