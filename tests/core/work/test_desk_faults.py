"""What must not wedge the desk: a request that cannot be sent, a worker that dies between two jobs, a deaf worker."""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from fake_work_engine import FakeEngine
from pydantic import BaseModel, ValidationError
from questions import explain_task

from core.analysis.explain.explain_task import Explain
from core.errors import RequestError
from core.question.command_line import task_of
from core.question.kinds import KINDS
from core.work import protocol
from core.work.desk import Desk
from core.work.job import Job
from core.work.log import log_to_file, logger
from core.work.runner import Listener, ProcessRunner, ThreadRunner

MakeDesk = Callable[..., Desk]


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError("it did not happen in time")


def fields_of(asked: type[BaseModel], kind: type) -> list[str]:
    return [name for name, field in asked.model_fields.items() if field.annotation is kind]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_no_number_that_json_cannot_carry_enters_a_request_or_a_task(value: float) -> None:
    for field in ("precision", "budget"):
        with pytest.raises(RequestError, match=field):
            task_of(Explain, {field: value})
    numbers = [(kind.task, name) for kind in KINDS.values() for name in fields_of(kind.task, float)]
    assert len(numbers) >= 5
    for kind, name in numbers:
        with pytest.raises(ValidationError):
            kind.model_validate({name: value})


def test_a_request_that_cannot_be_sent_fails_alone(make_desk: MakeDesk) -> None:
    """Past the door by `model_construct`, as a fault of our own might be."""
    desk = make_desk()
    wrong = desk.submit(explain_task().model_copy(update={"precision": math.inf}))
    behind = desk.submit(explain_task(user="u"))
    job = desk.wait(wrong, 10)
    assert job.state == "failed"
    assert job.error_id is not None
    assert job.error_id in job.sentence
    assert desk.wait(behind, 20).state == "done"


class Refusing(ThreadRunner):
    """A worker to which the first messages cannot be sent."""

    refusals = 2

    def send(self, message: Mapping[str, object]) -> None:
        if "run" in message and Refusing.refusals:
            Refusing.refusals -= 1
            raise RuntimeError("can't start new thread")
        super().send(message)


def test_the_desk_goes_on_whatever_a_send_fails_with() -> None:
    desk = Desk(start=lambda listener: Refusing(listener, engine=FakeEngine()))
    jobs = [desk.wait(desk.submit(explain_task(user=f"u{number}")), 20) for number in range(3)]
    desk.close()
    assert [job.state for job in jobs] == ["failed", "failed", "done"]


