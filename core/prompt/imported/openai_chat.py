"""How do OpenAI's chat, Batch, completions and Responses lines hold a call?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.prompt.imported.calls import Call, Json, Logged, LoggedAnswer, Skipped, Turns, split_answer, text_or_none
from core.prompt.imported.calls import turns_of as _turns_of
from core.prompt.imported.fields import described, lowered

OTHER_URLS = ("embeddings", "moderations", "images", "audio")
"""Endpoints of a batch that have no prompt of this kind."""


def training_calls(line: int, record: Json) -> Iterator[Logged]:
    """A fine-tuning line: the last assistant message is the true answer."""
    turns = _turns_of(record["messages"])
    messages, answer = split_answer(turns.messages)
    fields = described(lowered({name: value for name, value in record.items() if name != "messages"}))
    fields["target"] = fields.get("target") or answer
    fields["completion"] = fields.get("completion") or answer
    yield Call(line, messages, notices=turns.notices, **fields)


def preference_calls(line: int, record: Json) -> Iterator[Logged]:
    """A preference line: what was preferred is the true answer, and the other answer an option."""
    turns = _turns_of(_part(record, "input").get("messages"))
    answers = [
        _turns_of(record.get(f"{name}_output") or record.get(f"{name}_completion")).messages
        for name in ("preferred", "non_preferred")
    ]
    texts = tuple(turn[-1].text for turn in answers if turn)
    target = texts[0] if texts else None
    yield Call(
        line, tuple(turns.messages), target=target, options=texts if len(texts) > 1 else (), notices=turns.notices
    )


def batch_calls(line: int, record: Json) -> Iterator[Logged]:
    """A line of a Batch input file; its answer stands in the output file, joined on `custom_id`."""
    url = str(record.get("url", ""))
    if any(name in url for name in OTHER_URLS):
        yield Skipped(line, f"a request to {url[:40]}, which has no prompt to score")
        return
    custom_id = str(record["custom_id"])
    for call in request_calls(line, _part(record, "body")):
        if isinstance(call, Call):
            call = Call(**{**vars(call), "call_id": custom_id, "joins": custom_id})
        yield call


def batch_answers(line: int, record: Json) -> Iterator[Logged]:
    """A line of a Batch output file."""
    response = _part(record, "response")
    body = _part(response, "body")
    if record.get("error") or int(response.get("status_code") or 200) >= 400:
        yield Skipped(line, "a failed request of the batch")
    else:
        yield LoggedAnswer(line, str(record["custom_id"]), answer_of(body), text_or_none(body.get("model")))


def request_calls(line: int, record: Json) -> Iterator[Logged]:
    """The body of a request, with its answer where a proxy logged both."""
    if record.get("prompt") is None and "messages" not in record and "input" not in record:
        yield Skipped(line, "a prompt that the server keeps" if "previous_response_id" in record else "no prompt text")
        return
    fields = described(lowered({name: value for name, value in record.items() if name not in _BODIES}))
    fields["completion"] = answer_of(record) or answer_of(_part(record, "response")) or fields.get("completion")
    prompt = record.get("prompt")
    if isinstance(prompt, list) and prompt and all(isinstance(text, str) for text in prompt):
        yield from (Call(line, text=text, **fields) for text in prompt)
    elif isinstance(prompt, list):
        yield Skipped(line, "a prompt of token ids instead of text")
    elif isinstance(prompt, str):
        yield Call(line, text=prompt, **fields)
    else:
        yield _turned(line, record, fields)


def _turned(line: int, record: Json, fields: Any) -> Logged:
    """The call of a chat request or of a request to Responses."""
    turns = _input_turns(record) if "input" in record else _turns_of(record.get("messages"))
    if isinstance(prompt := record.get("prompt"), Mapping):
        return Skipped(line, f"a prompt that the server keeps ({str(prompt.get('id'))[:40]})")
    messages, answer = split_answer(turns.messages)
    fields["completion"] = fields.get("completion") or answer
    return Call(line, messages, notices=(*turns.notices, *_earlier(record)), **fields)


def _earlier(record: Json) -> tuple[str, ...]:
    if record.get("previous_response_id") or record.get("conversation"):
        return ("Earlier turns of this call stay on the server and are not in the prompt.",)
    return ()


def _input_turns(record: Json) -> Turns:
    """The turns of a request to Responses: instructions, then a text or items."""
    turns = Turns()
    if isinstance(record.get("instructions"), str):
        turns.add("system", record["instructions"])
    items = record["input"]
    if isinstance(items, str):
        turns.add("user", items)
        return turns
    items = items.get("data", []) if isinstance(items, Mapping) else items
    for item in items if isinstance(items, list) else ():
        if isinstance(item, Mapping) and item.get("type", "message") == "message":
            turns.add(item.get("role"), item.get("content"))
        elif isinstance(item, Mapping):
            turns.add("assistant", None, extra=[str(item.get("type")).replace("_", " ")[:40]])
    return turns


def answer_of(body: Json) -> str | None:
    """The answer in a response of chat, completions or Responses; None for a refusal or a tool call."""
    for choice in _list(body.get("choices"))[:1]:
        message = _part(choice, "message")
        return text_or_none(message.get("content")) or text_or_none(choice.get("text"))
    texts = [
        str(part.get("text"))
        for item in _list(body.get("output"))
        for part in _list(item.get("content"))
        if item.get("type", "message") == "message" and part.get("type") == "output_text"
    ]
    return "".join(texts) or None


def answers_only(line: int, record: Json) -> Iterator[Logged]:
    """A response without its request."""
    yield Skipped(line, f"an answer ({str(record.get('object'))[:40]}) without its prompt; give the requests")


def _part(record: Json, name: str) -> Json:
    value = record.get(name)
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Json]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


_BODIES = frozenset({"messages", "prompt", "input", "instructions", "output", "choices", "response", "metadata"})
