"""Where pages and commands hand in work and look it up: one queue, one worker, one run of every request.

    desk = Desk()
    key = desk.submit(request)      # at once; the same request is the same job, a stored result is done at once
    desk.job(key)                   # a snapshot: state, progress, the newest finding
    desk.cancel(key)

Every method may be called from any thread and returns at once (`wait` and `close` excepted).
"""

from __future__ import annotations

import atexit
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime

from core.errors import MaterialError, RequestError, WorkerError
from core.question.case_spec import CaseSpec
from core.question.kinds import kind_of
from core.question.task import Report, Task
from core.store.results import KEY, Results
from core.work import protocol
from core.work.engine import Engine
from core.work.envelope import enveloped, opened, report_in
from core.work.examination import Examination, Examinations, examination_key
from core.work.forecast import Forecast, Forecaster, time_left
from core.work.job import ENDED, Job, Origin, State, job_key
from core.work.log import log_to_file, logger, unexpected
from core.work.packaged import Examples, StoredReport
from core.work.runner import ProcessRunner, Runner, StartRunner, ThreadRunner

QUEUE_LIMIT = 50
"""Most jobs that may wait."""
KEPT_JOBS = 200
"""Ended jobs that are remembered; older ones are read from disk, if they were finished."""
TIME_LIMIT_SECONDS = 15 * 60.0
CANCEL_SECONDS = 10.0
"""How long a run may take to notice that it was cancelled, before its worker is ended."""
MOST_DEATHS = 2
"""A request that ended the worker this often is not run again unless someone insists."""
MOST_FALSE_STARTS = 3
"""A worker that ends this often before it is ready is not started again for what waits."""
ANSWER_SECONDS = 5.0
"""How long a worker may take to answer a ping, whatever it computes."""
START_SECONDS = 60.0
"""How long a worker may take to import what it needs."""
NO_WORKER = "The worker process cannot be started; the details are in the log"
CHANGED = (
    "The files of the data, the model or the adapter changed while this was computed; nothing of it is stored. "
    "Press Run to compute it for the files as they are now"
)
WATCH_SECONDS = 0.2


@dataclass
class _Entry:
    """The desk's own, changing record of a job; only touched under the desk's lock."""

    key: str
    task: Task
    created: str
    state: State = "queued"
    label: str = "waiting"
    fraction: float = 0.0
    report: Report | None = None
    sentence: str = ""
    error_id: str | None = None
    started: float | None = None
    ended: float | None = None
    expected: float = 0.0
    left: float | None = None
    """The least remaining time that was said of this run."""
    cancelled_at: float | None = None
    reason: str = ""
    again: bool = False
    taken: bool = False
    """Whether the worker said that it has begun the run."""
    deaths: int = 0
    losses: int = 0
    """How often a worker ended after this was handed to it and before it had begun."""
    origin: Origin | None = None


