"""How do OpenTelemetry's GenAI spans and events hold a call, from version 1.27 of the conventions on?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.prompt.imported.calls import Call, Json, Logged, Skipped, Turns, is_messages, text_or_none
from core.prompt.imported.fields import parsed
from core.prompt.imported.open_inference import nested, span_calls

SWITCH = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
NO_CONTENT = f"a span without content (set {SWITCH}=SPAN_ONLY where the calls are made)"
INPUTS = ("gen_ai.input.messages", "gen_ai.prompt")
OUTPUTS = ("gen_ai.output.messages", "gen_ai.completion")
DETAILS = "gen_ai.client.inference.operation.details"


def otlp_calls(line: int, record: Json) -> Iterator[Logged]:
    """The calls of an OTLP/JSON document; spans of other programs parts are skipped."""
    for resource in _objects(record.get("resourceSpans")):
        for scope in _objects(resource.get("scopeSpans")):
            for span in _objects(scope.get("spans")):
                attributes = _plain_attributes(span.get("attributes"))
                events = [
                    {"name": event.get("name"), "attributes": _plain_attributes(event.get("attributes"))}
                    for event in _objects(span.get("events"))
                ]
                flat = {**span, "attributes": attributes, "events": events}
                yield from console_calls(line, flat, call_id=text_or_none(span.get("spanId")))


def log_calls(line: int, record: Json) -> Iterator[Logged]:
    """The calls of an OTLP/JSON document of logs: events of one span are one call, in the order of the document."""
    spans: dict[tuple[str | None, str | None], list[Json]] = {}
    for resource in _objects(record.get("resourceLogs")):
        for scope in _objects(resource.get("scopeLogs")):
            for entry in _objects(scope.get("logRecords")):
                event = _event_of(entry)
                if event["name"].startswith("gen_ai."):
                    place = text_or_none(entry.get("traceId")), text_or_none(entry.get("spanId"))
                    spans.setdefault(place, []).append(event)
    if not spans:
        yield Skipped(line, "log records without a call of a model")
    for (_, span_id), events in spans.items():
        flat = {"attributes": {"gen_ai.operation.name": "chat"}, "events": events, "start_time": events[0]["time"]}
        yield from console_calls(line, flat, call_id=span_id)


def _event_of(entry: Json) -> dict[str, Any]:
    """A log record as an event with the fields of its attributes and its body."""
    attributes, body = _plain_attributes(entry.get("attributes")), _plain(entry.get("body"))
    name = entry.get("eventName") or attributes.get("event.name") or ""
    fields = attributes | (body if isinstance(body, dict) else {})
    return {"name": str(name), "attributes": fields, "time": entry.get("timeUnixNano")}


def console_calls(line: int, record: Json, *, call_id: str | None = None) -> Iterator[Logged]:
    """The call of one span with plain attributes, as OpenTelemetry's console exporter for Python writes it."""
    attributes = record.get("attributes")
    span: dict[str, Any] = dict(attributes) if isinstance(attributes, Mapping) else {}
    context = record.get("context")
    if call_id is None and isinstance(context, Mapping):
        call_id = text_or_none(context.get("span_id"))
    for event in _objects(record.get("events")):
        if event.get("name") in (DETAILS, "gen_ai.content.prompt", "gen_ai.content.completion"):
            span |= dict(event.get("attributes") or {})
    if any(name.startswith("llm.") for name in span):
        yield from span_calls(line, {**record, "attributes": span, "context.span_id": call_id})
    elif not any(name.startswith("gen_ai.") for name in span):
        yield Skipped(line, "a span that is no call of a model")
    else:
        yield _call(line, record, span, call_id)


def _call(line: int, record: Json, span: dict[str, Any], call_id: str | None) -> Logged:
    turns, answers = Turns(), Turns()
    for part in _parts(span.get("gen_ai.system_instructions")):
        turns.add("system", [part])
    tree = nested(span)
    for source, flat, into in ((INPUTS, "prompt", turns), (OUTPUTS, "completion", answers)):
        _add_turns(into, _first(span, source), _under(tree, flat))
    _add_events(turns, answers, record)
    if not turns.messages:
        text = _first(span, INPUTS)
        if not isinstance(text, str):
            return Skipped(line, NO_CONTENT)
        return Call(
            line, text=text, completion=text_or_none(_first(span, OUTPUTS)), model=_model(span), call_id=call_id
        )
    return Call(
        line,
        tuple(turns.messages),
        completion=answers.messages[-1].text if answers.messages else None,
        model=_model(span),
        call_id=call_id,
        user=text_or_none(span.get("user.id") or span.get("enduser.id")),
        time=text_or_none(record.get("start_time") or record.get("startTimeUnixNano")),
        notices=turns.notices,
    )


def _add_turns(turns: Turns, value: Any, flat: Any) -> None:
    """Add the messages of a JSON text or list, else of OpenLLMetry's numbered attributes."""
    messages = parsed(value)
    if not is_messages(messages):
        messages = flat if isinstance(flat, list) else []
    for message in messages:
        if isinstance(message, Mapping):
            turns.add(message.get("role"), message.get("parts", message.get("content")))


def _add_events(turns: Turns, answers: Turns, record: Json) -> None:
    """Add the messages that stand in one event each."""
    for event in _objects(record.get("events")):
        name, body = str(event.get("name", "")), event.get("attributes") or event.get("body") or {}
        if name == "gen_ai.choice":
            answers.add("assistant", parsed(body.get("message", {})) and _content(parsed(body.get("message"))))
        elif name.startswith("gen_ai.") and name.endswith(".message"):
            turns.add(name.split(".")[1], body.get("content"))


def _content(message: Any) -> Any:
    return message.get("content") if isinstance(message, Mapping) else message


def _under(tree: Any, name: str) -> Any:
    inner = tree.get("gen_ai") if isinstance(tree, dict) else None
    return inner.get(name) if isinstance(inner, dict) else None


def _first(span: Json, names: tuple[str, ...]) -> Any:
    return next((span[name] for name in names if span.get(name) is not None), None)


def _model(span: Json) -> str | None:
    return text_or_none(span.get("gen_ai.response.model") or span.get("gen_ai.request.model"))


def _parts(value: Any) -> list[Any]:
    parts = parsed(value)
    return parts if isinstance(parts, list) else [parts] if parts is not None else []


def _objects(value: object) -> list[Json]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _plain_attributes(attributes: object) -> dict[str, Any]:
    """OTLP's list of keys and typed values as an object; an object as it is."""
    if isinstance(attributes, Mapping):
        return dict(attributes)
    return {str(entry.get("key")): _plain(entry.get("value")) for entry in _objects(attributes)}


def _plain(value: Any) -> Any:
    """A typed value of OTLP as a plain one; integers stand there as texts."""
    if not isinstance(value, Mapping):
        return value
    if isinstance(array := value.get("arrayValue"), Mapping):
        return [_plain(item) for item in array.get("values", [])]
    if isinstance(pairs := value.get("kvlistValue"), Mapping):
        return _plain_attributes(pairs.get("values"))
    return next(
        (value[name] for name in ("stringValue", "intValue", "doubleValue", "boolValue") if name in value), None
    )
