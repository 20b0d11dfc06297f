"""Files that a browser sends: their names are labels, their bytes are kept in a folder of this user's."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

from core.errors import DataError
from core.store.home import private, stored

LONGEST_NAME = 80
"""Characters of a file's name that are kept; its end, which tells its kind, stays."""
MOST_FILES = 50
_ODD = re.compile(r"[^\w .()+=@-]")
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")


@dataclass(frozen=True)
class Upload:
    """One file that was sent."""

    name: str
    """As the browser says it: untrusted."""
    data: BinaryIO
    size: int
    """Bytes."""


def file_name(name: str, taken: Sequence[str] = ()) -> str:
    """A plain file name for an untrusted one, other than those that are `taken`."""
    last = PureWindowsPath(PurePosixPath(name).name).name
    plain = _ODD.sub("_", last).strip(" .") or "file"
    plain = plain if len(plain) <= LONGEST_NAME else f"{plain[:40]}_{plain[-(LONGEST_NAME - 41) :]}"
    plain = f"_{plain}" if _DEVICES.match(plain) else plain
    number, first = 2, plain
    while plain.casefold() in map(str.casefold, taken):
        plain, number = f"{number}_{first}", number + 1
    return plain


def check_sizes(sizes: Sequence[int], most_bytes: int) -> None:
    """Raise `DataError` for too many files, or for more than `most_bytes` of them together."""
    if len(sizes) > MOST_FILES:
        problem = f"{len(sizes)} files at once"
        raise DataError(problem, expected=f"at most {MOST_FILES}, or one archive of them", where="upload")
    total = sum(sizes)
    if total > most_bytes:
        problem = f"{total / 2**20:,.0f} MB of files"
        expected = f"at most {most_bytes / 2**20:,.0f} MB together; demolens data add reads larger ones"
        raise DataError(problem, expected=expected, where="upload")


def write_uploads(files: Sequence[Upload], folder: Path) -> tuple[Path, ...]:
    """The files in `folder`, for this user only, under plain names; raises `MaterialError`."""
    paths: list[Path] = []
    for file in files:
        path = folder / file_name(file.name, [path.name for path in paths])
        with stored("the upload"), open(path, "xb", opener=private) as target:
            file.data.seek(0)
            shutil.copyfileobj(file.data, target)
        paths.append(path)
    return tuple(paths)


def allowed_path(text: str, folders: Sequence[Path]) -> Path:
    """The file or folder of that path, below one of `folders`; raises `DataError` for any other, without a look at it.

    Links are followed before it is decided.
    """
    try:
        path = Path(os.path.realpath(Path(text).expanduser()))
    except (OSError, RuntimeError, ValueError):
        path = Path()
    if not any(path == folder or folder in path.parents for folder in folders):
        names = ", ".join(map(str, folders))
        raise DataError("this path may not be read", expected=f"one below {names}", where="path")
    if not path.exists():
        raise DataError("does not exist", expected="a file or a folder", where=path.name or "path")
    return path
