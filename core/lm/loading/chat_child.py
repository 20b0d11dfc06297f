"""Child process of `core.lm.loading.chat`: renders conversations by one untrusted chat template and prints them as
JSON.

Run by path, alone: it imports nothing of this package, so that a start takes a tenth of a second.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

CPU_SECONDS = 2
MEMORY_BYTES = 1 << 30
DATE = "01 Jan 2025"
"""What a template that asks for today gets: equal requests must give equal prompts."""


class Generation(Extension):
    """`{% generation %}…{% endgeneration %}` marks the model's own words for training; here it only shows them."""

    tags = {"generation"}  # noqa: RUF012 (Jinja wants a plain set)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The block's content, as if the two tags were not there."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def limit() -> None:
    """Bound this process's memory and its processor time from now on, where the system can."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def raise_exception(message: str) -> None:
    """What templates call to refuse a conversation."""
    raise ValueError(message)


def as_json(value: Any, **options: Any) -> str:
    """The `tojson` that chat templates expect: without HTML escapes."""
    return json.dumps(value, ensure_ascii=False, **options)


def rendered(template: str, special: dict[str, str], messages: list[dict[str, str]], longest: int) -> str:
    """The template's text for the messages, with the start of an answer behind all but the model's own; at most
    `longest` letters."""
    world = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation])
    world.filters["tojson"] = as_json
    world.globals["raise_exception"] = raise_exception
    world.globals["strftime_now"] = lambda _form: DATE
    pieces, size = [], 0
    start = messages[-1]["role"] != "assistant"
    for piece in world.from_string(template).generate(messages=messages, add_generation_prompt=start, **special):
        pieces.append(piece)
        size += len(piece)
        if size > longest:
            raise ValueError(f"it writes more than {longest} characters")
    return "".join(pieces)


def answered(question: list[dict[str, str]], reply: str, **options: Any) -> str:
    """The text of a conversation that ends in the model's answer; "" for a template that knows none."""
    try:
        return rendered(messages=[*question, {"role": "assistant", "content": reply}], **options)
    except Exception:
        return ""


def main() -> None:
    """Read the question from standard input, write the answer to standard output."""
    options = json.load(sys.stdin)
    conversations, reply = options.pop("conversations"), options.pop("reply")
    limit()
    try:
        texts = [rendered(messages=messages, **options) for messages in conversations]
        answer: dict[str, object] = {
            "texts": texts,
            "answered": [answered(messages, reply, **options) for messages in conversations],
        }
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"[:200]}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
