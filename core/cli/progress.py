"""Progress on stderr: a bar while that is a terminal, and for work of hours a line now and then in a log."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator

from core.store.lock import WAITING, reporting
from core.work.log import escaped

BAR = 24
"""Characters of the bar."""
SECONDS = 30.0
"""Between two lines where stderr is not a terminal."""


def is_first() -> bool:
    """Whether this process speaks for all of a parallel run."""
    return os.environ.get("RANK", "0") == "0"


@contextlib.contextmanager
def progress(*, width: int = 60, logged: bool = False) -> Iterator[Callable[[str, float], None]]:
    """A reporter of (what goes on, share done), which shows at most `width` characters of the former.

    Where stderr is no terminal it says only for what it waits, or, if `logged`, writes a line every `SECONDS`. One
    process speaks. What the store has to say, such as whom it waits for, is reported too.
    """
    terminal, last, waits_for = sys.stderr.isatty(), time.monotonic(), ""

    def report(label: str, fraction: float) -> None:
        nonlocal last, waits_for
        if not is_first():
            return
        if terminal:
            done = round(BAR * min(max(fraction, 0.0), 1.0))
            sys.stderr.write(f"\r\x1b[K[{'#' * done}{' ' * (BAR - done)}] {escaped(label)[:width]}")
        elif label.startswith(WAITING) and label != waits_for:
            waits_for = label
            sys.stderr.write(f"demolens: {escaped(label)}\n")
        elif logged and time.monotonic() - last >= SECONDS:
            last = time.monotonic()
            sys.stderr.write(f"{fraction:4.0%} {escaped(label)}\n")
        sys.stderr.flush()

    try:
        with reporting(report):
            yield report
    finally:
        if terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
