"""The set-up script: one plain line for everything that can be missing, and nothing to do the second time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.work.job import ROOT

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a POSIX shell script")
TOOLS = ("sh", "cat", "cksum", "df", "awk", "grep", "tail", "rm", "dirname", "printf", "pwd", "mkdir", "touch")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A checkout with a path that has a space, and a `bin` folder that is all of PATH."""
    root = tmp_path / "check out"
    (root / ".ci").mkdir(parents=True)
    (root / "bin").mkdir()
    for name in (".ci/setup", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, root / name)
    for tool in TOOLS:
        found = shutil.which(tool)
        if found:
            (root / "bin" / tool).symlink_to(found)
    return root


def program(place: Path, name: str, text: str) -> None:
    path = place / "bin" / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def set_up(place: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(place / "bin"), "HOME": str(place)}
    return subprocess.run(["sh", ".ci/setup"], cwd=place, env=environment, capture_output=True, text=True, timeout=60)


FAKE_PYTHON = r"""
case "$*" in
  *"-m venv"*) mkdir -p .venv/bin; cat "$0" > .venv/bin/python; chmod +x .venv/bin/python; exit 0;;
  *"pip --version"*) exit 0;;
  *"pip install"*) echo ran >> pip-ran; [ -f pip-fails ] && { cat pip-fails; exit 1; }; exit 0;;
  *"%d.%d"*) echo 3.11; exit 0;;
  *"import venv"*) [ ! -f no-venv ]; exit;;
  *--version*) echo Python 3.11.9; exit 0;;
esac
exit 0
"""


def with_python(place: Path) -> None:
    program(place, "python3", FAKE_PYTHON)
    chmod = shutil.which("chmod")
    assert chmod is not None
    if not (place / "bin" / "chmod").exists():
        (place / "bin" / "chmod").symlink_to(chmod)


def test_no_python_is_one_line(place: Path) -> None:
    done = set_up(place)
    assert done.returncode == 1
    assert done.stderr == (
        "demolens: Python 3.11 or newer is needed, found no python3; "
        "install one, or name it: PYTHON=/path/to/python3 make app\n"
    )


def test_an_old_python_is_named(place: Path) -> None:
    program(place, "python3", 'case "$*" in *--version*) echo Python 3.9.2;; *) exit 1;; esac')
    done = set_up(place)
    assert done.returncode == 1
    assert "found Python 3.9.2" in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_venv_module_names_the_package(place: Path) -> None:
    with_python(place)
    (place / "no-venv").touch()
    done = set_up(place)
    assert done.returncode == 1
    assert "sudo apt-get install python3.11-venv" in done.stderr


def test_a_full_disk_is_said_before_anything_is_fetched(place: Path) -> None:
    with_python(place)
    program(place, "df", "echo head; echo disk 9 9 1000000 9% /")
    done = set_up(place)
    assert done.returncode == 1
    assert done.stderr == "demolens: the disk is almost full: 1 GB are free here, set-up needs 4 GB\n"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("NewConnectionError: Temporary failure in name resolution", "no answer from the package index"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: no such option", "pip could not install"),
    ],
)
def test_a_failing_pip_is_explained_and_repeated(place: Path, said: str, sentence: str) -> None:
    with_python(place)
    (place / "pip-fails").write_text(said)
    done = set_up(place)
    assert done.returncode == 1
    assert sentence in done.stderr
    (place / "pip-fails").unlink()
    assert set_up(place).returncode == 0
    assert (place / "pip-ran").read_text() == "ran\nran\n"


def test_the_second_time_nothing_is_done_until_the_project_changes(place: Path) -> None:
    with_python(place)
    assert set_up(place).returncode == 0
    again = set_up(place)
    assert (again.returncode, again.stderr) == (0, "")
    assert (place / "pip-ran").read_text() == "ran\n"
    with (place / "constraints.txt").open("a") as file:
        file.write("# changed\n")
    assert set_up(place).returncode == 0
    assert (place / "pip-ran").read_text() == "ran\nran\n"


def test_an_interrupted_set_up_starts_from_nothing(place: Path) -> None:
    with_python(place)
    assert set_up(place).returncode == 0
    (place / ".venv" / "set-up-for").unlink()
    (place / ".venv" / "set-up-begun").touch()
    (place / ".venv" / "half a package").touch()
    assert set_up(place).returncode == 0
    assert not (place / ".venv" / "half a package").exists()


def test_constraints_pin_every_dependency_of_the_project() -> None:
    import re
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[=<>\[; ]", one)[0].lower() for one in wanted}
    pinned = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert names <= pinned
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().splitlines()


def test_make_knows_its_targets() -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("no make")
    for target in ("app", "test", "check", "bench", "clean", "help"):
        assert subprocess.run([make, "-n", target], cwd=ROOT, capture_output=True).returncode == 0, target
    assert sys.version_info >= (3, 11)
