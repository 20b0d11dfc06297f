"""How do OpenInference spans, as Phoenix writes them, hold a call?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from core.prompt.imported.calls import (
    Call,
    FormatPart,
    Json,
    Logged,
    Skipped,
    Turns,
    is_messages,
    text_or_none,
    turns_of,
)
from core.prompt.imported.fields import TARGETS, parsed
from core.prompt.imported.placeholders import TemplateError, format_parts, pieces_of

_PREFIX = "attributes."
_INDEX = re.compile(r"\d+")
CALL_KINDS = frozenset({"", "LLM"})
"""Kinds of a span that is one call of a model; others enclose calls."""


def span_calls(line: int, record: Json) -> Iterator[Logged]:
    """The call of a span, with flat or nested attributes; other kinds of spans and failed calls are skipped."""
    span = attributes_of(record)
    kind = str(record.get("span_kind") or span.get("openinference.span.kind") or "").upper()
    if kind not in CALL_KINDS:
        yield Skipped(line, f"a span of the kind {kind[:30]}, not a call of a model")
    elif str(record.get("status_code", "")).upper() == "ERROR":
        yield Skipped(line, "a call that failed")
    else:
        yield _call(line, record, nested(span))


def attributes_of(record: Json) -> dict[str, Any]:
    """All attributes with dotted names, from columns `attributes.…` and from an object `attributes`."""
    span = {name.removeprefix(_PREFIX): value for name, value in record.items() if name.startswith((_PREFIX, "llm."))}
    inner = record.get("attributes")
    return span | (dict(inner) if isinstance(inner, Mapping) else {})


def nested(value: Any) -> Any:
    """Dotted names as objects inside each other, and objects whose names are all numbers as lists in that order."""
    if isinstance(value, (list, tuple)):
        return [nested(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    tree: dict[str, Any] = {}
    for name, item in value.items():
        if item is not None:
            _place(tree, str(name).split("."), nested(item))
    return _listed(tree)


def _place(tree: dict[str, Any], names: list[str], value: Any) -> None:
    for name in names[:-1]:
        inner = tree.get(name)
        if not isinstance(inner, dict):
            inner = tree[name] = {}
        tree = inner
    last = tree.get(names[-1])
    tree[names[-1]] = last | value if isinstance(last, dict) and isinstance(value, dict) else value


def _listed(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    whole = {name: _listed(value) for name, value in tree.items()}
    if whole and all(_INDEX.fullmatch(name) for name in whole):
        return [whole[name] for name in sorted(whole, key=int)]
    return whole


def _at(tree: Any, path: str) -> Any:
    for name in path.split("."):
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def _call(line: int, record: Json, span: Any) -> Logged:
    turns = _span_turns(_at(span, "llm.input_messages"))
    text = _prompt_text(span) if not turns.messages else None
    answers = _span_turns(_at(span, "llm.output_messages")).messages
    completion = answers[-1].text if answers else _output_text(span)
    if not turns.messages and text is None:
        turns, text = _raw_input(span)
    return Call(
        line,
        tuple(turns.messages),
        text=text,
        format_parts=_template_parts(span, turns, text),
        completion=completion,
        target=_target(span),
        model=_model(span),
        call_id=text_or_none(record.get("context.span_id") or _at(record, "context.span_id")),
        user=text_or_none(_at(span, "user.id")),
        time=text_or_none(record.get("start_time")),
        notices=turns.notices,
    )


def _span_turns(messages: Any) -> Turns:
    turns = Turns()
    for entry in parsed(messages) if isinstance(parsed(messages), list) else ():
        message = entry.get("message", entry) if isinstance(entry, dict) else {}
        parts = message.get("contents")
        content = message.get("content")
        if content is None and isinstance(parts, list):
            content = [part.get("message_content", part) for part in parts if isinstance(part, dict)]
        turns.add(message.get("role"), content, extra=("tool call",) * bool(message.get("tool_calls")))
    return turns


def _prompt_text(span: Any) -> str | None:
    prompts = _at(span, "llm.prompts")
    first = prompts[0] if isinstance(prompts, list) and prompts else None
    return text_or_none(first if isinstance(first, str) else _at(first, "prompt.text"))


def _output_text(span: Any) -> str | None:
    choices = _at(span, "llm.choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return text_or_none(_at(first, "completion.text")) or text_or_none(_at(span, "output.value"))


def _raw_input(span: Any) -> tuple[Turns, str | None]:
    """The call of the raw request, where no messages were logged."""
    value = _at(span, "input.value")
    request = parsed(value)
    if isinstance(request, dict) and is_messages(request.get("messages")):
        return turns_of(request["messages"]), None
    return (turns_of(request), None) if is_messages(request) else (Turns(), text_or_none(value))


def _template_parts(span: Any, turns: Turns, text: str | None) -> tuple[FormatPart, ...]:
    """The cuts that template and variables give, where they give the logged words again."""
    template, variables = _at(span, "llm.prompt_template.template"), parsed(_at(span, "llm.prompt_template.variables"))
    if not isinstance(template, str) or not isinstance(variables, dict):
        return ()
    logged = next((turn.text for turn in reversed(turns.messages) if turn.role == "user"), text)
    try:
        parts = format_parts(pieces_of(template, variables, "llm.prompt_template", style="format"))
    except TemplateError:
        return ()
    return parts if "".join(part.text for part in parts) == logged else ()


def _target(span: Any) -> str | None:
    metadata = parsed(span.get("metadata")) if isinstance(span, dict) else None
    if not isinstance(metadata, dict):
        return None
    return next((text for name in TARGETS if (text := text_or_none(metadata.get(name)))), None)


def _model(span: Any) -> str | None:
    names = ("llm.model_name", "llm.response.model_name", "llm.request.model_name")
    return next((text for name in names if (text := text_or_none(_at(span, name)))), None)
