"""Who makes a thing that several processes want at once? One of them; the others wait and say so."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

from filelock import Timeout

from core.store.home import room, stored
from core.store.scratch import lock_of

WAITING = "waiting for another process"
"""How every sentence about waiting begins."""
POLL_SECONDS = 0.2
Report = Callable[[str, float], None]

_report: ContextVar[Report | None] = ContextVar("report", default=None)


@contextlib.contextmanager
def reporting(report: Report) -> Iterator[None]:
    """Send what `tell` says inside to `report(label, 0.0)`, which may raise `Cancelled` to end the work."""
    before = _report.set(report)
    try:
        yield
    finally:
        _report.reset(before)


def tell(label: str) -> None:
    """Say what goes on, to whoever set `reporting`; called again and again while it lasts."""
    report = _report.get()
    if report is not None:
        report(label, 0.0)


@contextlib.contextmanager
def alone(name: str, what: str) -> Iterator[None]:
    """Hold the lock `name` of the home, so that one process or thread at a time does `what`.

    Waits as long as the other one lives. Raises `MaterialError` where the home cannot be written.
    """
    lock = lock_of(room("locks") / f"{name}.lock")
    with stored(f"the lock for {what}"):
        while True:
            try:
                lock.acquire(timeout=POLL_SECONDS, poll_interval=POLL_SECONDS / 4)
                break
            except Timeout:
                tell(f"{WAITING}: {what}")
    try:
        yield
    finally:
        lock.release()
