"""`demolens tune` in processes of its own: killed and going on, two at once, and mistakes in one sentence."""

from __future__ import annotations

import importlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from core.cli import command
from core.tuning.training.card import read_card
from core.tuning.training.checkpoint import checkpoints_in
from core.tuning.training.training_settings import TuningSettings
from core.work.job import ROOT

WEIGHTS = "adapter_model.safetensors"


def words_of(settings: TuningSettings, out: Path) -> list[str]:
    """The command's words for these settings."""
    words = ["tune", "--out", str(out)]
    for name, value in settings.model_dump(mode="json", exclude_defaults=True).items():
        option = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(option if value else f"--no-{option[2:]}")
        else:
            words += [part for one in (value if isinstance(value, list) else [value]) for part in (option, str(one))]
    return words


def started(words: list[str], home: Path, **more: str) -> subprocess.Popen[str]:
    environment = os.environ | {"DEMOLENS_HOME": str(home), "OMP_NUM_THREADS": "1"} | more
    line = [sys.executable, "-m", "core.cli.command", *words]
    return subprocess.Popen(
        line, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )


def called(*words: str) -> int:
    """The status of the command in this process."""
    return command.status_of(lambda: command.app(list(words), standalone_mode=False))


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(
    tuning: TuningSettings, tuning_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tuning.model_copy(update={"most_steps": 16, "checkpoint_every": 1, "validation_examples": 0})
    out = tmp_path / "killed"
    process = started(words_of(settings, out), tuning_home)
    wanted, deadline = random.Random(os.getpid()).randint(1, 9), time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if any(int(path.name[-6:]) >= wanted for path in checkpoints_in(out)):
            break
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    said = process.communicate()[1]
    assert process.returncode == -signal.SIGKILL, said
    assert not (out / "card.json").exists()

    from core.tuning.training.train import tune

    monkeypatch.setenv("DEMOLENS_HOME", str(tuning_home))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        resumed, whole = tune(settings, out), tune(settings, tmp_path / "whole")
    finally:
        torch.set_num_threads(threads)
    assert resumed.steps == whole.steps == 16
    assert (out / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()
    assert sorted(os.listdir(out)) == ["README.md", "adapter_config.json", WEIGHTS, "card.json"]


@pytest.mark.parametrize("launcher", ["torch.distributed.run", "accelerate.commands.launch"])
def test_launchers_hand_every_option_on(launcher: str) -> None:
    """Neither takes an option for its own, or for an ambiguous short form of some of its own."""
    module = importlib.import_module(launcher)
    parser = (getattr(module, "get_args_parser", None) or module.launch_command_parser)()
    for name in TuningSettings.model_fields:
        words = ["tune", "--" + name.replace("_", "-"), "1"]
        assert parser.parse_args(["demolens", *words]).training_script_args == words


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["all", "list"])
def test_two_processes_learn_what_one_learns(
    tuning: TuningSettings, tuning_home: Path, tmp_path: Path, loss: str
) -> None:
    settings = tuning.model_copy(update={"most_steps": 3, "evaluate_every": 1, "loss": loss, "candidates": 4})
    master = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    both = [
        started(words_of(settings, tmp_path / "two"), tuning_home, RANK=str(rank), LOCAL_RANK=str(rank), **master)
        for rank in (0, 1)
    ]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert "Stored in" in said[0][0]
    assert said[1][0] == ""

    from core.tuning.training.train import tune

    one = tune(settings, tmp_path / "one")
    two = read_card(tmp_path / "two")
    assert two is not None
    assert (two.processes, one.processes, two.key) == (2, 1, one.key)
    mine, theirs = (load_file(tmp_path / name / WEIGHTS) for name in ("one", "two"))
    assert all(torch.allclose(mine[name], theirs[name], rtol=1e-3, atol=1e-5) for name in mine)
    for point, other in zip(one.curve, two.curve, strict=True):
        assert (point.validation_auc, point.validation_ndcg) == (other.validation_auc, other.validation_ndcg)
        assert point.validation_loss == pytest.approx(other.validation_loss, rel=1e-4)


@pytest.fixture
def rows() -> list[tuple[object, ...]]:
    return [
        (f"u{user}", item, 5 if (user + item) % 2 else 1, 10 * item + user) for user in range(4) for item in range(8)
    ]


def test_data_that_cannot_be_tuned_on_are_one_sentence(
    rows: list[Any],
    films_of: Callable[..., Path],
    llama_folder: Path,
    tuning_home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    timeless = films_of([row[:3] for row in rows], columns=["rating:float"])
    unrated = films_of([(*row[:2], row[3]) for row in rows], columns=["timestamp:float"])
    for folder, sentence in (
        (timeless, "demolens: the data set films has no timestamps, so nothing tells what was known before the test;"),
        (
            unrated,
            "demolens: the data set films has no ratings, or only equal ones, so nobody is known to have said No;",
        ),
        (tmp_path / "nowhere", "demolens: data set"),
    ):
        words = ["--dataset", str(folder), "--model", str(llama_folder), "--device", "cpu"]
        assert called("tune", *words, "--out", str(tmp_path / "out")) == 2
        said = capsys.readouterr()
        assert said.err.startswith(sentence)
        assert said.err.count("\n") == 1
        assert not (tmp_path / "out").exists()
    next_item = ["--families", "next_item", "--most-steps", "1", "--demos", "1", "--batch", "2", "--validation", "0.3"]
    words = ["--dataset", str(unrated), "--model", str(llama_folder), "--device", "cpu", *next_item]
    assert called("tune", *words, "--validation-examples", "2", "--out", str(tmp_path / "out")) == 0
    assert "Stored in" in capsys.readouterr().out


def test_a_folder_is_asked_for_and_checked_first(
    tmp_path: Path, tuning_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("x")
    for words, sentence in (
        (["tune"], "demolens: tune: no folder for the result; expected --out FOLDER"),
        (["tune", "--out", str(tmp_path / "file")], "demolens: --out: 'file' is a file; expected a folder"),
        (["tune", "--out", "x", "--demos", "99"], "demolens: tune: demos is '99'; expected less than or equal to 32"),
    ):
        assert called(*words) == 2
        assert capsys.readouterr().err.startswith(sentence)


def test_the_help_tells_every_choice(capsys: pytest.CaptureFixture[str]) -> None:
    assert called("tune", "--help") == 0
    said = capsys.readouterr().out
    assert all("--" + name.replace("_", "-") in said for name in TuningSettings.model_fields)
    assert "Prompts per step." in " ".join(said.split())
