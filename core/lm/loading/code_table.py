"""Reads the codes of users and items that a model or an adapter was tuned to find in its prompts."""

from __future__ import annotations

from pathlib import Path

from core.errors import ModelError, PromptError
from core.lm.loading.json_files import read_object
from core.prompt.codes import Codes

CODES = "codes.json"
"""Beside the weights: the data set that the codes belong to, and a code for each user and item; most have none."""
LONGEST = 64_000_000
"""Bytes."""


def codes_beside(folder: Path, *, where: str) -> Codes | None:
    """The codes that lie in a model's or an adapter's folder; None where none do.

    Raises `ModelError` for a file of another form or with a code that is none.
    """
    path = folder / CODES
    if not path.is_file():
        return None
    table = read_object(path, longest=LONGEST, where=where)
    users, items, dataset_id = (table.get(name) for name in ("users", "items", "dataset_id"))
    if not isinstance(users, dict) or not isinstance(items, dict) or not isinstance(dataset_id, str):
        expected = "a dataset_id, and under users and items a code for each id"
        raise ModelError("codes in another form", expected=expected, where=f"{where}, {CODES}")
    try:
        return Codes(users, items, dataset_id)
    except (PromptError, TypeError) as error:  # TypeError: a code that is no text
        problem = str(error) if isinstance(error, PromptError) else "a code that is no text"
        raise ModelError(problem, where=f"{where}, {CODES}") from None
