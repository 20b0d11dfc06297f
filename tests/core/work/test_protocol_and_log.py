"""What passes between desk and worker, and what reaches the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_work_engine import FakeEngine
from hypothesis import given
from hypothesis import strategies as st
from questions import explain_task

from core.work import protocol
from core.work.log import SECRETS, escaped, log_to_file, logger, masked, unexpected
from core.work.worker import Worker


@pytest.fixture(autouse=True)
def _quiet_log() -> Iterator[None]:
    yield
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)
        handler.close()


@given(st.binary(max_size=200))
def test_garbage_is_neither_an_event_nor_a_command(line: bytes) -> None:
    assert protocol.event_of(line) is None
    found = protocol.command_of(line)
    assert found is None or isinstance(found, dict)


@pytest.mark.parametrize(
    "line", [b"[" * 100_000, b'{"event": "done"}', b'{"event": "ready", "seconds_per_token": "x"}']
)
def test_malformed_lines_are_ignored(line: bytes) -> None:
    assert protocol.event_of(line) is None
    protocol.command_of(line)


@given(st.text(), st.text(), st.floats(0, 1))
def test_an_event_survives_the_line_whatever_its_text(key: str, label: str, fraction: float) -> None:
    event = protocol.Advanced(key=key, label=label, fraction=fraction)
    line = protocol.line_of(event)
    assert line.count(b"\n") == 1
    assert protocol.event_of(line) == event


@given(st.text())
def test_a_command_survives_the_line(text: str) -> None:
    line = protocol.line_of({"run": "k", "kind": "explain", "task": {"user": text}})
    assert line.count(b"\n") == 1
    assert protocol.command_of(line) == {"run": "k", "kind": "explain", "task": {"user": text}}


def test_a_worker_ignores_what_it_does_not_know() -> None:
    said: list[protocol.Event] = []
    worker = Worker(FakeEngine(), said.append)
    for line in (b"", b"\n", b"[]", b'{"cancel": "never heard of"}', b'{"run": 3}', b'{"jump": "high"}'):
        assert worker.hear(line)
    assert not worker.hear(b'{"stop": true}')
    worker.stop()
    worker.work()
    assert said == [protocol.Ready(seconds_per_token=1e-4)]


def test_a_worker_refuses_a_malformed_request_in_words() -> None:
    said: list[protocol.Event] = []
    worker = Worker(FakeEngine(), said.append)
    worker.hear(protocol.line_of({"run": "k", "kind": "explain", "task": {"case": {"demos": 99}}}))
    worker._runs.put(None)
    worker.work()
    assert isinstance(said[-1], protocol.Failed)
    assert "demos is 99" in said[-1].sentence


def test_a_run_cancelled_before_it_began_never_runs() -> None:
    said: list[protocol.Event] = []
    worker = Worker(FakeEngine(), said.append)
    worker.hear(protocol.line_of({"run": "k", "kind": "explain", "task": explain_task().model_dump(mode="json")}))
    worker.hear(b'{"cancel": "k"}')
    worker._runs.put(None)
    worker.work()
    begun = [protocol.Ready(seconds_per_token=None), protocol.Started(key="k")]
    assert said == [*begun, protocol.Stopped(key="k")]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("token hf_abcdefghijklmnop is wrong", "hf_abcdefghijklmnop"),
        ("GET https://user:secret@example.org/x", "user:secret"),
        ("Authorization: Bearer abc.def", "abc.def"),
        ("?token=abc123&x=1", "abc123"),
        ("API_KEY=abc123", "abc123"),
        ("password: hunter2", "hunter2"),
        ("Password : hunter2", "hunter2"),
        ('{"api_key": "abc 123", "n": 3}', "abc 123"),
        (r'{"token": "ab\"c123"}', "c123"),
        (r"{\"client_secret\": \"abc 123\", \"n\": 3}", "abc 123"),
        ("{'password': 'abc 123'}", "abc 123"),
        ('"Authorization": "Basic dXNlcjpwYXNz"', "dXNlcjpwYXNz"),
        ("x-api-key: abc123", "abc123"),
        ("AWS_SECRET_ACCESS_KEY = abc/123", "abc/123"),
        ("passphrase=abc123;x=1", "abc123"),
    ],
)
def test_secrets_never_reach_the_log(tmp_path: Path, text: str, secret: str) -> None:
    path = log_to_file("test", tmp_path)
    logger.warning("found: %s", text)
    assert path is not None
    assert secret not in path.read_text()
    assert "***" in path.read_text()
    assert "x=1" not in text or "x=1" in SECRETS.sub("***", text)


@pytest.mark.parametrize(
    "text",
    ["tokens: 512 of 2048", "the tokenizer: fast", "token ids (1, 2)", "a secret of two films", '{"n": 3, "x": "y"}'],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked(text) == text


def test_the_neighbours_of_a_secret_stay() -> None:
    assert masked('{"api_key": "a", "n": 3}') == '{"api_key": ***, "n": 3}'
    assert masked("user: u password: p x=1") == "user: u password: *** x=1"


def test_data_cannot_forge_a_record(tmp_path: Path) -> None:
    path = log_to_file("test", tmp_path)
    assert path is not None
    try:
        raise ValueError("title\n2026-01-01 ERROR 1 forged\r\x1b[31m‮")
    except ValueError as error:
        sentence, error_id = unexpected(error)
    lines = path.read_text().splitlines()
    assert len(lines) == 1
    assert error_id in sentence
    assert error_id in lines[0]
    assert "Traceback" in lines[0]
    assert "\\n2026-01-01 ERROR 1 forged\\r\\x1b[31m\\u202e" in lines[0]


@given(st.text())
def test_escaped_text_is_one_printable_line(text: str) -> None:
    assert escaped(text).isprintable()


def test_a_log_folder_that_cannot_be_made_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert log_to_file("test", tmp_path / "file" / "logs") is None
    logging.getLogger("demolens").warning("goes to stderr")


def test_the_log_has_the_traceback_of_the_error_id_on_screen(make_desk: Callable[..., Any], own_home: Path) -> None:
    path = log_to_file("app")
    desk = make_desk()
    job = desk.wait(desk.submit(explain_task(user="bug")), 20)
    desk.close()
    assert path == own_home / "logs" / "app.log"
    text = path.read_text()
    assert job.error_id in text
    assert "ValueError" in text
    assert "hf_abc" not in text
    assert not any(line.startswith("2026-01-01 INFO forged") for line in text.splitlines())
