"""The examples that come with the package: what they stand for, and what makes them useless."""

from __future__ import annotations

import gzip
import json
import math
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_work_engine import explanation
from hypothesis import given
from hypothesis import strategies as some
from questions import tasks

from core.analysis.explain.explain_task import Explain
from core.errors import RequestError
from core.question.case_spec import CaseSpec
from core.question.kinds import KINDS
from core.store.results import Results
from core.store.sealed import record_in, sealed
from core.work.desk import Desk
from core.work.envelope import enveloped
from core.work.job import Origin, code_fingerprint, job_key
from core.work.packaged import EXAMPLES, FOLDER, Examples, write_example

ORIGIN = Origin(version="9", code="c" * 64, created="2026-11-29T10:00:00+00:00", seconds=3.5, command="make it")
KEY = "explain.json.gz"
MOST_BYTES = 1_500_000
REAL_HOME = os.environ.get("DEMOLENS_HOME")
"""Where the sample lies; each test has a home of its own."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one example, that of Explore."""
    write_example(explanation(Explain()), ORIGIN, tmp_path)
    return tmp_path


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Write the record of an example anew, whole, with something else in it."""
    record = record_in(gzip.decompress(path.read_bytes()))
    assert record is not None
    change(record)
    path.write_bytes(gzip.compress(sealed(record)))


def test_the_default_question_has_the_report_and_who_computed_it(folder: Path) -> None:
    example = Examples(folder).load(job_key(Explain()))
    assert example is not None
    assert example.report == explanation(Explain())
    assert example.origin == ORIGIN


def test_equal_reports_give_equal_files(folder: Path, tmp_path: Path) -> None:
    first = (folder / KEY).read_bytes()
    write_example(explanation(Explain()), ORIGIN, folder)
    assert (folder / KEY).read_bytes() == first


@pytest.mark.parametrize("kind", EXAMPLES)
@given(data=some.data())
def test_a_changed_choice_is_another_question(kind: str, data: some.DataObject) -> None:
    task = data.draw(tasks(KINDS[kind].task))
    usual = task.effective() == KINDS[kind].task().effective()
    assert (Examples().load(job_key(task)) is not None) == usual


def test_only_a_default_question_becomes_an_example(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="default question"):
        write_example(explanation(Explain(case=CaseSpec(user="7"))), ORIGIN, tmp_path)
    assert list(tmp_path.iterdir()) == []


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "schema version": lambda record: record.update(schema_version=1),
    "choices": lambda record: record["task"].update(budget=5.0),
    "data": lambda record: record["files"].update(data="0" * 64),
    "model": lambda record: record["files"].update(model="0" * 64),
    "adapter": lambda record: record["files"].update(adapter="0" * 64),
    "report of another case": lambda record: record["report"]["task"]["case"].update(user="7"),
    "part of a report": lambda record: record["report"].update(stage="scores"),
    "field of another version": lambda record: record["report"].update(matrix=[]),
    "field that is gone": lambda record: record["report"].pop("candidates"),
    "another shape": lambda record: record.pop("origin"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_an_example_of_something_else_is_not_used(folder: Path, what: str) -> None:
    changed(folder / KEY, CHANGES[what])
    assert Examples(folder).load(job_key(Explain())) is None


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{}", id="not compressed"),
        pytest.param(b"\x1f\x8b", id="cut"),
        pytest.param(gzip.compress(b"[1]"), id="a list"),
        pytest.param(gzip.compress(b'{"seal": 1}'), id="no report"),
    ],
)
def test_a_damaged_example_is_not_used(folder: Path, damage: bytes) -> None:
    (folder / KEY).write_bytes(damage)
    assert Examples(folder).load(job_key(Explain())) is None


@given(place=some.integers(0, 10**6), value=some.integers(0, 255))
def test_no_changed_byte_gives_another_report(tmp_path_factory: pytest.TempPathFactory, place: int, value: int) -> None:
    folder = tmp_path_factory.mktemp("examples")
    path = write_example(explanation(Explain()), ORIGIN, folder)
    data = bytearray(path.read_bytes())
    data[place % len(data)] = value
    path.write_bytes(data)
    example = Examples(folder).load(job_key(Explain()))
    assert example is None or (example.report, example.origin) == (explanation(Explain()), ORIGIN)


def test_other_code_leaves_an_example_in_use_and_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = job_key(Explain())
    monkeypatch.setattr("core.work.job.code_fingerprint", lambda: "d" * 64)
    assert job_key(Explain()) != before
    example = Examples(folder).load(job_key(Explain()))
    assert example is not None
    assert example.origin is not None
    assert example.origin.code != code_fingerprint()


def test_the_desk_gives_an_example_without_a_worker(folder: Path, make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(examples=Examples(folder))
    job = desk.job(desk.submit(Explain()))
    assert job is not None
    assert (job.state, job.origin, job.report) == ("done", ORIGIN, explanation(Explain()))
    assert desk.worker_pid is None
    assert desk.job(job_key(Explain(budget=5.0))) is None


def test_who_insists_computes_an_example_here(
    folder: Path, make_desk: Callable[..., Desk], runs: Callable[[], list[str]]
) -> None:
    desk = make_desk(examples=Examples(folder))
    key = desk.submit(Explain())
    assert desk.submit(Explain()) == key
    assert runs() == []
    job = desk.wait(desk.submit(Explain(), insist=True), 20)
    assert (job.key, job.state, job.origin) == (key, "done", None)
    assert runs() == [CaseSpec().user]
    again = make_desk(examples=Examples(folder)).job(key)
    assert again is not None
    assert again.origin is None


def test_a_result_of_this_machine_goes_before_the_example(folder: Path, make_desk: Callable[..., Desk]) -> None:
    own = explanation(Explain(), title="Fargo (1996)")
    Results().save(job_key(Explain()), enveloped(Explain(), own.model_dump_json()))
    job = make_desk(examples=Examples(folder)).job(job_key(Explain()))
    assert job is not None
    assert (job.report, job.origin) == (own, None)


def test_a_desk_has_no_examples_unless_it_is_given_some(make_desk: Callable[..., Desk]) -> None:
    assert make_desk().job(job_key(Explain())) is None


# The files that are shipped ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_page_has_its_example(kind: str) -> None:
    example = Examples().load(job_key(KINDS[kind].task()))
    assert example is not None, "compute it: demolens prepare --examples-into assets/examples"
    assert example.report.stage == "complete"
    assert example.origin is not None
    assert example.origin.seconds > 0


def test_the_examples_are_small_and_there_are_no_others() -> None:
    files = sorted(FOLDER.iterdir())
    assert [path.name for path in files] == sorted(f"{kind}.json.gz" for kind in EXAMPLES)
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES


def test_the_first_example_changes_for_the_better_and_shows_both_colours() -> None:
    example = Examples().load(job_key(Explain()))
    assert example is not None
    report: Any = example.report
    target = report.candidates[report.target_index]
    assert target.rank < target.zero_shot_rank
    answer = report.contributions
    assert any(low > 0 for low in answer.low)
    assert min(answer.values) < -0.1
    assert not any(target.item_id in demo.shows for demo in report.demos)


UNEQUAL = {"seconds", "created", "versions", "timings", "passes_per_second", "proof", "key"}
"""Fields of a report that differ from run to run, or from machine to machine."""


def differences(there: Any, here: Any, at: str = "") -> list[str]:
    """Where two JSON values differ by more than what another processor's rounding does."""
    if isinstance(there, dict) and isinstance(here, dict):
        names = sorted({*there, *here} - UNEQUAL)
        return [row for name in names for row in differences(there.get(name), here.get(name), f"{at}.{name}")]
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        return [row for n, pair in enumerate(zip(there, here, strict=True)) for row in differences(*pair, f"{at}[{n}]")]
    if isinstance(there, float) and isinstance(here, float | int):
        return [] if math.isclose(there, here, rel_tol=2e-3, abs_tol=2e-3) else [f"{at}: {there} and {here}"]
    return [] if there == here else [f"{at}: {there!r:.60} and {here!r:.60}"]


@pytest.mark.sample
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_cheapest_example_is_what_a_run_of_now_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.work.engine import ModelEngine

    monkeypatch.delenv("DEMOLENS_HOME") if REAL_HOME is None else monkeypatch.setenv("DEMOLENS_HOME", REAL_HOME)
    examples = [Examples().example(kind) for kind in EXAMPLES]
    cheapest = min((each.report for each in examples if each is not None), key=lambda report: report.seconds)
    (last,) = deque(ModelEngine().run(cheapest.task, lambda *_: None), maxlen=1)
    assert differences(json.loads(cheapest.model_dump_json()), json.loads(last.model_dump_json())) == []
