"""Which files of a folder are read; nothing hangs, and every name and notice is that of the folder asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from core.data.dataset import open_dataset
from core.errors import DataError

Write = Callable[..., Path]
HEAD = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
LINES = ("a\t1\t5\t1", "a\t2\t4\t2", "b\t1\t3\t3")


def folder_with(tmp_path: Path, name: str, stem: str, *, last: str = "\n", header: str = HEAD) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    (folder / f"{stem}.inter").write_text("\n".join((header, *LINES)) + last)
    (folder / f"{stem}.item").write_text("item_id:token\ttitle:token_seq\tyear:token\n1\tDune\t1965\n")
    return folder


def test_notices_name_the_files_of_the_folder_that_is_opened(own_home: Path, tmp_path: Path) -> None:
    first = open_dataset(str(folder_with(tmp_path, "one", "films", last="")))
    second = open_dataset(str(folder_with(tmp_path, "two", "novels", last="")))
    assert first.dataset_id == second.dataset_id
    assert any("films.inter" in notice for notice in first.notices)
    assert any("novels.item" in notice for notice in second.notices)
    assert not any("films" in notice for notice in second.notices)
    assert open_dataset(str(tmp_path / "one")).notices == first.notices
    assert [notice.replace("novels", "films") for notice in second.notices] == list(first.notices)


def test_what_an_earlier_version_read_is_read_anew(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_with(tmp_path, "old", "old", header=HEAD.replace("rating", "label"))
    monkeypatch.setattr("core.data.stored.FORMAT", "demolens-dataset-1")
    monkeypatch.setattr("core.data.reading.recbole.LABEL", "no such column")
    assert not open_dataset(str(folder)).has_ratings
    monkeypatch.undo()
    monkeypatch.setenv("DEMOLENS_HOME", str(own_home))
    assert open_dataset(str(folder)).has_ratings


@pytest.mark.parametrize("name", ["books.inter", "books.item"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_a_pipe_a_device_or_a_folder_is_refused_at_once(write: Write, name: str, kind: str) -> None:
    path = write((HEAD, *LINES)) / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(DataError, match=rf"{name}: not a plain file but a folder, a pipe or a device"):
        open_dataset(str(path.parent))


def test_a_licence_that_is_a_pipe_is_not_waited_for(write: Write) -> None:
    folder = write((HEAD, *LINES))
    os.mkfifo(folder / "LICENSE")
    (folder / "LICENSE.txt").write_text("CC0\n")
    assert open_dataset(str(folder)).licence == "CC0"


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_names_that_are_not_utf8_are_shown_with_a_mark(own_home: Path, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    inter = Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.inter"))
    inter.write_text("\n".join((HEAD, *LINES)))
    dataset = open_dataset(str(folder))
    assert dataset.name == "caf\ufffd"
    assert dataset.notices[0] == "caf\ufffd.inter: the last line has no line end; the file may be cut short."
    assert json.dumps([dataset.name, *dataset.notices], ensure_ascii=False).encode()
    inter.write_text("\n".join((HEAD, *LINES, "x")))
    with pytest.raises(DataError, match="caf\ufffd\\.inter, line 5: 1 field"):
        open_dataset(str(folder))
    inter.unlink()
    with pytest.raises(DataError, match="caf\ufffd: no \\.inter file; expected one, such as caf\ufffd\\.inter"):
        open_dataset(str(folder))


def test_the_home_of_an_unknown_user(own_home: Path) -> None:
    with pytest.raises(DataError, match="'~nosuchuser/data' names the home of a user unknown here; expected sample"):
        open_dataset("~nosuchuser/data")


def test_the_parts_of_a_benchmark_are_put_together(own_home: Path, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "ml", "ml")
    whole = open_dataset(str(folder))
    (folder / "ml.inter").rename(folder / "ml.train.inter")
    alone = open_dataset(str(folder))
    assert (alone.name, alone.item("1").title, alone.dataset_id) == ("ml.train", "Dune", whole.dataset_id)
    (folder / "ml.test.inter").write_text(f"{HEAD}\nb\t2\t1\t9\n")
    (folder / "ml.valid.inter").write_text("item_id:token\tuser_id:token\ttimestamp:float\trating:float\n2\ta\t8\t2\n")
    together = open_dataset(str(folder))
    assert together.name == "ml"
    assert [(row.item_id, row.rating, row.timestamp) for row in together.history("a")] == [
        ("1", 5, 1), ("2", 4, 2), ("2", 2, 8),
    ]  # fmt: skip
    assert [(row.item_id, row.rating) for row in together.history("b")] == [("1", 3), ("2", 1)]
    (folder / "ml.test.inter").write_text(f"{HEAD}\nb\t2\t1\t9\nb\t2\tx\t9\n")
    with pytest.raises(DataError, match=r"ml\.test\.inter, line 3: rating is 'x'"):
        open_dataset(str(folder))
    (folder / "ml.test.inter").write_text("user_id:token\titem_id:token\nb\t2\n")
    with pytest.raises(DataError, match=r"ml\.test\.inter: other columns than ml\.train\.inter"):
        open_dataset(str(folder))
    (folder / "whole.inter").write_text("\n".join((HEAD, *LINES, "")))
    assert open_dataset(str(folder)).name == "whole"
