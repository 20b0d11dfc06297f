"""What does the JSON of each kind of work look like? One schema a kind, kept in `assets/schemas` in step with the code.

`demolens schema --into assets/schemas` writes them all anew.
"""

from __future__ import annotations

import json
from pathlib import Path

from core.errors import RequestError
from core.work.kinds import KINDS, kind_named


def schema_text(kind: str) -> str:
    """The JSON schema (draft 2020-12) of what `demolens KIND --json` writes; raises `RequestError` for no kind."""
    made = kind_named(kind).found.model_json_schema(mode="serialization")
    return json.dumps(made, indent=2, sort_keys=True) + "\n"


def write_schemas(folder: Path) -> list[Path]:
    """Write the schema of every kind as `<kind>.schema.json` into an existing folder; returns the files.

    Raises `RequestError` with one sentence where a file cannot be written.
    """
    written = []
    for kind in KINDS:
        path = folder / f"{kind}.schema.json"
        try:
            path.write_text(schema_text(kind), encoding="utf-8", newline="\n")
        except OSError as error:
            raise RequestError(f"{str(path)!r} cannot be written: {error.strerror}", where="--into") from None
        written.append(path)
    return written
