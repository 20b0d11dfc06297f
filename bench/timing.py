"""Progress of a part with the time it still needs, and the time of a piece of work."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


class Clock:
    """Writes to stderr how many pieces of a part are done."""

    def __init__(self, part: str, pieces: int) -> None:
        self._part, self._pieces, self._start, self._done = part, pieces, time.monotonic(), 0

    def tick(self, what: str = "") -> None:
        """Report that one more piece is done."""
        self._done += 1
        left = (time.monotonic() - self._start) / self._done * (self._pieces - self._done)
        sys.stderr.write(f"{self._part} {self._done}/{self._pieces}, about {left / 60:.0f} min to go  {what}\n")


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Wall seconds of a piece of work, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result
