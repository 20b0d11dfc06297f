"""The folder that a data set's name stands for, and its licence."""

from __future__ import annotations

from pathlib import Path

from core.data.reading.streams import readable_name
from core.errors import DataError
from core.store.names import form_fault
from core.words import brief

LONGEST_PATH = 4096
"""Most characters in the name of a data set folder."""


def folder_of(name: str) -> Path:
    """The folder a name stands for; raises `DataError` where there is none."""
    expected = "sample, the name of an added data set, or a folder with its files"
    folder_name = brief(readable_name(name))
    fault = form_fault(name, longest=LONGEST_PATH)
    if fault:
        raise DataError(f"data set {folder_name} is not a folder name", expected=f"{expected}, not a name {fault}")
    try:
        folder = Path(name).expanduser()
        if folder.is_dir():
            return folder.resolve()
        problem = "is a file" if folder.exists() else "does not exist"
    except RuntimeError:
        problem = "names the home of a user unknown here"
    except (OSError, ValueError):
        problem = "cannot be opened"
    raise DataError(f"data set {folder_name} {problem}", expected=expected)


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
