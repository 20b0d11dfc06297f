"""Where does a command put what it found: a file, stdout, a table in a terminal?"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import RequestError


def check_target(target: str) -> None:
    """Refuse a file that cannot be written before the work is done, not after it."""
    folder = Path(target).absolute().parent
    if target not in ("", "-") and (Path(target).is_dir() or not folder.is_dir()):
        raise RequestError(f"{target!r} cannot be written", expected="a file in a folder that exists", where="--json")


def write(target: str, text: str) -> None:
    """Write a whole file, or to stdout for `-`; raises `RequestError` with one sentence where that fails."""
    if target == "-":
        sys.stdout.buffer.write(text.encode("utf-8"))
        sys.stdout.buffer.flush()
        return
    try:
        Path(target).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        reason: Any = error.strerror
        raise RequestError(f"{target!r} cannot be written: {reason}", where="--json") from None


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Columns of equal width, the first to the left and the others to the right."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
