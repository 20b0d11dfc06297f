"""What a model's chat template writes before and after the user's words."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from core.errors import ModelError
from core.lm.loading.json_files import answer_of

MARKER = "DEMOLENSUSERWORDS"
"""Stands for the user's words while the template is rendered; letters only, so no filter changes it."""
REPLY = "DEMOLENSMODELWORDS"
"""Stands for the model's answer."""
LONGEST_TEMPLATE = 200_000
"""Characters; the longest template in use (tool calling) has about 30,000."""
LONGEST_OUTPUT = 20_000
"""Characters a frame may have."""
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
    question, answered = _rendered(template, special, where)
    parts = question.split(MARKER)
    if len(parts) != 2:
        raise _refused(f"a chat template that writes the user's words {len(parts) - 1} times", "once", where)
    head, header = parts
    return head, _before_reply(head, header, answered)


def _before_reply(head: str, header: str, answered: str) -> str:
    """What stands between the words of the two: more than the header, or less where the header begins a thought."""
    parts = answered.removeprefix(head + MARKER).split(REPLY)
    if not answered.startswith(head + MARKER) or len(parts) != 2 or MARKER in parts[0]:
        return header
    between = parts[0]
    fits = between.startswith(header) or (between.strip() and header.startswith(between))
    return between if fits else header


def _rendered(template: str, special: dict[str, str], where: str) -> tuple[str, str]:
    """The template's text for a question, and for one with its answer ("" where it fails)."""
    question = json.dumps(
        {"template": template, "special": special, "words": MARKER, "reply": REPLY, "longest": LONGEST_OUTPUT}
    )
    command = [sys.executable, "-I", str(Path(__file__).with_name("chat_child.py"))]
    try:
        done = subprocess.run(command, input=question.encode(), capture_output=True, timeout=WALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise _refused("a chat template that does not come to an end", "an answer within 2 s", where) from None
    answer = answer_of(done.stdout)
    if "text" in answer:
        return answer["text"], answer["answered"]
    reason = answer.get("error", "it used up its 2 s of time or its memory")
    raise _refused(f"a chat template that fails ({reason})", "one that renders a single user message", where)


def _refused(problem: str, expected: str, where: str) -> ModelError:
    return ModelError(problem, expected=expected, where=where)
