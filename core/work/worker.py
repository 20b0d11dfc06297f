"""The process that holds the model: reads commands from stdin, writes events to stdout, runs one job at a time.

Run by the desk as `python -m core.work.worker package.module:engine`. It leaves at once when stdin closes, so that no
worker outlives the app, however the app ended.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from core.errors import SHORT_OF_MEMORY, Cancelled, ComputeError, DemoLensError, short_of_memory
from core.lm.loading.facts import ModelFacts
from core.question.case_spec import CaseSpec
from core.question.checked import checked
from core.question.kinds import kind_named
from core.question.task import Report
from core.work import protocol
from core.work.engine import Engine
from core.work.log import UNEXPECTED, log_to_stderr, logger, new_error_id, traceback_of

ENGINE = "core.work.engine:ModelEngine"
POLITE = 5
"""Nice levels that the worker gives way, so that pages are served while it computes."""
PROGRESS_SECONDS = 0.05
"""Shortest time between two progress events with the same label."""
BROKEN_STATUS = 70
"""Exit status of a worker whose device cannot be used any more."""
Emit = Callable[[protocol.Event], None]


@dataclass
class _Run:
    key: str
    kind: object
    task: object
    """Choices of the task, or of the case whose model is examined."""
    examines: bool = False
    """Whether a model is examined, and nothing run."""
    cancelled: threading.Event = field(default_factory=threading.Event)


class Worker:
    """Runs what it hears, one run at a time; `hear` is called on another thread than `work`."""

    def __init__(self, engine: Engine, emit: Emit) -> None:
        self._engine, self._emit = engine, emit
        self._runs: queue.SimpleQueue[_Run | None] = queue.SimpleQueue()
        self._known: dict[str, _Run] = {}

    def hear(self, line: bytes) -> bool:
        """Take in one command; False once it was asked to stop. Anything that is no command is ignored."""
        command = protocol.command_of(line) or {}
        key, cancelled, examined = command.get("run"), command.get("cancel"), command.get("examine")
        if isinstance(key, str):
            self._known[key] = _Run(key, command.get("kind"), command.get("task"))
            self._runs.put(self._known[key])
        elif isinstance(examined, str):
            self._hear_examine(_Run(examined, None, command.get("case"), examines=True), load=bool(command.get("load")))
        elif isinstance(cancelled, str) and cancelled in self._known:
            self._known[cancelled].cancelled.set()
        if "ping" in command:
            self._emit(protocol.Alive())
        return "stop" not in command

    def _hear_examine(self, run: _Run, *, load: bool) -> None:
        """To load a model waits for its turn; a look at files does not, whatever runs."""
        self._known[run.key] = run
        if load:
            self._runs.put(run)
        else:
            threading.Thread(target=self._look, args=(run,), daemon=True, name="look").start()

    def _look(self, run: _Run) -> None:
        event = self._examined(run, lambda case: self._engine.look(case))
        self._known.pop(run.key, None)
        self._emit(event)

    def _load(self, run: _Run) -> protocol.Event:
        return self._examined(run, lambda case: self._engine.examine(case, _Reporter(run, self._emit)))

    def _examined(self, run: _Run, examine: Callable[[CaseSpec], tuple[ModelFacts, bool]]) -> protocol.Event:
        try:
            _stop_if_cancelled(run)
            case = checked(CaseSpec, "case", run.task if isinstance(run.task, dict) else {})
            facts, loaded = examine(case)
            return protocol.Examined(key=run.key, facts=facts, loaded=loaded)
        except Cancelled:
            return protocol.Stopped(key=run.key)
        except DemoLensError as error:
            return protocol.Examined(key=run.key, facts=ModelFacts((), str(error)), loaded=False)
        except Exception as error:
            return _failure(run.key, error)

    def stop(self) -> None:
        """Cancel what runs or waits and let `work` return."""
        for run in list(self._known.values()):
            run.cancelled.set()
        self._runs.put(None)

    def work(self) -> None:
        """Warm up unless a run waits already, then do the runs in their order until `stop`."""
        self._emit(protocol.Ready(seconds_per_token=None if self._known else self._warm_up()))
        while (run := self._runs.get()) is not None:
            self._emit(protocol.Started(key=run.key))
            event = self._load(run) if run.examines else self._outcome(run)
            self._known.pop(run.key, None)
            self._emit(event)
            if isinstance(event, protocol.Failed) and event.broken:
                return

    def _warm_up(self) -> float | None:
        try:
            return self._engine.warm_up()
        except Exception as error:
            # The first run will meet the same fault and say it to the person who asked.
            logger.info("no warm-up: %s: %s", type(error).__name__, error)
            return None

    def _outcome(self, run: _Run) -> protocol.Event:
        try:
            return self._done(run)
        except Cancelled:
            return protocol.Stopped(key=run.key)
        except DemoLensError as error:
            return protocol.Failed(key=run.key, sentence=str(error), kind=type(error).__name__)
        except Exception as error:
            return _failure(run.key, error)

    def _done(self, run: _Run) -> protocol.Done:
        choices = run.task if isinstance(run.task, dict) else {}
        task, last, started = checked(kind_named(run.kind).task, "task", choices), None, time.monotonic()
        for last in self._engine.run(task, _Reporter(run, self._emit)):
            _stop_if_cancelled(run)
            if last.stage != "complete":
                self._emit(protocol.Partial(key=run.key, report=last.model_dump_json()))
        return _done(run.key, last, time.monotonic() - started)


class _Reporter:
    """Sends progress on, not more often than a page can show, and stops a cancelled run."""

    def __init__(self, run: _Run, emit: Emit) -> None:
        self._run, self._emit = run, emit
        self._label, self._sent = "", 0.0

    def __call__(self, label: str, fraction: float) -> None:
        _stop_if_cancelled(self._run)
        now = time.monotonic()
        if label == self._label and now - self._sent < PROGRESS_SECONDS:
            return
        self._label, self._sent = label, now
        self._emit(protocol.Advanced(key=self._run.key, label=label, fraction=min(max(fraction, 0.0), 1.0)))


def _stop_if_cancelled(run: _Run) -> None:
    if run.cancelled.is_set():
        raise Cancelled("the job was cancelled")


def _done(key: str, last: Report | None, seconds: float) -> protocol.Done:
    if last is None:
        raise ComputeError("the run ended without a report")
    return protocol.Done(key=key, report=last.model_dump_json(), seconds=seconds, peak_bytes=peak_bytes())


def _failure(key: str, error: Exception) -> protocol.Failed:
    """The event for a fault that is not DemoLens' own: out of memory, a lost device, or a bug."""
    name, error_id = type(error).__name__, new_error_id()
    sentence, broken = UNEXPECTED.format(error_id), "CUDA error" in str(error) or name == "AcceleratorError"
    if short_of_memory(error):
        sentence, name, broken = SHORT_OF_MEMORY, ComputeError.__name__, False
    return protocol.Failed(
        key=key, sentence=sentence, kind=name, error_id=error_id, details=traceback_of(error), broken=broken
    )


