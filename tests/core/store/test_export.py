"""A person's file is whole or as it was."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from disk import no_room

from core.store.export import check_folder, write_whole

KILLED = """
import sys
from pathlib import Path
from core.store.export import write_whole
while True:
    for letter in b"ab":
        write_whole(Path(sys.argv[1]), bytes([letter]) * 2_000_000)
        print("written", flush=True)
"""


def test_a_file_is_made_and_replaced_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    write_whole(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask()
    path.chmod(0o640)
    write_whole(path, b"newer")
    assert path.read_bytes() == b"newer"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["out.json"]


def umask() -> int:
    old = os.umask(0o022)
    os.umask(old)
    return old


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.parametrize("named", [False, True], ids=["unnamed", "named"])
def test_no_room_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool) -> None:
    if named:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    path = tmp_path / "out.json"
    path.write_bytes(b"old")
    with no_room(10_000), pytest.raises(OSError, match="File too large"):
        write_whole(path, bytes(100_000))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.json"]
    write_whole(path, bytes(100_000))
    assert path.read_bytes() == bytes(100_000)


def test_what_is_no_file_is_written_to_and_a_bad_folder_is_told_early(tmp_path: Path) -> None:
    write_whole(Path("/dev/null"), b"x")
    with pytest.raises(OSError, match="No space left"):
        write_whole(Path("/dev/full"), b"x")
    check_folder(tmp_path)
    assert os.listdir(tmp_path) == []
    with pytest.raises(OSError, match=r"such file|denied|permitted"):
        check_folder(Path("/proc"))


def test_a_kill_leaves_a_whole_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    for number in range(5):
        writer = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE)
        for _ in range(1 + number):
            writer.stdout.readline()
        writer.kill()
        writer.communicate()
        content = path.read_bytes()
        assert len(content) == 2_000_000
        assert len(set(content)) == 1
        assert len(os.listdir(tmp_path)) == 1
