"""The desk with a real worker process: what a page relies on, and what it must survive."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from fake_work_engine import FakeEngine, explanation
from questions import explain_task

from core.errors import MaterialError, RequestError, WorkerError
from core.store.results import Results
from core.work.desk import Desk, local_desk
from core.work.job import ROOT, Job, job_key

MakeDesk = Callable[..., Desk]


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """The first true value of `condition`, asked every 10 ms."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("it did not happen in time")


def running(desk: Desk, key: str) -> Job:
    """The job once its worker has sent the scores."""

    def seen() -> Job | None:
        job = desk.job(key)
        return job if job is not None and job.state == "running" and job.report is not None else None

    found: Job = until(seen)
    return found


def test_a_job_goes_from_queued_to_done_with_its_explanation(make_desk: MakeDesk) -> None:
    desk = make_desk()
    key = desk.submit(explain_task(user="u"))
    job = desk.wait(key, 20)
    assert (job.state, job.fraction, job.ahead, job.sentence, job.remaining) == ("done", 1.0, 0, "", None)
    assert job.report == explanation(explain_task(user="u"))
    assert job.elapsed is not None
    assert job.elapsed > 0.1


def test_ten_quick_submits_from_several_threads_are_one_run(make_desk: MakeDesk, runs: Callable[[], list[str]]) -> None:
    desk, keys = make_desk(), []
    threads = [threading.Thread(target=lambda: keys.append(desk.submit(explain_task(user="u")))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) == 1
    assert desk.wait(keys[0], 20).state == "done"
    desk.submit(explain_task(user="u"))
    assert runs() == ["u"]
    assert len(desk.jobs()) == 1


def test_partial_results_and_progress_are_seen_while_it_runs(make_desk: MakeDesk) -> None:
    desk = make_desk()
    key = desk.submit(explain_task(user="slow"))
    job = running(desk, key)
    assert job.report is not None
    assert job.report.stage == "scores"
    moved = until(lambda: (now := desk.job(key)) and now.fraction > 0.2 and now)
    assert moved.label == "contributions"
    assert moved.remaining is not None
    assert 0 < moved.remaining < 60


def test_a_queued_job_says_how_many_are_ahead_and_is_cancelled_at_once(
    make_desk: MakeDesk, runs: Callable[[], list[str]]
) -> None:
    desk = make_desk()
    first, second, third = (desk.submit(explain_task(user=f"slow{n}")) for n in range(3))
    assert [job.ahead for job in desk.jobs()] == [0, 1, 2]
    desk.cancel(second)
    job = desk.wait(second, 0)
    assert (job.state, job.elapsed) == ("cancelled", None)
    assert desk.job(third).ahead == 1  # type: ignore[union-attr]
    desk.cancel(first)
    desk.cancel(third)
    desk.wait(third, 20)
    assert "slow1" not in runs()


def test_a_running_job_is_cancelled_between_passes_and_keeps_what_it_found(make_desk: MakeDesk) -> None:
    desk = make_desk()
    key = desk.submit(explain_task(user="slow"))
    running(desk, key)
    pid, asked = desk.worker_pid, time.monotonic()
    desk.cancel(key)
    job = desk.wait(key, 10)
    assert time.monotonic() - asked < 2
    assert (job.state, job.sentence) == ("cancelled", "cancelled")
    assert job.report is not None
    assert job.report.stage == "scores"
    assert desk.worker_pid == pid
    desk.submit(explain_task(user="slow"))
    assert running(desk, key).state == "running"


def test_run_pressed_while_the_old_run_is_cancelled_starts_it_again(
    make_desk: MakeDesk, runs: Callable[[], list[str]]
) -> None:
    desk = make_desk()
    key = desk.submit(explain_task(user="slow"))
    running(desk, key)
    desk.cancel(key)
    assert desk.submit(explain_task(user="slow")) == key
    until(lambda: runs() == ["slow", "slow"])
    assert running(desk, key).state == "running"


def test_a_worker_that_does_not_stop_is_ended_and_replaced(make_desk: MakeDesk) -> None:
    desk = make_desk(cancel_seconds=0.3)
    key, behind = desk.submit(explain_task(user="stubborn")), desk.submit(explain_task(user="u"))
    running(desk, key)
    pid = desk.worker_pid
    desk.cancel(key)
    assert desk.wait(key, 10).state == "cancelled"
    assert desk.wait(behind, 20).state == "done"
    assert desk.worker_pid != pid


def test_a_killed_worker_fails_its_job_and_serves_the_next(make_desk: MakeDesk) -> None:
    desk = make_desk()
    key, behind = desk.submit(explain_task(user="slow")), desk.submit(explain_task(user="u"))
    running(desk, key)
    pid = desk.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    job = desk.wait(key, 10)
    assert job.state == "failed"
    assert job.sentence == (
        "The worker process died (signal 9, perhaps out of memory) and was restarted; press Run to try again"
    )
    assert job.report is not None
    assert desk.wait(behind, 20).state == "done"


def test_a_request_that_ends_the_worker_twice_is_not_run_a_third_time(
    make_desk: MakeDesk, runs: Callable[[], list[str]]
) -> None:
    desk = make_desk()
    for _ in range(4):
        job = desk.wait(desk.submit(explain_task(user="die")), 20)
    assert job.state == "failed"
    assert "ended it 2 times" in job.sentence
    assert runs() == ["die", "die"]
    desk.wait(desk.submit(explain_task(user="die"), insist=True), 20)
    assert runs() == ["die", "die", "die"]
    assert desk.wait(desk.submit(explain_task(user="u")), 20).state == "done"


def test_a_full_queue_refuses_in_plain_words(make_desk: MakeDesk) -> None:
    desk = make_desk(queue_limit=2)
    for number in range(3):
        desk.submit(explain_task(user=f"slow{number}"))
    with pytest.raises(WorkerError, match="2 jobs wait already"):
        desk.submit(explain_task(user="slow9"))
    assert len(desk.jobs()) == 3


def test_a_run_past_the_time_limit_is_cancelled_with_its_reason(make_desk: MakeDesk) -> None:
    desk = make_desk(time_limit=0.6)
    job = desk.wait(desk.submit(explain_task(user="slow")), 20)
    assert (job.state, job.sentence) == ("cancelled", "cancelled at the time limit of 0.01 minutes")


@pytest.mark.parametrize(
    ("user", "sentence"),
    [
        ("error", r"^the model 'x' is not one that can be loaded$"),
        ("bug", r"^something unexpected went wrong \(error id [0-9a-f]{8}\); the details are in the log$"),
        ("memory", r"^the memory is too small for this"),
    ],
)
def test_a_failure_is_one_sentence_and_the_worker_goes_on(make_desk: MakeDesk, user: str, sentence: str) -> None:
    desk = make_desk()
    job = desk.wait(desk.submit(explain_task(user=user)), 20)
    pid = desk.worker_pid
    assert job.state == "failed"

    assert re.search(sentence, job.sentence)
    assert desk.wait(desk.submit(explain_task(user="u")), 20).state == "done"
    assert desk.worker_pid == pid


def test_a_lost_device_replaces_the_worker(make_desk: MakeDesk) -> None:
    desk = make_desk()
    job = desk.wait(desk.submit(explain_task(user="cuda")), 20)
    assert job.state == "failed"
    assert job.error_id
    assert desk.wait(desk.submit(explain_task(user="u")), 20).state == "done"


def test_a_run_without_an_explanation_fails_in_words(make_desk: MakeDesk) -> None:
    job = make_desk("fake_work_engine:EmptyEngine")
    found = job.wait(job.submit(explain_task()), 20)
    assert (found.state, found.sentence) == ("failed", "the run ended without a report")


def test_what_libraries_print_cannot_corrupt_the_protocol(make_desk: MakeDesk) -> None:
    desk = make_desk()
    assert desk.wait(desk.submit(explain_task(user="noise")), 20).state == "done"


def test_a_worker_that_cannot_start_fails_the_jobs_in_words(make_desk: MakeDesk) -> None:
    desk = make_desk("no_such_module:engine")
    key = desk.submit(explain_task(user="u"))
    assert desk.wait(key, 20).state == "failed"
    later = [desk.submit(explain_task(user=f"u{n}")) for n in range(4)]
    assert {desk.wait(one, 30).state for one in later} == {"failed"}


def test_a_failed_warm_up_costs_nothing_but_the_measurement(
    make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_WARM_UP", "raise")
    desk = make_desk()
    desk.warm()
    assert desk.wait(desk.submit(explain_task(user="u")), 20).state == "done"


def test_a_refreshed_page_finds_its_job_and_a_restarted_app_its_result(
    make_desk: MakeDesk, runs: Callable[[], list[str]]
) -> None:
    desk = make_desk()
    key = desk.submit(explain_task(user="u"))
    assert desk.job(key) is not None
    desk.wait(key, 20)
    desk.close()
    again = make_desk()
    job = again.job(key)
    assert job is not None
    assert job.state == "done"
    assert job.elapsed is None
    assert again.submit(explain_task(user="u")) == key
    assert again.worker_pid is None
    assert again.jobs()[0].report == explanation(explain_task(user="u"))
    assert runs() == ["u"]


def test_a_stored_result_of_another_version_is_dropped_and_run_again(
    make_desk: MakeDesk, own_home: Path, runs: Callable[[], list[str]]
) -> None:
    request = explain_task(user="u")
    Results().save(job_key(request), '{"schema_version": 0}')
    desk = make_desk()
    assert desk.job(job_key(request)) is None
    assert desk.wait(desk.submit(request), 20).state == "done"
    assert runs() == ["u"]


def test_the_result_is_stored_before_the_job_is_shown_as_done(make_desk: MakeDesk) -> None:
    seen = []

    class Watched(Results):
        def save(self, key: str, text: str) -> None:
            seen.append(desk.job(key).state)  # type: ignore[union-attr]
            super().save(key, text)

    desk = make_desk(results=Watched())
    desk.wait(desk.submit(explain_task(user="u")), 20)
    assert seen == ["running"]


def test_a_full_disk_keeps_the_result_in_memory_and_says_so(make_desk: MakeDesk) -> None:
    class Full(Results):
        def save(self, key: str, text: str) -> None:
            raise MaterialError("the disk is full")

    desk = make_desk(results=Full())
    job = desk.wait(desk.submit(explain_task(user="u")), 20)
    assert job.state == "done"
    assert job.report is not None
    assert job.sentence == "This result is only kept until the app stops: the disk is full"


def test_others_are_answered_while_one_runs(make_desk: MakeDesk) -> None:
    desk = make_desk()
    key = desk.submit(explain_task(user="slow"))
    running(desk, key)
    start = time.monotonic()
    for _ in range(100):
        desk.job(key)
        desk.jobs()
        desk.forecast(explain_task())
    assert time.monotonic() - start < 1.0


def test_ended_jobs_are_forgotten_beyond_the_limit_but_found_on_disk(make_desk: MakeDesk) -> None:
    desk = make_desk(kept_jobs=2)
    keys = [desk.submit(explain_task(user=f"u{number}")) for number in range(4)]
    for key in keys:
        desk.wait(key, 20)
    assert [job.task.case.user for job in desk.jobs()] == ["u2", "u3"]
    assert desk.job(keys[0]).state == "done"  # type: ignore[union-attr]


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "0" * 64, "f" * 200, "\0", "G" * 64])
def test_any_other_text_is_no_job(make_desk: MakeDesk, key: str) -> None:
    desk = make_desk()
    assert desk.job(key) is None
    desk.cancel(key)
    with pytest.raises(RequestError, match="no such job"):
        desk.wait(key, 0)