def peak_bytes() -> int:
    """Most bytes of memory this process ever held."""
    try:
        import resource
    except ImportError:  # Windows has no such module.
        import psutil

        return int(psutil.Process().memory_info().rss)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def engine_named(name: str) -> Engine:
    """The engine that `package.module:callable` makes."""
    module, _, maker = name.partition(":")
    engine: Engine = getattr(importlib.import_module(module), maker)()
    return engine


def _private_stdout() -> BinaryIO:
    """The real stdout for events alone; whatever libraries print goes to stderr from now on."""
    events = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return events


def _emitter(out: BinaryIO) -> Emit:
    lock = threading.Lock()

    def emit(event: protocol.Event) -> None:
        line = memoryview(protocol.line_of(event))
        with lock:
            while line:
                line = line[out.write(line) :]

    return emit


def _listen(worker: Worker) -> None:
    for line in sys.stdin.buffer:
        if not worker.hear(line):
            break
    os._exit(0)  # At once, whatever runs: results are stored by the desk, nothing here needs an orderly end.


def main() -> None:
    """Serve the desk at the other end of stdin and stdout until it goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the desk decides.
    emit = _emitter(_private_stdout())
    log_to_stderr()
    with contextlib.suppress(AttributeError, OSError):
        os.nice(POLITE)
    worker = Worker(engine_named(sys.argv[1] if len(sys.argv) > 1 else ENGINE), emit)
    threading.Thread(target=_listen, args=(worker,), daemon=True, name="commands").start()
    worker.work()
    os._exit(BROKEN_STATUS)


if __name__ == "__main__":
    main()
