"""The subcommand that starts the page."""

from __future__ import annotations

import pytest

from app import command  # Adds the subcommand.
from core.cli.command import app, status_of
from core.errors import ModelError
from core.question.task import Progress


def called(*words: str) -> int:
    """The status of the command in this process."""
    return status_of(lambda: app(list(words), standalone_mode=False))


def test_the_whole_command_has_every_subcommand(capsys: pytest.CaptureFixture[str]) -> None:
    assert called("--help") == 0
    text = capsys.readouterr().out
    assert all(f" {name} " in text for name in ("app", "explain", "tune", "evaluate", "prepare", "schema"))
    assert command.main.__module__ == "core.cli.command"


@pytest.mark.parametrize("problem", [None, "error", "bug"])
def test_the_page_starts_with_or_without_the_example(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], problem: str | None
) -> None:
    def prepared(progress: Progress) -> str:
        if problem == "error":
            raise ModelError("no answer from the index")
        if problem == "bug":
            raise ValueError("x")
        return "all is ready"

    served: list[list[str]] = []
    monkeypatch.setattr("core.cli.prepare.prepared", prepared)
    monkeypatch.setattr("app.command.check_port", lambda *_: None)
    monkeypatch.setattr("app.command.serve", served.append)
    assert called("app", "--prepare", "--port", "8600") == 0
    assert served[0][-4:] == ["--port", "8600", "--address", "127.0.0.1"]
    expected = {None: "all is ready", "error": "demolens: no answer from the index", "bug": "something unexpected"}
    assert expected[problem] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--port", "0"], "demolens: Invalid value for '--port'"),
        (["--address", "0.0.0.0"], "demolens: --address: '0.0.0.0' lets other machines in."),
    ],
)
def test_a_mistake_is_one_sentence_and_status_2(
    capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert called("app", *words) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(sentence)
    assert output.err.count("\n") == 1