def test_close_ends_the_worker_and_everything_that_waits(make_desk: MakeDesk) -> None:
    desk = make_desk()
    key, behind = desk.submit(explain_task(user="stubborn")), desk.submit(explain_task(user="u"))
    running(desk, key)
    pid, start = desk.worker_pid, time.monotonic()
    desk.close()
    assert time.monotonic() - start < 5
    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert {desk.wait(key, 0).state, desk.wait(behind, 0).state} == {"cancelled"}
    with pytest.raises(WorkerError, match="takes no more work"):
        desk.submit(explain_task(user="v"))


APP = """
import sys, time
from core.analysis.explain.explain_task import Explain
from core.question.case_spec import CaseSpec
from core.work.desk import Desk
from core.work.runner import ProcessRunner
desk = Desk(start=lambda listener: ProcessRunner(listener, engine="fake_work_engine:FakeEngine"))
desk.submit(Explain(case=CaseSpec(user="stubborn")))
print(desk.worker_pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_the_app(end: signal.Signals) -> None:
    app = subprocess.Popen([sys.executable, "-c", APP], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert app.stdout is not None
    pid = int(app.stdout.readline())
    assert psutil.pid_exists(pid)
    app.send_signal(end)
    app.communicate(timeout=10)
    until(lambda: not psutil.pid_exists(pid))


def test_the_local_desk_does_the_same_in_a_thread() -> None:
    desk = local_desk(FakeEngine())
    key = desk.submit(explain_task(user="slow"))
    running(desk, key)
    assert desk.worker_pid is None
    desk.cancel(key)
    assert desk.wait(key, 10).state == "cancelled"
    assert desk.wait(desk.submit(explain_task(user="u")), 10).report == explanation(explain_task(user="u"))
    desk.close()
