"""Locks between processes: one does the work that several want, the others wait and say so."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

from core.store.home import room, stored
from core.store.scratch import lock_of

WAITING = "waiting for another process"
"""How every sentence about waiting begins."""
POLL_SECONDS = 0.2
WaitListener = Callable[[str, float], None]
"""Takes what is going on, and the share that is done."""

_listener: ContextVar[WaitListener] = ContextVar("listener", default=lambda _label, _share: None)


@contextlib.contextmanager
def reporting(to: WaitListener) -> Iterator[None]:
    """Send what `tell` says inside to `to(label, 0.0)`, which may raise `Cancelled` to end the work."""
    token = _listener.set(to)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(label: str) -> None:
    """Say what goes on, to whoever set `reporting`; called again and again while it lasts."""
    _listener.get()(label, 0.0)


def listener() -> WaitListener:
    """Who set `reporting` here, for what goes on in other threads."""
    return _listener.get()


@contextlib.contextmanager
def alone(name: str, what: str) -> Iterator[None]:
    """Hold the lock `name` of the home, so that one process or thread at a time does `what`.

    Waits as long as the other one lives. Raises `MaterialError` where the home cannot be written.
    """
    lock = lock_of(room("locks") / f"{name}.lock")

    def wait() -> bool:
        tell(f"{WAITING}: {what}")
        return False

    with stored(f"the lock for {what}"):
        lock.acquire(poll_interval=POLL_SECONDS, cancel_check=wait)
    try:
        yield
    finally:
        lock.release()