def test_a_fault_in_taking_in_a_result_fails_that_job_alone(
    make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk()
    monkeypatch.setattr(desk._results, "save", lambda *_: (_ for _ in ()).throw(ZeroDivisionError))
    job = desk.wait(desk.submit(explain_task(user="u")), 20)
    assert (job.state, bool(job.error_id)) == ("failed", True)
    monkeypatch.undo()
    assert desk.wait(desk.submit(explain_task(user="v")), 20).state == "done"


class Numb:
    """Keeps the end of a worker from the desk until it is let through: the desk still believes that it lives."""

    def __init__(self, desk: Listener, through: threading.Event) -> None:
        self._desk, self._through = desk, through

    def heard(self, runner: Any, event: protocol.Event) -> None:
        self._desk.heard(runner, event)

    def gone(self, runner: Any, status: int) -> None:
        self._through.wait(20)
        self._desk.gone(runner, status)


def test_the_death_of_an_idle_worker_is_not_charged_to_the_next_job(runs: Callable[[], list[str]]) -> None:
    through = threading.Event()
    desk = Desk(start=lambda listener: ProcessRunner(Numb(listener, through), engine="fake_work_engine:FakeEngine"))
    assert desk.wait(desk.submit(explain_task(user="u")), 20).state == "done"
    pid = desk.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    key = desk.submit(explain_task(user="v"))
    through.set()
    job = desk.wait(key, 20)
    desk.close()
    assert job.state == "done"
    assert runs() == ["u", "v"]


def test_a_worker_that_dies_before_it_takes_anything_is_not_started_for_ever(
    make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch, runs: Callable[[], list[str]]
) -> None:
    monkeypatch.setenv("FAKE_START", "die")
    desk = make_desk()
    job = desk.wait(desk.submit(explain_task(user="u")), 30)
    assert (job.state, job.sentence) == ("failed", "The worker process cannot be started; the details are in the log")
    assert runs() == []


def test_the_log_has_the_details_before_the_job_is_seen_as_failed(
    make_desk: MakeDesk, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even when the worker's own log is read late: what the page shows, the log has."""
    late, read = threading.Event(), ProcessRunner._read_log
    monkeypatch.setattr(ProcessRunner, "_read_log", lambda self: late.wait(20) and read(self))
    path = log_to_file("app")
    desk = make_desk()
    seen: list[bool] = []
    original = Desk._end

    def ended(self: Desk, entry: Any, state: str, sentence: str) -> None:
        text = "" if path is None else path.read_text()
        seen.append(entry.error_id in text and "ValueError" in text)
        original(self, entry, state, sentence)  # type: ignore[arg-type]

    monkeypatch.setattr(Desk, "_end", ended)
    job = desk.wait(desk.submit(explain_task(user="bug")), 20)
    late.set()
    assert (job.state, seen) == ("failed", [True])


def test_an_error_is_logged_once(make_desk: MakeDesk, own_home: Path) -> None:
    path = log_to_file("app")
    desk = make_desk()
    job: Job = desk.wait(desk.submit(explain_task(user="bug")), 20)
    desk.close()
    assert path is not None
    assert path.read_text().count(str(job.error_id)) == 1


def test_a_worker_that_does_not_listen_blocks_nobody(make_desk: MakeDesk) -> None:
    """The pipe to it holds 64 KiB; a request with many ids is longer."""
    desk = make_desk()
    assert desk.wait(desk.submit(explain_task(user="u")), 20).state == "done"
    worker = psutil.Process(desk.worker_pid)
    worker.suspend()
    until(lambda: worker.status() == psutil.STATUS_STOPPED)
    ids = tuple(str(number) * 40 for number in range(5000))
    key = desk.submit(explain_task(user="v", candidate_ids=ids))
    began = time.monotonic()
    assert desk.jobs()
    assert desk.job(key) is not None
    assert time.monotonic() - began < 5
    worker.resume()
    assert desk.wait(key, 20).state == "done"


# Its health


def test_a_desk_with_a_worker_that_answers_has_no_fault(make_desk: MakeDesk) -> None:
    desk = make_desk()
    assert desk.fault() == ""
    key = desk.submit(explain_task(user="slow"))
    until(lambda: desk.job(key).state == "running")  # type: ignore[union-attr]
    assert desk.fault() == ""
    desk.cancel(key)


def test_a_deaf_worker_is_a_fault(make_desk: MakeDesk) -> None:
    desk = make_desk()
    assert desk.wait(desk.submit(explain_task(user="u")), 20).state == "done"
    worker = psutil.Process(desk.worker_pid)
    worker.suspend()
    until(lambda: worker.status() == psutil.STATUS_STOPPED)
    assert desk.fault(0.2) == "The worker process did not answer within 0.2 seconds"
    worker.resume()
    assert desk.fault() == ""


def test_a_worker_that_cannot_be_started_is_a_fault_until_it_can() -> None:
    left = [OSError(24, "Too many open files"), RuntimeError("can't start new thread")]

    def start(listener: Listener) -> ThreadRunner:
        if left:
            raise left.pop()
        return ThreadRunner(listener, engine=FakeEngine())

    desk = Desk(start=start)
    logger.setLevel(logging.CRITICAL)
    assert [desk.fault(1), desk.fault(1), desk.fault(10)] == [
        *2 * ["The worker process cannot be started; the details are in the log"],
        "",
    ]
    desk.close()
    assert desk.fault() == "The app is stopping"
