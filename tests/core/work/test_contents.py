"""A fingerprint follows what the files hold, not what they are called."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from questions import explain_task

from core.work import contents
from core.work.contents import Hashes, adapter_fingerprint, data_fingerprint, model_fingerprint
from core.work.job import job_key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "films.inter").write_text("user_id:token\titem_id:token\n1\ta\n1\tb\n")
    (folder / "films.item").write_text("item_id:token\ttitle:token\na\tAlien\nb\tHeat\n")
    return folder


def same_stamp(file: Path, text: str) -> None:
    """Other contents of the same size under the old times, in the same inode."""
    before = file.stat()
    assert len(text.encode()) == before.st_size
    with open(file, "r+") as stream:
        stream.write(text)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_size_and_time_do_not_hide_a_change(folder: Path) -> None:
    before = data_fingerprint(str(folder))
    same_stamp(folder / "films.item", (folder / "films.item").read_text().replace("Heat", "Home"))
    assert data_fingerprint(str(folder)) != before


def test_two_changes_within_one_tick_of_the_clock_are_both_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system may stamp two changes alike; then only the contents tell them apart."""
    file, hashes = folder / "films.item", Hashes()
    found = file.stat()
    stamp = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    first = hashes.content(file, stamp)
    file.write_text(file.read_text().replace("Heat", "Home"))
    assert hashes.content(file, stamp) != first


def test_a_settled_file_is_read_once(folder: Path) -> None:
    file, hashes = folder / "films.item", Hashes()
    old = (file.stat().st_size, 1, 1, 1)
    first = hashes.content(file, old)
    file.unlink()
    assert hashes.content(file, old) == first


def test_large_files_count_by_their_stamps_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "READ_BYTES", 10)
    monkeypatch.setattr(Hashes, "content", lambda *_: pytest.fail("a large file was read"))
    before = data_fingerprint(str(folder))
    same_stamp(folder / "films.item", (folder / "films.item").read_text().replace("Heat", "Home"))
    assert data_fingerprint(str(folder)) != before


@pytest.mark.parametrize("find", [data_fingerprint, model_fingerprint, adapter_fingerprint])
def test_new_renamed_and_removed_files_are_changes(folder: Path, find) -> None:
    prints = [find(str(folder))]
    (folder / "chat_templates").mkdir()
    (folder / "chat_templates" / "rag.jinja").write_text("{{ x }}")
    prints.append(find(str(folder)))
    (folder / "films.item").rename(folder / "other.item")
    prints.append(find(str(folder)))
    (folder / "other.item").unlink()
    prints.append(find(str(folder)))
    assert len(set(prints)) == 4
    assert "" not in prints


def test_nothing_but_regular_files_is_opened(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "gone").symlink_to(folder / "nowhere")
    before = data_fingerprint(str(folder))  # Would wait for ever for a writer of the pipe.
    assert before
    (folder / "films.item").write_text("other")
    assert data_fingerprint(str(folder)) != before


def test_a_replaced_folder_is_a_change(folder: Path) -> None:
    before = data_fingerprint(str(folder))
    shutil.copytree(folder, folder.with_name("copy"))
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)
    (folder / "films.item").write_text("item_id:token\ttitle:token\na\tAlien\nb\tHome\n")
    assert data_fingerprint(str(folder)) != before


def test_a_hub_name_counts_by_its_local_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    nothing = model_fingerprint("org/model")
    kept = tmp_path / "models--org--model"
    (kept / "snapshots" / "a").mkdir(parents=True)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("a")
    first = model_fingerprint("org/model")
    (kept / "refs" / "main").write_text("b")
    assert len({nothing, first, model_fingerprint("org/model")}) == 3


REFUSED = [
    "//host/share/x",
    "\\\\host\\share",
    "file:///etc/passwd",
    "https://host/x",
    "a\0b",
    "a\nb",
    "",
    " ",
    "x" * 5000,
]


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_of_a_wrong_form_is_not_looked_at(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def touched(*_: object, **__: object) -> None:
        pytest.fail("the file system was asked")

    for function in ("stat", "scandir", "listdir", "lstat"):
        monkeypatch.setattr(os, function, touched)
    assert data_fingerprint(name) == model_fingerprint(name) == adapter_fingerprint(name) == ""


def test_a_job_is_other_work_once_its_material_changed(folder: Path) -> None:
    for field in ("dataset", "model", "adapter"):
        request = explain_task(**{field: str(folder)})
        before = job_key(request)
        assert job_key(request) == before
        same_stamp(folder / "films.inter", "user_id:token\titem_id:token\n1\tb\n1\ta\n")
        after = job_key(request)
        assert after != before
        same_stamp(folder / "films.inter", "user_id:token\titem_id:token\n1\ta\n1\tb\n")
        assert job_key(request) not in (before, after)


def test_a_server_is_other_material_under_another_name_or_with_another_tokenizer(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "http://127.0.0.1:8000/v1"
    prints = [model_fingerprint(address)]
    monkeypatch.setenv("DEMOLENS_SERVER", address)
    prints.append(model_fingerprint(address))
    assert model_fingerprint("server") == prints[-1]
    assert model_fingerprint("http://127.0.0.1:8001/v1") == prints[0] == ""
    for name, value in (("DEMOLENS_SERVER_MODEL", "m"), ("DEMOLENS_SERVER_TOKENIZER", str(folder))):
        monkeypatch.setenv(name, value)
        prints.append(model_fingerprint("server"))
    (folder / "films.inter").write_text("other")
    prints.append(model_fingerprint("server"))
    assert len(set(prints)) == len(prints)