class Desk:
    """The queue of this process and the worker that empties it.

    `start` makes the worker (default: a subprocess); it is first called when a job needs it, or by `warm`.
    `examples` are looked at where `results` have nothing; none by default.
    """

    def __init__(
        self,
        *,
        start: StartRunner = ProcessRunner,
        results: Results | None = None,
        examples: Examples | None = None,
        forecaster: Forecaster | None = None,
        time_limit: float = TIME_LIMIT_SECONDS,
        cancel_seconds: float = CANCEL_SECONDS,
        queue_limit: int = QUEUE_LIMIT,
        kept_jobs: int = KEPT_JOBS,
    ) -> None:
        if not logger.handlers:
            log_to_file("app")
        self._start, self._time_limit, self._cancel_seconds = start, time_limit, cancel_seconds
        self._queue_limit, self._kept_jobs = queue_limit, kept_jobs
        self._results, self._examples = results or Results(), examples
        self._forecaster = forecaster or Forecaster()
        self._changed = threading.Condition(threading.RLock())
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._examinations = Examinations()
        self._queue: list[_Entry] = []
        self._running: _Entry | None = None
        self._runner: Runner | None = None
        self._ready, self._false_starts, self._closed = False, 0, False
        self._alive_at = self._started_at = float("-inf")
        threading.Thread(target=self._watch, daemon=True, name="desk").start()
        atexit.register(self.close)

    # What callers ask ------------------------------------------------------------------------------------------------

    def warm(self) -> None:
        """Start the worker now, so that the first run need not wait for imports and the model."""
        with self._changed:
            self._ensure_runner()

    def submit(self, task: Task, *, insist: bool = False) -> str:
        """Hand in a task; returns its job's key.

        A job that waits, runs or is done is joined; one that failed or was cancelled starts again, but not one that
        ended the worker twice, unless `insist`; that also computes here what is only there as a packaged example.
        Raises `WorkerError` when too many jobs wait or the desk is closed.
        """
        key = job_key(task)
        with self._changed:
            if self._joined(key, insist=insist):
                return key
        stored = self._stored(key, examples=not insist)
        with self._changed:
            if not self._joined(key, insist=insist):
                self._enter(_Entry(key, task, _now(), deaths=self._deaths(key, insist=insist)), stored)
        return key

    def job(self, key: str) -> Job | None:
        """The job with this key as it is now, or the result stored under it; None for any other text."""
        with self._changed:
            entry = self._entries.get(key)
            if entry is not None:
                return self._snapshot(entry)
        stored = self._stored(key) if KEY.fullmatch(key) else None
        if stored is None:
            return None
        with self._changed:
            if key not in self._entries:  # Every run of a page asks again, and to read a result takes long.
                self._remember(_stored_entry(_Entry(key, stored.report.task, _now()), stored))
            return self._snapshot(self._entries[key])

    def jobs(self) -> tuple[Job, ...]:
        """Every job this desk remembers, the oldest first."""
        with self._changed:
            return tuple(self._snapshot(entry) for entry in self._entries.values())

    def cancel(self, key: str) -> None:
        """Cancel a job: at once while it waits, between two forward passes while it runs; else nothing happens.

        What it had found by then is kept. A worker that does not stop within `cancel_seconds` is ended and replaced.
        """
        with self._changed:
            entry = self._entries.get(key)
            if entry is not None and entry.state == "queued":
                self._queue.remove(entry)
                self._end(entry, "cancelled", "cancelled before it started")
            elif entry is not None and entry is self._running:
                self._ask_to_stop(entry, "cancelled")
            elif self._examinations.get(key) is not None and self._runner is not None:
                self._runner.send({"cancel": key})

    def examine(self, case: CaseSpec, *, load: bool = False, again: bool = False) -> Examination:
        """What is found of a case's model, its adapter with it; the worker is asked where there is no answer yet.

        Without `load` nothing is loaded, fetched or converted, and the answer does not wait for what runs. `again` asks
        although there is an answer, which stays until the new one comes.
        """
        key = examination_key(case)
        with self._changed:
            examination = self._examinations.get(key)
            if examination is not None and (examination.state != "done" or not (load or again)):
                return examination
            runner = self._ensure_runner()
            if runner is None:
                return Examination(key, "done", sentence=NO_WORKER)
            runner.send({"examine": key, "case": case.model_dump(mode="json"), "load": load})
            return self._examinations.begin(key)

    def forecast(self, task: Task, tokens: int | None = None) -> Forecast:
        """Time and memory that `task` will probably need; `tokens` is the full prompt's length if it is known."""
        return self._forecaster.forecast(task, tokens)

    def wait(self, key: str, timeout: float | None = None) -> Job:
        """The job once it has ended, or as it is after `timeout` seconds.

        Raises `RequestError` for a key without a job.
        """
        with self._changed:
            entry = self._entries.get(key)
            if entry is not None:
                self._changed.wait_for(lambda: entry.state in ENDED, timeout)
                return self._snapshot(entry)
        job = self.job(key)
        if job is None:
            raise RequestError(f"no such job: {key[:80]!r}")
        return job

    def close(self) -> None:
        """Cancel everything and end the worker; returns within 5 seconds. A closed desk still answers `job`."""
        with self._changed:
            runner, self._runner, self._closed = self._runner, None, True
            waiting, self._queue = self._queue, []
            for entry in [*waiting, *([self._running] if self._running else [])]:
                self._end(entry, "cancelled", "the app was stopped")
            self._running = None
            self._examinations.lose("The app is stopping.")
            self._changed.notify_all()
        if runner is not None:
            runner.stop()
        atexit.unregister(self.close)

    def fault(self, timeout: float = ANSWER_SECONDS) -> str:
        """What keeps this desk from computing, in one sentence; empty while a worker answers or is just starting.

        Starts a worker where there is none, and waits for its answer to a ping.
        """
        with self._changed:
            if self._closed:
                return "The app is stopping"
            runner, ping_at = self._ensure_runner(), time.monotonic()
            if runner is None:
                return NO_WORKER
            runner.send({"ping": True})
            self._changed.wait_for(lambda: self._alive_at >= ping_at or runner is not self._runner, timeout)
            starting = not self._ready and time.monotonic() - self._started_at < START_SECONDS
            if self._alive_at >= ping_at or starting:
                return ""
            return f"The worker process did not answer within {timeout:g} seconds"

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker; None while there is none, or when it is a thread."""
        with self._changed:
            return None if self._runner is None else self._runner.pid

    # What the worker says --------------------------------------------------------------------------------------------

    def heard(self, runner: Runner, event: protocol.Event) -> None:
        """Take in an event of the worker (called by the runner)."""
        if isinstance(event, protocol.Ready):
            self._heard_ready(runner, event)
            return
        with self._changed:
            if isinstance(event, protocol.Alive):
                self._alive_at = time.monotonic() if runner is self._runner else self._alive_at
                self._changed.notify_all()
                return
            if runner is self._runner and self._examinations.get(event.key) is not None:
                self._heard_of_model(event)
                return
            entry = self._running
            if runner is not self._runner or entry is None or entry.key != event.key:
                return
            entry.taken = True
        try:
            self._heard_of(entry, event)
        except Exception as error:  # The thread that listens must go on, and so must the jobs behind this one.
            self._fail(entry, *unexpected(error))

    def _heard_of_model(self, event: protocol.RunEvent) -> None:
        self._examinations.hear(event)
        if isinstance(event, protocol.Failed):
            if event.error_id is not None:
                logger.error("error id %s: %s", event.error_id, event.details)
            self._replace_broken(event)
        self._changed.notify_all()

    def _replace_broken(self, event: protocol.Failed) -> None:
        """Start another worker in place of one that cannot be used any more."""
        if event.broken and self._runner is not None:
            self._runner, self._ready = None, False
            self._examinations.lose(event.sentence)
            self._ensure_runner()

    def _heard_of(self, entry: _Entry, event: protocol.RunEvent) -> None:
        if isinstance(event, protocol.Advanced):
            self._heard_progress(entry, event)
        elif isinstance(event, protocol.Partial):
            self._heard_partial(entry, event)
        elif isinstance(event, protocol.Done):
            self._heard_done(entry, event)
        elif isinstance(event, protocol.Failed | protocol.Stopped):
            self._heard_end(entry, event)

    def gone(self, runner: Runner, status: int) -> None:
        """Take in that the worker has ended (called by the runner)."""
        with self._changed:
            if runner is not self._runner:
                return
            logger.info("worker %s ended with status %s", runner.pid, status)
            self._false_starts = 0 if self._ready else self._false_starts + 1
            self._runner, self._ready = None, False
            self._examinations.lose(f"The worker process died ({_how(status)}) and was restarted; press again to try.")
            if self._running is not None:
                self._bury(self._running, status)
            if self._false_starts >= MOST_FALSE_STARTS:
                self._give_up()
            elif not self._closed:
                self._ensure_runner()
                self._dispatch()
            self._changed.notify_all()

    def _heard_ready(self, runner: Runner, event: protocol.Ready) -> None:
        with self._changed:
            if runner is self._runner:
                self._ready, self._false_starts = True, 0
        if event.seconds_per_token is not None:
            self._forecaster.calibrate(event.seconds_per_token)

    def _heard_progress(self, entry: _Entry, event: protocol.Advanced) -> None:
        with self._changed:
            if entry.cancelled_at is None:
                entry.label, entry.fraction = event.label, event.fraction
            self._changed.notify_all()

    def _heard_partial(self, entry: _Entry, event: protocol.Partial) -> None:
        report = report_in(entry.task, event.report)
        current = job_key(entry.task) == entry.key
        with self._changed:
            entry.report = (report or entry.report) if current else None
            self._changed.notify_all()

    def _heard_done(self, entry: _Entry, event: protocol.Done) -> None:
        """Store first, show second: what a page reads as done survives the app."""
        report = report_in(entry.task, event.report)
        if report is None:
            self._fail(entry, *unexpected(WorkerError("the worker sent something that cannot be read")))
            return
        if job_key(entry.task) != entry.key:
            entry.report = None
            self._fail(entry, CHANGED)
            return
        sentence = self._save(entry.key, enveloped(entry.task, event.report))
        self._forecaster.learn(entry.task, report, seconds=event.seconds, peak_bytes=event.peak_bytes)
        with self._changed:
            entry.report, entry.fraction = report, 1.0
            self._finish(entry, "done", sentence)

    def _heard_end(self, entry: _Entry, event: protocol.Failed | protocol.Stopped) -> None:
        with self._changed:
            if isinstance(event, protocol.Stopped):
                self._finish(entry, "cancelled", entry.reason or "cancelled")
                return
            self._replace_broken(event)
            if event.error_id is not None:  # In the log before it is on a screen.
                logger.error("error id %s: %s", event.error_id, event.details)
            self._fail(entry, event.sentence, event.error_id)

    def _fail(self, entry: _Entry, sentence: str, error_id: str | None = None) -> None:
        with self._changed:
            if entry is self._running:
                entry.error_id = error_id
                self._finish(entry, "failed", sentence)

    def _save(self, key: str, text: str) -> str:
        """Store a result; the sentence to show when that failed."""
        try:
            self._results.save(key, text)
        except MaterialError as error:
            logger.warning("the result %s is not stored: %s", key, error)
            return f"This result is only kept until the app stops: {error}"
        return ""

    # The queue; every method below is called under the lock ----------------------------------------------------------

    def _joined(self, key: str, *, insist: bool) -> bool:
        """Whether a submitted key needs no new run."""
        entry = self._entries.get(key)
        if entry is None:
            return False
        if entry is self._running and entry.cancelled_at is not None:
            entry.again = True
        if entry.origin is not None:
            return not insist
        return entry.state not in ("failed", "cancelled") or (entry.deaths >= MOST_DEATHS and not insist)

    def _deaths(self, key: str, *, insist: bool) -> int:
        entry = self._entries.get(key)
        return 0 if entry is None or insist else entry.deaths

    def _enter(self, entry: _Entry, stored: StoredReport | None) -> None:
        if stored is not None:
            self._remember(_stored_entry(entry, stored))
            return
        if self._closed:
            raise WorkerError("the app is stopping and takes no more work")
        if len(self._queue) >= self._queue_limit:
            raise WorkerError(f"{len(self._queue)} jobs wait already; wait for one to end or cancel one")
        entry.expected = self._forecaster.forecast(entry.task).seconds
        self._queue.append(entry)
        self._remember(entry)
        self._dispatch()

    def _remember(self, entry: _Entry) -> None:
        self._entries[entry.key] = entry
        self._entries.move_to_end(entry.key)
        ended = [key for key, other in self._entries.items() if other.state in ENDED]
        for key in ended[: max(len(ended) - self._kept_jobs, 0)]:
            del self._entries[key]
        self._changed.notify_all()

    def _dispatch(self) -> None:
        if self._running is not None or not self._queue:
            return
        runner = self._ensure_runner()
        if runner is None:
            return
        entry = self._running = self._queue.pop(0)
        entry.state, entry.started, entry.taken = "running", time.monotonic(), False
        entry.label = "starting" if self._ready else "starting the worker"
        try:
            task = entry.task.model_dump(mode="json")
            runner.send({"run": entry.key, "kind": kind_of(entry.task).name, "task": task})
        except Exception as error:  # Whatever it is, the jobs behind it must not wait for ever.
            sentence, entry.error_id = unexpected(error)
            self._finish(entry, "failed", sentence)
        self._changed.notify_all()

    def _ensure_runner(self) -> Runner | None:
        if self._runner is None and not self._closed:
            self._runner = self._started()
        return self._runner

    def _started(self) -> Runner | None:
        self._started_at = time.monotonic()
        try:
            return self._start(self)
        except (OSError, RuntimeError, MemoryError) as error:  # No descriptor, process, thread or memory is left.
            logger.error("the worker cannot be started: %s", error)
            self._give_up()
            return None

    def _give_up(self) -> None:
        """End what waits: without a worker it would wait for ever. The next submit tries again."""
        self._false_starts = 0
        waiting, self._queue = self._queue, []
        for entry in waiting:
            self._end(entry, "failed", NO_WORKER)

    def _ask_to_stop(self, entry: _Entry, reason: str) -> None:
        if entry.cancelled_at is None and self._runner is not None:
            entry.cancelled_at, entry.reason, entry.label = time.monotonic(), reason, "cancelling"
            self._runner.send({"cancel": entry.key})
            self._changed.notify_all()

    def _bury(self, entry: _Entry, status: int) -> None:
        """The worker died while it ran `entry`."""
        if entry.cancelled_at is not None:
            self._finish(entry, "cancelled", entry.reason, dispatch=False)
            return
        if not entry.taken and entry.losses < MOST_FALSE_STARTS:  # It died before this run: not this one's fault.
            entry.state, entry.started, entry.losses, self._running = "queued", None, entry.losses + 1, None
            self._queue.insert(0, entry)
            return
        entry.deaths += entry.taken
        self._finish(entry, "failed", _death(status, entry.deaths), dispatch=False)

    def _finish(self, entry: _Entry, state: State, sentence: str, *, dispatch: bool = True) -> None:
        """End the running job and start the next one."""
        self._running = None
        again = entry.again and state == "cancelled"
        self._end(entry, state, sentence)
        if again and not self._closed:
            self._enter(_Entry(entry.key, entry.task, _now(), deaths=entry.deaths), None)
        if dispatch:
            self._dispatch()

    def _end(self, entry: _Entry, state: State, sentence: str) -> None:
        entry.state, entry.sentence, entry.ended, entry.label = state, sentence, time.monotonic(), state
        self._remember(entry)

    def _watch(self) -> None:
        """Hold runs to their time limit, and cancelled ones to theirs, by the monotonic clock."""
        while not self._closed:
            with self._changed:
                self._changed.wait(WATCH_SECONDS if self._running else None)
                if self._running is not None:
                    self._check(self._running, time.monotonic())

    def _check(self, entry: _Entry, now: float) -> None:
        if entry.cancelled_at is not None:
            if now - entry.cancelled_at > self._cancel_seconds and self._runner is not None:
                logger.warning("the worker did not stop in %s s and is ended", self._cancel_seconds)
                self._runner.kill()
                entry.cancelled_at = now
        elif entry.started is not None and now - entry.started > self._time_limit:
            self._ask_to_stop(entry, f"cancelled at the time limit of {self._time_limit / 60:g} minutes")

    def _snapshot(self, entry: _Entry) -> Job:
        ahead = 0
        if entry.state == "queued":
            ahead = self._queue.index(entry) + (self._running is not None)
        return _snapshot(entry, ahead)

    # Outside the lock: the disk --------------------------------------------------------------------------------------

    def _stored(self, key: str, *, examples: bool = True) -> StoredReport | None:
        """The report under a key: what this machine computed, else what comes with the package."""
        text = self._results.load(key)
        report = None if text is None else opened(text)
        if report is not None:
            return StoredReport(report)
        if text is not None:
            self._results.discard(key)
        return self._examples.load(key) if examples and self._examples is not None else None


def local_desk(
    engine: Engine | None = None, *, results: Results | None = None, forecaster: Forecaster | None = None
) -> Desk:
    """A desk whose worker is a thread of this process: for notebooks and tests. Its runs cannot be ended by force."""
    from core.work.engine import ModelEngine

    local_engine = engine or ModelEngine()
    return Desk(
        start=lambda listener: ThreadRunner(listener, engine=local_engine), results=results, forecaster=forecaster
    )


def _stored_entry(entry: _Entry, stored: StoredReport) -> _Entry:
    entry.state, entry.label, entry.fraction = "done", "done", 1.0
    entry.report, entry.origin = stored.report, stored.origin
    return entry


def _snapshot(entry: _Entry, ahead: int) -> Job:
    elapsed = None if entry.started is None else (entry.ended or time.monotonic()) - entry.started
    return Job(
        key=entry.key,
        state=entry.state,
        task=entry.task,
        ahead=ahead,
        label=entry.label,
        fraction=entry.fraction,
        elapsed=elapsed,
        remaining=_remaining(entry, elapsed),
        report=entry.report,
        sentence=entry.sentence,
        error_id=entry.error_id,
        created=entry.created,
        origin=entry.origin,
    )


def _remaining(entry: _Entry, elapsed: float | None) -> float | None:
    if entry.state != "running" or elapsed is None or entry.cancelled_at is not None:
        return None
    left = time_left(elapsed, entry.fraction, expected=entry.expected, last=entry.left)
    entry.left = entry.left if left is None else left
    return left


def _how(status: int) -> str:
    return f"signal {-status}, perhaps out of memory" if status < 0 else f"exit status {status}"


def _death(status: int, deaths: int) -> str:
    how = _how(status)
    if deaths >= MOST_DEATHS:
        return (
            f"The worker process died ({how}) and was restarted; this request ended it {deaths} times and is not run "
            "again by itself; try fewer demonstrations or candidates, or a smaller model"
        )
    return f"The worker process died ({how}) and was restarted; press Run to try again"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
