"""Reads JSON of unknown origin: bounded in size and depth, every key once, without switches that run code."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.errors import ModelError

_CODE_KEYS = ("auto_map", "trust_remote_code", "custom_pipelines")
"""Keys through which a configuration asks the library to run code that came with it."""


def read_object(path: Path, *, longest: int, where: str) -> dict[str, Any]:
    """The JSON object in a file of at most `longest` bytes; raises `ModelError` naming the file and what is wrong."""
    where = f"{where}, {path.name}"
    try:
        size = path.stat().st_size
        if size > longest:
            raise ModelError(f"{size} bytes", expected=f"at most {longest}", where=where)
        return parsed_object(path.read_bytes(), where=where)
    except OSError as error:
        raise unreadable(error, where=where) from None


def unreadable(error: OSError, *, where: str, what: str = "") -> ModelError:
    """The sentence for a file or folder, `what` by name, that the system does not let us read."""
    return ModelError(f"{what} cannot be read ({(error.strerror or 'no such file').lower()})".lstrip(), where=where)


def answer_of(output: bytes) -> dict[str, Any]:
    """The JSON object in the last line that a child process printed; empty where there is none."""
    lines = output.splitlines()
    with contextlib.suppress(ModelError):
        return parsed_object(lines[-1], where="") if lines else {}
    return {}


def parsed_object(data: bytes, *, where: str) -> dict[str, Any]:
    """The JSON object in `data`, every key once; raises `ModelError`."""
    try:
        value = json.loads(data, object_pairs_hook=_unique)
    except _RepeatedError as error:
        raise ModelError(f"the key {error} stands there twice", expected="every key once", where=where) from None
    except (ValueError, RecursionError):
        raise ModelError("not readable as JSON", expected="one JSON object", where=where) from None
    if not isinstance(value, dict):
        raise ModelError(f"a JSON {type(value).__name__}", expected="one JSON object", where=where)
    return value


def check_sizes(values: Mapping[str, Any], largest: Mapping[str, int], *, prefix: str = "", where: str) -> None:
    """Raise `ModelError` unless each value that stands under `prefix` and a key of `largest` is from 1 to that size."""
    for key, most in largest.items():
        value = values.get(prefix + key)
        if value is not None and not (type(value) is int and 0 < value <= most):
            raise ModelError(f"{key} is {str(value)[:40]}", expected=f"a whole number from 1 to {most}", where=where)


def refuse_code(value: dict[str, Any], *, where: str) -> None:
    """Raise `ModelError` if, at any depth, the object asks for code of its own to be run.

    `trust_remote_code=False` at the call was not enough: nested values have overridden it (CVE-2026-5241).
    """
    for key, inner in _entries(value):
        if key in _CODE_KEYS and inner not in (None, False):
            expected = "a model that needs no code of its own"
            raise ModelError(f"{key} asks to run code that comes with the model", expected=expected, where=where)


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict):
            yield from inner.items()
            waiting.extend(inner.values())
        elif isinstance(inner, list):
            waiting.extend(inner)


class _RepeatedError(Exception):
    """A key stands twice in one object; its text is the key."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for key, value in pairs:
        if key in entries:
            raise _RepeatedError(repr(key[:80]))
        entries[key] = value
    return entries
