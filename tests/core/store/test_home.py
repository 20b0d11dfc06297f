"""The home folder is made or refused in one sentence; a file is written whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from core.errors import MaterialError
from core.store.home import check_free, home, write_atomically


def test_home_is_the_named_folder_and_is_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "new" / "home"))
    assert home() == tmp_path / "new" / "home"
    assert home().is_dir()


def test_home_without_a_name_is_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEMOLENS_HOME", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / name)
    assert home() == tmp_path / "demolens"


def test_home_below_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    for named in (tmp_path / "file", tmp_path / "file" / "below"):
        monkeypatch.setenv("DEMOLENS_HOME", str(named))
        with pytest.raises(MaterialError, match="cannot be stored"):
            home()


def test_a_home_on_a_full_disk_is_read_and_takes_nothing_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 10, 0))
    assert home() == tmp_path
    with pytest.raises(MaterialError, match="the disk is full; expected free space"):
        check_free()


def test_a_written_file_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(MaterialError, match=r"the file a.json cannot be stored, the disk is full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.json"]
