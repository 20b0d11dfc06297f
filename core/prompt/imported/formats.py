"""Which formats of logged prompts are read? A new one is a function that yields calls and a row here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from core.errors import DataError, RequestError
from core.prompt.imported import (
    dspy_program,
    evaluation_logs,
    gen_ai,
    langchain_prompt,
    observation_logs,
    open_inference,
    openai_chat,
    tables,
)
from core.prompt.imported.calls import Json, Logged
from core.prompt.imported.fields import MESSAGES
from core.prompt.imported.sources import Source
from core.words import brief


@dataclass(frozen=True)
class PromptFormat:
    """One format."""

    name: str
    words: str
    """For the screen."""
    applies: Callable[[Json], bool]
    """Whether a record has its keys."""
    calls: Callable[[int, Json], Iterator[Logged]]
    """The calls of a record with its line or row."""
    joins: bool = False
    """Whether prompts and answers stand in different lines or files, joined on an id."""


def _keys(*names: str) -> Callable[[Json], bool]:
    return lambda record: all(name in record for name in names)


def _has_attributes(record: Json) -> bool:
    attributes = record.get("attributes")
    inner = attributes if isinstance(attributes, Mapping) else {}
    return any(
        name.startswith(("attributes.llm.", "context.span_id", "attributes.openinference")) for name in record
    ) or (any(str(name).startswith(("llm", "openinference")) for name in inner))


def _is_answer(record: Json) -> bool:
    kinds = ("chat.completion", "text_completion", "response")
    return record.get("object") in kinds and "messages" not in record and "prompt" not in record


FORMATS = (
    PromptFormat("openai_batch", "OpenAI Batch, requests", _keys("custom_id", "body"), openai_chat.batch_calls, True),
    PromptFormat(
        "openai_batch_answers", "OpenAI Batch, answers", _keys("custom_id", "response"), openai_chat.batch_answers, True
    ),
    PromptFormat("otlp", "OpenTelemetry, OTLP/JSON", _keys("resourceSpans"), gen_ai.otlp_calls),
    PromptFormat("otlp_logs", "OpenTelemetry events, OTLP/JSON logs", _keys("resourceLogs"), gen_ai.log_calls),
    PromptFormat("openinference", "OpenInference or Phoenix spans", _has_attributes, open_inference.span_calls),
    PromptFormat(
        "otel_console", "OpenTelemetry's console output", _keys("context", "kind", "resource"), gen_ai.console_calls
    ),
    PromptFormat(
        "otel_span",
        "OpenTelemetry GenAI spans",
        lambda record: (
            isinstance(record.get("attributes"), Mapping)
            and any(str(name).startswith("gen_ai.") for name in record["attributes"])
        ),
        gen_ai.console_calls,
    ),
    PromptFormat(
        "langfuse",
        "Langfuse observations",
        lambda record: (
            "provided_model_name" in record
            or ({"traceId", "type"} <= record.keys())
            or ({"trace_id", "type", "input"} <= record.keys())
        ),
        observation_logs.langfuse_calls,
    ),
    PromptFormat("langsmith", "LangSmith runs", _keys("run_type", "inputs"), observation_logs.langsmith_calls),
    PromptFormat(
        "langsmith_examples", "LangSmith examples", _keys("inputs", "outputs"), observation_logs.langsmith_examples
    ),
    PromptFormat("langchain", "a LangChain prompt", langchain_prompt.is_prompt, langchain_prompt.prompt_calls),
    PromptFormat(
        "dspy",
        "a saved DSPy program",
        lambda record: bool(dspy_program.predictors_of(record)),
        dspy_program.program_calls,
    ),
    PromptFormat("lm_eval", "samples of lm-eval", _keys("doc_id", "arguments", "resps"), evaluation_logs.harness_calls),
    PromptFormat("inspect", "an Inspect log", _keys("eval", "samples"), evaluation_logs.inspect_calls),
    PromptFormat(
        "promptfoo",
        "results of promptfoo",
        lambda record: (
            "evalId" in record or (isinstance(record.get("results"), Mapping) and "results" in record["results"])
        ),
        evaluation_logs.promptfoo_calls,
    ),
    PromptFormat(
        "openai_preference",
        "OpenAI preference lines",
        lambda record: "preferred_output" in record or "preferred_completion" in record,
        openai_chat.preference_calls,
    ),
    PromptFormat("openai_answers", "OpenAI answers without prompts", _is_answer, openai_chat.answers_only),
    PromptFormat(
        "openai_responses", "requests to OpenAI's Responses", _keys("input", "model"), openai_chat.request_calls
    ),
    PromptFormat(
        "openai_requests",
        "bodies of OpenAI requests",
        lambda record: "model" in record and ("messages" in record or isinstance(record.get("prompt"), (str, list))),
        openai_chat.request_calls,
    ),
    PromptFormat("openai_chat", "OpenAI chat lines (fine-tuning)", _keys("messages"), openai_chat.training_calls),
    PromptFormat("alpaca", "Alpaca or TALLRec rows", _keys("instruction", "output"), tables.alpaca_calls),
    PromptFormat("table", "rows with a prompt", tables.has_prompt, tables.row_calls),
)
"""Tried in this order on the first record."""
TEXT = PromptFormat("text", "one prompt as plain text", lambda _: False, tables.plain_calls)
NAMES = (*(row.name for row in FORMATS), TEXT.name)


def format_named(name: str) -> PromptFormat:
    """The row of a name; raises `RequestError` for another one."""
    row = next((row for row in (*FORMATS, TEXT) if row.name == name), None)
    if row is None:
        raise RequestError(f"no format {brief(name)}", expected=f"one of {', '.join(NAMES)}", where="--format")
    return row


def format_of(source: Source) -> PromptFormat:
    """The format of a file by the keys of its first record; raises `DataError` for a file of another kind."""
    if source.kind == "text":
        return TEXT
    first = source.first
    if first is None:
        raise DataError("no JSON object that can be read", expected="logged calls", where=source.name)
    names: Json = dict.fromkeys(source.columns) | dict(first) if source.kind == "table" else first
    row = next((row for row in FORMATS if row.applies(names)), None)
    if row is None or (row.name == "table" and _holds_interactions(names)):
        raise DataError(
            _unknown(source, names), expected="logged calls or prompts in one of the formats", where=source.name
        )
    return row


def _holds_interactions(names: Json) -> bool:
    """Whether rows name a user and an item, and their only text is a review or the like."""
    plain = {str(name).lower() for name in names}
    return len(plain & INTERACTION_COLUMNS) > 1 and plain.isdisjoint({"prompt", *MESSAGES})


INTERACTION_COLUMNS = frozenset(
    {"user_id", "userid", "item_id", "itemid", "movieid", "asin", "parent_asin", "rating", "timestamp"}
)


def _unknown(source: Source, names: Json) -> str:
    columns = [str(name) for name in (source.columns or names)]
    plain = {column.split(":")[0].lower() for column in columns}
    listed = ", ".join(columns[:8])[:120]
    if ":token" in "".join(columns) or len(plain & INTERACTION_COLUMNS) > 1:
        return f"this is interaction or item data ({listed}), not prompts"
    return f"no prompt among the fields {listed}"
