"""What a model's chat template writes before and after the user's words."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from core.errors import ModelError

MARKER = "DEMOLENSUSERWORDS"
"""Stands for the user's words while the template is rendered; letters only, so no filter changes it."""
LONGEST_TEMPLATE = 200_000
"""Characters; the longest template in use (tool calling) has about 30,000."""
LONGEST_OUTPUT = 20_000
"""Characters a frame may have."""
WALL_SECONDS = 20.0
"""For the whole child process on a busy machine; rendering itself may use 2 s of processor time."""


def split_chat(template: str, special: dict[str, str], *, where: str) -> tuple[str, str]:
    """Text before and after the user's words, with the assistant's header at the end.

    The template is untrusted: it runs in Jinja's sandbox, in a child process with limits on time and memory.
    Raises `ModelError` naming what it did: failed, took too long, wrote too much, dropped or repeated the words.
    """
    if len(template) > LONGEST_TEMPLATE:
        raise _refused(f"a chat template of {len(template)} characters", f"at most {LONGEST_TEMPLATE}", where)
    parts = _rendered(template, special, where).split(MARKER)
    if len(parts) != 2:
        raise _refused(f"a chat template that writes the user's words {len(parts) - 1} times", "once", where)
    return parts[0], parts[1]


def _rendered(template: str, special: dict[str, str], where: str) -> str:
    question = json.dumps({"template": template, "special": special, "words": MARKER, "longest": LONGEST_OUTPUT})
    command = [sys.executable, "-I", str(Path(__file__).with_name("chat_child.py"))]
    try:
        done = subprocess.run(command, input=question.encode(), capture_output=True, timeout=WALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise _refused("a chat template that does not come to an end", "an answer within 2 s", where) from None
    answer = _answer(done.stdout)
    if "text" in answer:
        return answer["text"]
    reason = answer.get("error", "it used up its 2 s of time or its memory")
    raise _refused(f"a chat template that fails ({reason})", "one that renders a single user message", where)


def _answer(output: bytes) -> dict[str, str]:
    try:
        answer = json.loads(output)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _refused(found: str, expected: str, where: str) -> ModelError:
    return ModelError(found, expected=expected, where=where)
