"""Where does a command put its result: a file, stdout, a table in a terminal?"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from core.errors import RequestError
from core.store.export import check_folder, write_whole
from core.store.home import FULL


def check_target(target: str) -> None:
    """Refuse a file that cannot be written before the work is done, not after it."""
    if target in ("", "-"):
        return
    path = Path(target)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise RequestError(f"{target!r} cannot be written", expected="a file in a folder that exists", where="--json")
    try:
        if path.is_file() or not path.exists():
            check_folder(path.resolve().parent)
    except OSError as error:
        if error.errno not in FULL:  # Room may come until there is something to write.
            raise _unwritten(target, error) from None


def write(target: str, text: str) -> None:
    """Write a whole file, or to stdout for `-`; raises `RequestError` with one sentence where that fails.

    A file that was there before is then as it was.
    """
    if target == "-":
        write_out(text)
        return
    try:
        write_whole(Path(target), text.encode("utf-8"))
    except OSError as error:
        raise _unwritten(target, error) from None


def write_or_print(target: str, text: str) -> None:
    """Write a whole file; where that fails the text goes to stdout, so that no work is lost, and the error says so."""
    try:
        write(target, text)
    except RequestError as error:
        if target == "-":
            raise
        write_out(text)
        raise RequestError(f"{error.problem}; the JSON is on standard output instead", where="--json") from None


def write_out(text: str) -> None:
    """Write to stdout; raises `RequestError` where that is full, and `BrokenPipeError` where its reader left."""
    try:
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # It is flushed once more at exit.
        raise RequestError(f"standard output cannot be written: {_reason(error)}", expected="free space") from None


def _unwritten(target: str, error: OSError) -> RequestError:
    return RequestError(f"{target!r} cannot be written: {_reason(error)}", where="--json")


def _reason(error: OSError) -> str:
    return "the disk is full" if error.errno in FULL else (error.strerror or type(error).__name__).lower()


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
