"""A home that is full, read-only or unusable: what is stored is served, the rest is said in one sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from questions import explain_task

from core.data.dataset import open_dataset
from core.store.results import Results
from core.work.desk import Desk

ROOT = Path(__file__).parents[3]
INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\na\t7\t5\t1\nb\t7\t4\t2\nb\t8\t1\t3\n"
USE = """
import sys
from pathlib import Path
from core.data.dataset import open_dataset
from core.errors import DemoLensError
from core.lm.loading.hashes import file_hash
from core.store.results import Results
from core.work.log import log_to_file
known, new = sys.argv[1:]
log_to_file("command")
for folder in (known, new):
    data = open_dataset(folder)
    print(data.history("a")[0].item_id, *(notice for notice in data.notices if "anew" in notice))
    print(file_hash(Path(folder) / f"{Path(folder).name}.inter", where="x")[:4])
print(Results().load("0123456789abcdef"))
try:
    Results().save("f" * 16, "x" * 5_000_000)
except DemoLensError as error:
    print(error)
"""
mounts = pytest.mark.skipif(
    not shutil.which("unshare")
    or subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0,
    reason="needs a mount of its own",
)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("known", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.inter").write_text(INTER + ("a\t8\t2\t9\n" if name == "new" else ""))
    return tmp_path / "known", tmp_path / "new"


def used(home: Path, folders: tuple[Path, Path], mount: str) -> list[str]:
    """What is found with a home in which a data set and a result were stored before `mount`."""
    words = f'{mount} && exec "$0" -c "$1" "$2" "$3"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", words, sys.executable, USE, *map(str, folders)],
        env={**os.environ, "DEMOLENS_HOME": str(home), "PYTHONPATH": str(ROOT), "H": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def prepared(home: Path, known: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMOLENS_HOME", str(home))
    open_dataset(str(known))
    Results().save("0123456789abcdef", "a result")


@mounts
@pytest.mark.parametrize(
    ("mount", "reason"),
    [
        ('mount --bind "$H" "$H" && mount -o remount,ro,bind "$H"', "read-only file system"),
        (
            'cp -a "$H" "$H.copy" && mount -t tmpfs -o size=2m none "$H" && cp -a "$H.copy/." "$H"'
            ' && { cat /dev/zero > "$H/filler" 2>/dev/null || true; }',
            "the disk is full",
        ),
    ],
    ids=["read-only", "full"],
)
def test_what_is_stored_is_used_and_the_rest_is_told(
    tmp_path: Path, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, mount: str, reason: str
) -> None:
    prepared(tmp_path / "home", folders[0], monkeypatch)
    first, _, second, _, result, refusal = used(tmp_path / "home", folders, mount)
    assert first == "7"
    assert second.startswith("7 The data are read anew every time: ")
    assert reason in second
    assert result == "a result"
    assert reason in refusal


def test_the_desk_works_without_a_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_desk: Callable[..., Desk]
) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "file" / "below"))
    desk = make_desk()
    job = desk.wait(desk.submit(explain_task(user="u")), 60)
    assert job.state == "done"
    assert job.report is not None
    assert job.sentence.startswith("This result is only kept until the app stops: the DemoLens folder ")
    assert desk.job("0" * 16) is None
