"""What does the JSON of each kind of work look like? One schema a kind, stored in `assets/schemas`.

`demolens schema --into assets/schemas` writes them all anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from core.data.data_report import DataReport
from core.errors import RequestError
from core.prompt.imported.case_file import PromptCase
from core.question.kinds import KINDS
from core.store.export import write_whole
from core.tuning.evaluation.record import Evaluation

SHAPES: Mapping[str, type[BaseModel]] = {name: kind.report for name, kind in KINDS.items()} | {
    "evaluate": Evaluation,
    "cases": PromptCase,
    "data": DataReport,
}
"""What each command that has `--json` writes; of `cases`, a line of a case file."""


def schema_text(kind: str) -> str:
    """The JSON schema (draft 2020-12) of what `demolens KIND --json` writes; raises `RequestError` for no kind."""
    if kind not in SHAPES:
        raise RequestError(f"no command {kind[:40]!r} that writes JSON", expected=f"one of {', '.join(SHAPES)}")
    schema = SHAPES[kind].model_json_schema(mode="serialization")
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def write_schemas(folder: Path) -> list[Path]:
    """Write the schema of every kind as `<kind>.schema.json` into an existing folder; returns the files.

    Raises `RequestError` with one sentence where a file cannot be written.
    """
    written = []
    for kind in SHAPES:
        path = folder / f"{kind}.schema.json"
        try:
            write_whole(path, schema_text(kind).encode())
        except OSError as error:
            raise RequestError(f"{str(path)!r} cannot be written: {error.strerror}", where="--into") from None
        written.append(path)
    return written
