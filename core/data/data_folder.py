"""Which files of a folder are its data set?

`<folder name>.inter` and `.item`, else the only `*.inter` and its `.item`. The parts of a benchmark that RecBole
splits (`<name>.train.inter`, `.valid.inter`, `.test.inter`) are not put together; a single one of them is read.
"""

from __future__ import annotations

import re
from pathlib import Path

from core.data.catalogue import brief
from core.data.lines import label, shown_name
from core.errors import DataError
from core.store.names import form_fault

LONGEST_PATH = 4096
"""Most characters in the name of a data set folder."""

_PART = re.compile(r"(.+)\.(train|valid|validation|test)\.inter", re.DOTALL)


def folder_of(name: str) -> Path:
    """The folder a name stands for; raises `DataError` where there is none."""
    expected = "sample, or a folder with a .inter file"
    shown = brief(shown_name(name))
    fault = form_fault(name, longest=LONGEST_PATH)
    if fault:
        raise DataError(f"data set {shown} is not a folder name", expected=f"{expected}, not a name {fault}")
    try:
        folder = Path(name).expanduser()
        if folder.is_dir():
            return folder.resolve()
        found = "is a file" if folder.exists() else "does not exist"
    except RuntimeError:
        found = "names the home of a user unknown here"
    except (OSError, ValueError):
        found = "cannot be opened"
    raise DataError(f"data set {shown} {found}", expected=expected)


def files_of(folder: Path) -> tuple[Path, Path | None]:
    """The `.inter` file of a folder, and the `.item` file if there is one; raises `DataError` for an unclear choice."""
    inter = _inter(folder)
    part = _PART.fullmatch(inter.name)
    item = inter.with_suffix(".item")
    if part and not item.exists():
        item = inter.with_name(f"{part[1]}.item")
    return _plain(inter), _plain(item) if item.exists() else None


def _inter(folder: Path) -> Path:
    own = folder / f"{folder.name}.inter"
    if own.exists():
        return own
    try:
        every = sorted(folder.glob("*.inter"))
    except OSError:
        every = []
    parts = [path for path in every if _PART.fullmatch(path.name)]
    choices = [path for path in every if path not in parts] or parts
    if len(choices) == 1:
        return choices[0]
    if parts and choices == parts:
        named = ", ".join(label(path) for path in parts[:3])
        raise DataError(
            f"{len(parts)} parts of a benchmark that RecBole splits ({named})",
            expected=f"one file with all interactions, such as {label(own)}: the lines of the parts below one header",
            where=label(folder),
        )
    what = "no .inter file" if not choices else f"{len(choices)} .inter files and none named {label(own)}"
    raise DataError(what, expected=f"one, such as {label(own)}", where=label(folder))


def _plain(path: Path) -> Path:
    if not path.is_file():
        raise DataError("not a plain file but a folder, a pipe or a device", expected="a text file", where=label(path))
    return path


def licence_of(folder: Path) -> str:
    """The first line of the folder's licence file; `not stated` where there is none."""
    for path in sorted(folder.glob("LICEN[CS]E*")):
        try:
            if path.is_file():
                with open(path, encoding="utf-8", errors="replace") as file:
                    return next((line.strip()[:200] for line in file if line.strip()), "not stated")
        except OSError:
            continue
    return "not stated"
