"""What a model's chat template writes before and after the user's words."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from core.errors import ModelError
from core.lm.loading.json_files import answer_of
from core.prompt.spans import ChatTurns

MARKER = "DEMOLENSUSERWORDS"
"""Stands for the user's words while the template is rendered; letters only, so no filter changes it."""
REPLY = "DEMOLENSMODELWORDS"
"""Stands for the model's answer."""
LONGEST_TEMPLATE = 200_000
"""Characters; the longest template in use (tool calling) has about 30,000."""
LONGEST_OUTPUT = 20_000
"""Characters a frame may have."""
LONGEST_TURN = 2_000
"""Characters that each message may add to it."""
_NUMBERED = re.compile(f"{MARKER}([0-9]+)END")
WALL_SECONDS = 300.0
"""For the whole child process, where the system cannot end it after its 2 s of processor time."""


def split_chat(template: str, special: dict[str, str], *, where: str) -> tuple[str, str]:
    """Text before the user's words, and all that stands between them and the first letter of the model's answer.

    That is what the template writes in a conversation with an answer in it: the assistant's header and, for some
    models, a space or an empty block of thoughts. Where the template renders no such conversation, or one with
    another header, it is the header of an answer that is about to begin.
    The template is untrusted: it runs in Jinja's sandbox, in a child process with limits on time and memory.
    Raises `ModelError` naming what it did: failed, took too long, wrote too much, dropped or repeated the words.
    """
    if len(template) > LONGEST_TEMPLATE:
        raise _refused(f"a chat template of {len(template)} characters", f"at most {LONGEST_TEMPLATE}", where)
    ((question, answered),) = _rendered(template, special, [[{"role": "user", "content": MARKER}]], where)
    parts = question.split(MARKER)
    if len(parts) != 2:
        raise _refused(f"a chat template that writes the user's words {len(parts) - 1} times", "once", where)
    head, header = parts
    return head, _before_reply(head, header, answered)


def split_turns(
    template: str, special: dict[str, str], conversations: Sequence[Sequence[str]], *, where: str
) -> list[ChatTurns]:
    """What the template writes around the messages of each conversation, given by its roles, whatever the words are.

    Behind the last message stands what comes before the first letter of the model's answer, as in `split_chat`; nothing
    where that message is the model's own, which the answer goes on with. Raises `ModelError` as `split_chat` does, and
    for a template that does not write each message once and in order.
    """
    if len(template) > LONGEST_TEMPLATE:
        raise _refused(f"a chat template of {len(template)} characters", f"at most {LONGEST_TEMPLATE}", where)
    marked = [[{"role": role, "content": _mark(place)} for place, role in enumerate(roles)] for roles in conversations]
    texts = _rendered(template, special, marked, where)
    return [_turns(roles, *pair, where) for roles, pair in zip(conversations, texts, strict=True)]


def _mark(place: int) -> str:
    return f"{MARKER}{place}END"


def _turns(roles: Sequence[str], question: str, answered: str, where: str) -> ChatTurns:
    """What stands around the marked messages of a conversation that was rendered without and with an answer."""
    marks = [_mark(place) for place in range(len(roles))]
    if [mark[0] for mark in _NUMBERED.finditer(question)] != marks:
        raise _refused("a chat template that changes the order of messages", "each once and in order", where)
    *gaps, header = _NUMBERED.split(question)[::2]
    if roles[-1] == "assistant":
        return ChatTurns(tuple(gaps), "", "")
    head = question.removesuffix(marks[-1] + header)
    after = _before_reply(head, header, answered, mark=marks[-1])
    tail = after.rstrip(" ")
    return ChatTurns(tuple(gaps), tail, after[len(tail) :])


def _before_reply(head: str, header: str, answered: str, *, mark: str = MARKER) -> str:
    """What stands between the words of the two: more than the header, or less where the header begins a thought."""
    parts = answered.removeprefix(head + mark).split(REPLY)
    if not answered.startswith(head + mark) or len(parts) != 2 or MARKER in parts[0]:
        return header
    between = parts[0]
    fits = between.startswith(header) or (between.strip() and header.startswith(between))
    return between if fits else header


def _rendered(
    template: str, special: dict[str, str], conversations: Sequence[Sequence[dict[str, str]]], where: str
) -> list[tuple[str, str]]:
    """The template's text for each conversation, and for the same with the model's answer ("" where it fails)."""
    longest = LONGEST_OUTPUT + LONGEST_TURN * (max(map(len, conversations)) - 1)
    question = json.dumps(
        {"template": template, "special": special, "conversations": conversations, "reply": REPLY, "longest": longest}
    )
    command = [sys.executable, "-I", str(Path(__file__).with_name("chat_child.py"))]
    try:
        done = subprocess.run(command, input=question.encode(), capture_output=True, timeout=WALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise _refused("a chat template that does not come to an end", "an answer within 2 s", where) from None
    answer = answer_of(done.stdout)
    if "texts" in answer:
        return list(zip(answer["texts"], answer["answered"], strict=True))
    reason = answer.get("error", "it used up its 2 s of time or its memory")
    raise _refused(f"a chat template that fails ({reason})", "one that renders this conversation", where)


def _refused(problem: str, expected: str, where: str) -> ModelError:
    return ModelError(problem, expected=expected, where=where)
