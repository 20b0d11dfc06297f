"""File descriptors of the server: how many it may open, and closed tabs, which hold some for a while."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from typing import Any

from streamlit import config
from streamlit.runtime import Runtime
from streamlit.runtime.session_manager import SessionInfo

DESIRED_LIMIT = 65_536
"""Descriptors that the server requests; a tab holds four, and three for a while after it was closed."""
RESERVE = 48
"""Descriptors beside those of tabs: the worker's pipes, the log, stored results, the server's own sockets."""
CLOSED_TAB = 3
"""Descriptors of a closed tab that may return: those of its own event loop."""
LEAST_FREE = 16
"""Descriptors that must be free for a new tab, its run and a worker."""
SWEEP_SECONDS = 1.0


def raise_limit() -> None:
    """Raise the limit of this process to `DESIRED_LIMIT` or what is allowed; nothing happens where that is refused."""
    try:
        import resource
    except ImportError:  # Windows has no such limit.
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = DESIRED_LIMIT if hard == resource.RLIM_INFINITY else min(hard, DESIRED_LIMIT)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def limit() -> int:
    """Most descriptors that this process may hold."""
    try:
        import resource
    except ImportError:
        return DESIRED_LIMIT
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return DESIRED_LIMIT if soft == resource.RLIM_INFINITY else soft


def free() -> int:
    """Descriptors that this process may still open; `LEAST_FREE` where the system does not tell and one opens."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return limit() - len(os.listdir(folder))
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return 0
    return LEAST_FREE


class ClosedTabs:
    """The sessions of closed tabs, which may return within `seconds`; the others are shut down at once.

    Streamlit's own storage lets go of a session without shutting it down: its event loop, three descriptors, stays
    until Python happens to collect it. All methods are called on the server's thread.
    """

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds, self._most = seconds, most
        self._tabs: dict[str, tuple[float, SessionInfo]] = {}

    def get(self, session_id: str) -> SessionInfo | None:
        """A session that may return."""
        self.sweep()
        _, session = self._tabs.get(session_id, (None, None))
        return session

    def save(self, session_info: SessionInfo) -> None:
        """Keep the session of a tab that was just closed."""
        self._tabs.pop(session_info.session.id, None)
        self._tabs[session_info.session.id] = (time.monotonic(), session_info)
        self.sweep()

    def delete(self, session_id: str) -> None:
        """Take a session out because its tab returned, or because it must not."""
        del self._tabs[session_id]

    def list(self) -> list[SessionInfo]:
        """Every session that may return."""
        return [session for _, session in self._tabs.values()]

    def sweep(self) -> None:
        """Shut down what may not return any more, the oldest first, and everything where descriptors are short."""
        now, most = time.monotonic(), 0 if free() < LEAST_FREE else self._most
        for identity, (closed, session) in list(self._tabs.items()):
            if now - closed > self._seconds or len(self._tabs) > most:
                del self._tabs[identity]
                session.session.shutdown()


@contextlib.asynccontextmanager
async def sweeping(_app: Any) -> AsyncIterator[None]:
    """While the server runs: closed tabs are kept in `ClosedTabs`, and swept every `SWEEP_SECONDS`."""
    seconds = float(config.get_option("server.disconnectedSessionTTL"))
    tabs = ClosedTabs(seconds, most=max(1, min(128, (limit() - RESERVE) // (4 * CLOSED_TAB))))
    Runtime.instance()._session_mgr._session_storage = tabs  # type: ignore[attr-defined]  # Has no public place.
    sweeper = asyncio.create_task(_sweep(tabs))
    try:
        yield
    finally:
        sweeper.cancel()


async def _sweep(tabs: ClosedTabs) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        tabs.sweep()
