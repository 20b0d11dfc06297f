"""How does Ctrl-C end a process: with one sentence, and at the second press whatever it does?

Python runs a signal's handler between two of its own steps; inside a library it may come late, or be swallowed. So a
thread hears the presses too, and ends the process where the handler did not.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

STOPPED = 130
"""Exit status after Ctrl-C."""
SENTENCE = "demolens: stopped\n"
NOTICE_SECONDS = 5.0
"""How long the main thread may take to notice the first press."""
APART_SECONDS = 0.2
"""Two signals closer than this are one press, passed on by a program between."""

_pressed, _noticed, _said = threading.Event(), threading.Event(), threading.Event()
_listening: list[socket.socket] = []


def interruptible() -> None:
    """From now on the first Ctrl-C raises `KeyboardInterrupt`, and a second one ends this process at once."""
    if _listening or threading.current_thread() is not threading.main_thread():
        return
    hears, waker = socket.socketpair()
    waker.setblocking(False)
    _listening.extend((hears, waker))
    signal.signal(signal.SIGINT, _interrupt)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    sys.unraisablehook = _swallowed
    threading.Thread(target=_listen, args=(hears,), daemon=True, name="Ctrl-C").start()
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def until_stopped(work: Callable[[], object]) -> int:
    """Do `work`; returns 0, or 130 with the sentence on stderr where Ctrl-C ended it."""
    try:
        interruptible()
        work()
    except KeyboardInterrupt:
        return say_stopped()
    return say_stopped() if pressed() else 0


def hold_back() -> None:
    """Keep a Ctrl-C for the program that takes this process over; it hears it once it is `interruptible`."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def pressed() -> bool:
    """Whether Ctrl-C was pressed in this process."""
    return _pressed.is_set()


def say_stopped() -> int:
    """Write the sentence to stderr; returns the exit status."""
    _said.set()
    sys.stderr.write(SENTENCE)
    sys.stderr.flush()
    return STOPPED


def stop_now() -> NoReturn:
    """End this process at once; what it was writing is swept at the next start, its children end with it."""
    if not _said.is_set():
        _said.set()
        with contextlib.suppress(OSError):
            os.write(2, (("\r\x1b[K" if os.isatty(2) else "") + SENTENCE).encode())
    os._exit(STOPPED)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    _pressed.set()
    if not _noticed.is_set():
        _noticed.set()
        raise KeyboardInterrupt


def _swallowed(fault: sys.UnraisableHookArgs) -> None:
    if fault.exc_type is KeyboardInterrupt:
        stop_now()
    sys.__unraisablehook__(fault)


def _listen(hears: socket.socket) -> None:
    first = 0.0
    while True:
        try:
            signals = hears.recv(64)
        except TimeoutError:
            hears.settimeout(None)
            if not _noticed.is_set():
                stop_now()
            continue
        if signal.SIGINT not in signals:
            continue
        if first and time.monotonic() - first > APART_SECONDS:
            stop_now()
        if not first:
            first = time.monotonic()
            _pressed.set()
            hears.settimeout(NOTICE_SECONDS)
