"""What of a saved LangChain prompt can be imported? Nothing by itself: it is a template without the calls it made."""

from __future__ import annotations

from collections.abc import Iterator

from core.prompt.imported.calls import Json, Logged, Skipped


def is_prompt(record: Json) -> bool:
    """Whether a record is what `save` or `dumpd` writes of a prompt."""
    return "_type" in record or {"lc", "type", "id"} <= record.keys()


def prompt_calls(line: int, _: Json) -> Iterator[Logged]:
    """The reason to skip it, and what to do instead."""
    yield Skipped(line, "a LangChain prompt without calls; export its examples as a table and give --template")
