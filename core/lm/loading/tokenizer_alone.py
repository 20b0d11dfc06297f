"""The tokenizer of a model whose weights lie elsewhere, opened as safely as one beside weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from core.errors import ModelError
from core.lm.loading.gguf_convert import converted
from core.lm.loading.hub import hub_folder
from core.lm.loading.json_files import read_object, refuse_code
from core.lm.loading.places import place_of
from core.lm.loading.sample_model import sample_model_folder
from core.lm.server.address import SERVER_TOKENIZER

LONGEST_CONFIG = 4_000_000
"""Bytes of a configuration; those in use have some thousands."""
NEEDED = f"--tokenizer, or {SERVER_TOKENIZER}: sample, a model folder, a .gguf file or a hub name"


def tokenizer_folder(where: str) -> tuple[Path, str]:
    """Folder and name of the tokenizer that the owner names for a server.

    Raises `ModelError` where none is named, or where there is no tokenizer, or program code beside it.
    """
    name = os.environ.get(SERVER_TOKENIZER, "")
    if not name:
        raise ModelError("no tokenizer is named for the server's model", expected=NEEDED, where=where)
    path = _folder(name)
    if not (path / "tokenizer.json").is_file():
        raise ModelError("no tokenizer.json", expected="a folder with the tokenizer's files", where=name)
    for file in ("config.json", "tokenizer_config.json"):
        if (path / file).is_file():
            refuse_code(read_object(path / file, longest=LONGEST_CONFIG, where=name), where=f"{name}, {file}")
    return path, name


def known_rows(path: Path, name: str) -> int | None:
    """How many tokens the model knows, where a configuration beside the tokenizer says it."""
    if not (path / "config.json").is_file():
        return None
    size: Any = read_object(path / "config.json", longest=LONGEST_CONFIG, where=name).get("vocab_size")
    return size if isinstance(size, int) and not isinstance(size, bool) and size > 0 else None


def _folder(name: str) -> Path:
    place = place_of(name)
    if place.kind == "server":
        raise ModelError("a server's address in place of a tokenizer", expected=NEEDED, where=SERVER_TOKENIZER)
    if place.kind == "sample":
        return sample_model_folder()
    if place.kind == "gguf":
        return converted(place.path, where=name)
    return hub_folder(place.repo, place.revision)[0] if place.kind == "hub" else place.path
