"""Nothing of a process that ended stays in the home, and nothing of a living one goes."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.store.home import home, put_folder, room, workplace, write_atomically
from core.store.scratch import sweep

WORKER = """
import sys
from core.store.home import workplace
with workplace() as folder:
    (folder / "half.bin").write_bytes(bytes(100_000))
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.stat().st_size)


@pytest.fixture
def busy() -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def test_work_of_a_killed_process_is_swept_and_that_of_a_living_one_is_not(
    busy: subprocess.Popen[bytes], own_home: Path
) -> None:
    folder = Path(busy.stdout.readline().decode().strip())
    home()
    sweep(own_home)
    assert (folder / "half.bin").stat().st_size == 100_000
    busy.send_signal(signal.SIGKILL)
    busy.wait()
    sweep(own_home)
    assert files_in(own_home) == []
    assert not folder.exists()


def test_what_earlier_versions_left_is_swept(own_home: Path) -> None:
    left = (
        "models/.0123456789abcdef.ab.part/model.safetensors", "models/.0123456789abcdef.ab.part.old/model.safetensors",
        "datasets/.import-ab.part/inter.tsv", "datasets/0123456789abcdef/spill/x.tmp", "results/.k.result.ab.part",
        "material/.toy.ab.part/download1/toy.whl", "material/toy.lock", ".forecast.json.ab.part",
        "datasets/sources/.x.json.ab.part",
    )  # fmt: skip
    kept = ("models/0123456789abcdef/model.safetensors", "results/ab.result", "wheels/.mine.part", "notes.part")
    for name in (*left, *kept):
        (own_home / name).parent.mkdir(parents=True, exist_ok=True)
        (own_home / name).write_bytes(b"x")
    home()
    sweep(own_home)
    assert files_in(own_home) == sorted(kept)


def test_a_process_that_ends_in_order_leaves_nothing(busy: subprocess.Popen[bytes], own_home: Path) -> None:
    busy.stdout.readline()
    busy.communicate()
    assert files_in(own_home) == []
    assert not list((own_home / "scratch").iterdir())


def test_the_home_and_what_is_written_into_it_are_for_this_user_only(own_home: Path) -> None:
    old = os.umask(0o022)
    try:
        write_atomically(room("results") / "a.json", b"x")
        with workplace() as part:
            (part / "made").mkdir(mode=0o700)
            put_folder(part / "made", room("models") / "made")
    finally:
        os.umask(old)
    for path in (own_home, *own_home.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_loose_home_is_closed_and_a_folder_with_other_things_is_not(own_home: Path, tmp_path: Path) -> None:
    (own_home / "results").mkdir(parents=True)
    own_home.chmod(0o755)
    home()
    assert stat.S_IMODE(own_home.stat().st_mode) == 0o700
    assert stat.S_IMODE((own_home / "results").stat().st_mode) == 0o700
    shared = tmp_path / "shared"
    (shared / "photos").mkdir(parents=True)
    shared.chmod(0o755)
    os.environ["DEMOLENS_HOME"] = str(shared)
    home()
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755


def test_a_relative_home_is_one_place(tmp_path: Path) -> None:
    words = (
        "import os; from core.store.home import fix_home, home; fix_home(); a = home(); os.chdir('/');"
        "import subprocess, sys; print(a); print(home());"
        "print(subprocess.run([sys.executable, '-c', 'from core.store.home import home; print(home())'],"
        " capture_output=True, text=True, check=True).stdout.strip())"
    )
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", words],
        cwd=tmp_path,
        env={**os.environ, "DEMOLENS_HOME": "of mine", "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.splitlines()) == {str(tmp_path / "of mine")}


def test_a_folder_in_the_place_of_a_file_gives_way(own_home: Path) -> None:
    (room("results") / "a.json" / "inner").mkdir(parents=True)
    write_atomically(own_home / "results" / "a.json", b"new")
    assert (own_home / "results" / "a.json").read_bytes() == b"new"
