"""Start of a child process of `core.store.child`: runs a script or module and ends when the parent does.

Run by path, alone: `python -P child_guard.py SCRIPT ARGUMENTS` or `... -m MODULE ARGUMENTS`. Its standard input is a
pipe that only the parent holds; it comes to its end when the parent is gone.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import signal
import sys
import threading

PARENT_ENDED = 1
"""Number of the request PR_SET_PDEATHSIG to Linux: send a signal when the thread that started this process ends."""


def end_with_parent() -> None:
    """From now on this process ends with its parent, in the middle of any work."""
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PARENT_ENDED, signal.SIGKILL, 0, 0, 0)
    pipe = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    threading.Thread(target=_watch, args=(pipe,), daemon=True, name="parent").start()


def _watch(pipe: int) -> None:
    while os.read(pipe, 1024):
        pass
    os._exit(1)


def main() -> None:
    """Run what the command line names, as if it had been started directly."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides.
    end_with_parent()
    if sys.argv[1] == "-m":
        sys.argv = sys.argv[2:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = sys.argv[1:]
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
