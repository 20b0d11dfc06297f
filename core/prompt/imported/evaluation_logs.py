"""How do the logs of evaluation tools hold a call: lm-eval, Inspect and promptfoo?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.prompt.imported.calls import (
    Call,
    Json,
    Logged,
    Skipped,
    Turns,
    is_messages,
    split_answer,
    text_or_none,
    turns_of,
)
from core.prompt.imported.fields import parsed


def harness_calls(line: int, record: Json) -> Iterator[Logged]:
    """A sample of lm-eval: one prompt, and an option for each of its arguments."""
    arguments = record.get("arguments")
    values = list(arguments.values()) if isinstance(arguments, Mapping) else arguments
    pairs = [_pair(value) for value in values if isinstance(value, (Mapping, list))] if values else []
    if not pairs or pairs[0][0] is None:
        yield Skipped(line, "no prompt text")
        return
    prompt = pairs[0][0]
    options = tuple(option.strip() for _, option in pairs if isinstance(option, str) and option.strip())
    target = text_or_none(record.get("target"))
    if target is not None and target.isdecimal() and int(target) < len(options):
        target = options[int(target)]
    messages = _messages_in(prompt)
    turns = turns_of(messages) if messages else Turns()
    doc = record.get("doc")
    yield Call(
        line,
        tuple(turns.messages),
        text=None if messages else str(prompt),
        target=target.strip() if target else None,
        options=options if len(options) > 1 and len(options) == len(pairs) else (),
        completion=_response(record),
        call_id=text_or_none(record.get("doc_id")),
        user=text_or_none(doc.get("user")) if isinstance(doc, Mapping) else None,
        notices=turns.notices,
    )


def _pair(value: Any) -> tuple[Any, Any]:
    if isinstance(value, Mapping):
        return value.get("arg_0"), value.get("arg_1")
    return (value[0], value[1]) if len(value) > 1 else (value[0] if value else None, None)


def _messages_in(prompt: object) -> list[Any] | None:
    """The messages that a list with one JSON text holds, as lm-eval writes those of chat servers."""
    inner = parsed(prompt[0]) if isinstance(prompt, list) and prompt else parsed(prompt)
    return inner if is_messages(inner) else prompt if isinstance(prompt, list) and is_messages(prompt) else None


def _response(record: Json) -> str | None:
    """The text that was generated; none where options were scored."""
    responses = record.get("filtered_resps") or record.get("resps")
    while isinstance(responses, list) and len(responses) == 1:
        responses = responses[0]
    return responses if isinstance(responses, str) and responses.strip() else None


def inspect_calls(line: int, record: Json) -> Iterator[Logged]:
    """The samples of an Inspect log; long texts that it keeps apart are put back."""
    model = text_or_none((record.get("eval") or {}).get("model"))
    for sample in record.get("samples") or ():
        if not isinstance(sample, Mapping):
            continue
        turns = turns_of(_attached(sample.get("messages"), sample.get("attachments") or {}))
        messages, answer = split_answer(turns.messages)
        output = sample.get("output") or {}
        target = sample.get("target")
        choices = tuple(str(choice) for choice in sample.get("choices") or ())
        yield Call(
            line,
            messages,
            text=None if messages else text_or_none(sample.get("input")),
            completion=text_or_none(output.get("completion")) or answer,
            target=text_or_none(target[0] if isinstance(target, list) and target else target),
            options=choices if len(choices) > 1 else (),
            model=text_or_none(output.get("model")) or model,
            call_id=f"{sample.get('id')}-{sample.get('epoch', 1)}",
            notices=turns.notices,
        )


def _attached(messages: Any, attachments: Json) -> list[Any]:
    """The messages with texts in place of their references `attachment://…`."""
    resolved = []
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, Mapping) else None
        if isinstance(content, str) and content.startswith("attachment://"):
            message = {**message, "content": attachments.get(content.removeprefix("attachment://"))}
        resolved.append(message)
    return resolved


def promptfoo_calls(line: int, record: Json) -> Iterator[Logged]:
    """The results of promptfoo, version 2 and 3."""
    results = record.get("results")
    rows = results.get("results") if isinstance(results, Mapping) else results
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, Mapping):
            continue
        prompt = row.get("prompt") or {}
        raw = prompt.get("raw") if isinstance(prompt, Mapping) else prompt
        messages = parsed(raw)
        turns = turns_of(messages) if is_messages(messages) else Turns()
        provider = row.get("provider") or {}
        yield Call(
            line,
            tuple(turns.messages),
            text=None if turns.messages else text_or_none(raw),
            completion=text_or_none((row.get("response") or {}).get("output")),
            target=_expected(row.get("testCase") or {}),
            model=text_or_none(provider.get("id") if isinstance(provider, Mapping) else provider),
            call_id=f"{row.get('testIdx', '')}-{row.get('promptIdx', '')}",
            notices=turns.notices,
        )


def _expected(test: Json) -> str | None:
    """The value of the first assertion of equality."""
    for check in test.get("assert") or ():
        if isinstance(check, Mapping) and check.get("type") in ("equals", "contains", "icontains"):
            return text_or_none(check.get("value"))
    return None
