"""Resolves a model's name to the sample, a folder, a GGUF file, a model of the hub, or the owner's server."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import ModelError
from core.lm.server.address import address_of, names_server
from core.store.names import form_fault

ROOTS = "DEMOLENS_MODEL_ROOTS"
"""Environment variable: folders (separated as in PATH) outside which no model is opened; unset means any folder."""
HUB_NAME = re.compile(r"(?P<repo>[\w-][\w.-]{0,95}/[\w-][\w.-]{0,95})(@(?P<revision>[\w-][\w.-]{0,99}))?", re.ASCII)


@dataclass(frozen=True)
class Place:
    """Where a model is to be taken from."""

    kind: Literal["sample", "folder", "gguf", "hub", "server"]
    path: Path = Path()
    """Of a folder or a GGUF file."""
    repo: str = ""
    revision: str | None = None


def place_of(name: str) -> Place:
    """The place a name stands for.

    Raises `ModelError` for a name that is no plain path or hub name (before the file system is asked), for a path
    outside the allowed folders, for a path at which there is nothing, and for a server that the owner has not named.
    """
    if name == "sample":
        return Place("sample")
    if names_server(name):
        address_of(name)
        return Place("server")
    _check_form(name)
    hub = HUB_NAME.fullmatch(name)
    if hub and not name.endswith(".gguf") and not Path(name).exists():
        return Place("hub", repo=hub["repo"], revision=hub["revision"])
    path = allowed_path(name)
    if path.is_dir():
        return Place("folder", path)
    if path.is_file() and path.suffix.lower() == ".gguf":
        return Place("gguf", path)
    problem = "a file that is not GGUF" if path.exists() else "no such folder or file"
    raise ModelError(problem, expected="sample, a model folder, a .gguf file, or a hub name org/model", where=name)


def allowed_path(name: str) -> Path:
    """The absolute path of a plain name; raises `ModelError` if its form is refused or it is outside the roots."""
    _check_form(name)
    try:
        path = Path(os.path.abspath(Path(name).expanduser()))
    except RuntimeError:
        raise ModelError("no user of that name has a folder here", expected="a path", where=name) from None
    roots = [Path(os.path.abspath(root)) for root in os.environ.get(ROOTS, "").split(os.pathsep) if root]
    if roots and not any(path.is_relative_to(root) for root in roots):
        raise ModelError("outside the folders that models may be taken from", expected=f"a path in {ROOTS}", where=name)
    if roots and not any(path.resolve().is_relative_to(root.resolve()) for root in roots):
        raise ModelError("a link out of the folders for models", expected=f"a path in {ROOTS}", where=name)
    return path


def _check_form(name: str) -> None:
    reason = _reason(name)
    if reason:
        expected = "sample, a model folder, a .gguf file, or a hub name org/model"
        raise ModelError(f"a name {reason}", expected=expected, where=repr(name[:80]))


def _reason(name: str) -> str:
    return form_fault(name) or ("with .. in it" if ".." in re.split(r"[/\\]", name) else "")
