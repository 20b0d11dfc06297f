"""Material is fetched once, verified, and never used half."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import threading
import time
import zipfile
from pathlib import Path

import pytest

from core.errors import MaterialError
from core.store.child import Ended
from core.store.material import LICENCES, MOVIELENS, SMOLLM2, PinnedWheel, extracted, is_intact, pip_download

CONTENT = {"toy/a.txt": b"alpha", "toy/b.bin": bytes(range(256)) * 40, "toy/not_wanted.txt": b"no"}


def wheel_bytes(content: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in content.items():
            archive.writestr(zipfile.ZipInfo(path), data)
    return buffer.getvalue()


WHEEL = wheel_bytes(CONTENT)
TOY = PinnedWheel("toy-thing", "1.0", hashlib.sha256(WHEEL).hexdigest(), ("toy/a.txt", "toy/b.bin"), largest=20_000)


class Fetcher:
    """Gives the listed wheels one after the other, the last one for ever."""

    def __init__(self, *answers: bytes, seconds: float = 0.0) -> None:
        self.answers, self.seconds, self.calls = list(answers), seconds, []

    def __call__(self, material: PinnedWheel, folder: Path, fresh: bool) -> None:
        self.calls.append(fresh)
        time.sleep(self.seconds)
        data = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        (folder / "toy_thing-1.0-py3-none-any.whl").write_bytes(data)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def left_over(own_home: Path) -> list[str]:
    unfinished = [str(path) for path in (own_home / "scratch").glob("*/*")]
    return unfinished + [name for name in os.listdir(own_home / "material") if name.startswith(".")]


def test_the_wanted_files_come_out_byte_for_byte_and_are_fetched_once(own_home: Path) -> None:
    fetch = Fetcher(WHEEL)
    folder = extracted(TOY, fetch=fetch)
    assert folder == own_home / "material" / f"toy-thing-{TOY.sha256[:12]}"
    assert (folder / "a.txt").read_bytes() == b"alpha"
    assert (folder / "b.bin").read_bytes() == CONTENT["toy/b.bin"]
    assert sorted(os.listdir(folder)) == ["a.txt", "b.bin", "manifest.json"]
    assert extracted(TOY, fetch=fetch) == folder
    assert fetch.calls == [False]
    assert left_over(own_home) == []


def test_a_corrupt_download_is_fetched_again_past_the_cache(own_home: Path) -> None:
    fetch = Fetcher(WHEEL[:-20], WHEEL)
    assert (extracted(TOY, fetch=fetch) / "a.txt").read_bytes() == b"alpha"
    assert fetch.calls == [False, True]


def test_a_download_that_stays_corrupt_is_an_error_and_leaves_nothing(own_home: Path) -> None:
    with pytest.raises(MaterialError, match=f"does not have the pinned content; expected SHA-256 {TOY.sha256}"):
        extracted(TOY, fetch=Fetcher(WHEEL + b"x"))
    assert os.listdir(own_home / "material") == []


@pytest.mark.parametrize("damage", ["truncate", "flip", "delete", "manifest", "no manifest"])
def test_damaged_files_are_noticed_and_made_anew(damage: str) -> None:
    fetch = Fetcher(WHEEL)
    folder = extracted(TOY, fetch=fetch)
    path = folder / "b.bin"
    data = path.read_bytes()
    if damage == "truncate":
        path.write_bytes(data[:-1])
    elif damage == "flip":
        path.write_bytes(b"\xff" + data[1:])
    elif damage == "delete":
        path.unlink()
    elif damage == "manifest":
        (folder / "manifest.json").write_text("{")
    else:
        (folder / "manifest.json").unlink()
    assert not is_intact(folder, TOY)
    assert (extracted(TOY, fetch=fetch) / "b.bin").read_bytes() == data
    assert len(fetch.calls) == 2


def test_a_touched_but_equal_file_is_hashed_and_kept() -> None:
    fetch = Fetcher(WHEEL)
    folder = extracted(TOY, fetch=fetch)
    os.utime(folder / "a.txt", (1, 1))
    assert extracted(TOY, fetch=fetch) == folder
    assert len(fetch.calls) == 1


def test_an_interrupted_extraction_is_not_half_used(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("core.store.material.put_folder", interrupted)
        with pytest.raises(KeyboardInterrupt):
            extracted(TOY, fetch=Fetcher(WHEEL))
    assert os.listdir(own_home / "material") == []
    assert (extracted(TOY, fetch=Fetcher(WHEEL)) / "a.txt").read_bytes() == b"alpha"
    assert left_over(own_home) == []


@pytest.mark.parametrize(
    "words",
    [
        pytest.param("999999999", id="no process"),
        pytest.param(str(os.getpid()), id="this process"),
        pytest.param("-1", id="negative"),
        pytest.param("", id="empty"),
        pytest.param("9" * 400, id="endless"),
    ],
)
def test_a_lock_file_that_nobody_holds_does_not_block(own_home: Path, words: str) -> None:
    (own_home / "locks").mkdir(parents=True)
    (own_home / "locks" / f"material-toy-thing-{TOY.sha256[:12]}.lock").write_text(words)
    assert (extracted(TOY, fetch=Fetcher(WHEEL)) / "a.txt").exists()


def test_many_at_once_fetch_once(own_home: Path) -> None:
    fetch, found = Fetcher(WHEEL, seconds=0.3), []
    threads = [threading.Thread(target=lambda: found.append(extracted(TOY, fetch=fetch))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 6
    assert len(set(found)) == 1
    assert len(fetch.calls) == 1
    assert left_over(own_home) == []


def test_a_laid_wheel_is_used_without_fetching(own_home: Path) -> None:
    (own_home / "wheels").mkdir(parents=True)
    laid = own_home / "wheels" / "toy_thing-1.0-py3-none-any.whl"
    laid.write_bytes(WHEEL)
    fetch = Fetcher(b"")
    assert (extracted(TOY, fetch=fetch) / "a.txt").exists()
    assert fetch.calls == []
    laid.write_bytes(b"other")
    shutil.rmtree(own_home / "material")
    with pytest.raises(MaterialError, match=r"the wheel toy_thing-1.0-py3-none-any.whl in DEMOLENS_HOME/wheels does"):
        extracted(TOY, fetch=fetch)
    assert laid.exists()


def test_a_wheel_without_the_file_or_with_a_bomb_is_refused(own_home: Path) -> None:
    for content, words in (({"x": b""}, "cannot be read"), ({"toy/a.txt": b"0" * 30_000}, "unpacks to more than")):
        data = wheel_bytes(content)
        material = PinnedWheel("toy-thing", "1.0", hashlib.sha256(data).hexdigest(), ("toy/a.txt",), largest=20_000)
        with pytest.raises(MaterialError, match=words):
            extracted(material, fetch=Fetcher(data))
    assert os.listdir(own_home / "material") == []


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"ERROR: Could not install: [Errno 28] No space left on device", "the disk is full"),
        (b"Retrying ... Connection refused at https://secret.example/simple", "no answer"),
        (b"ERROR: No matching distribution found for toy-thing==1.0", "no matching distribution"),
        (b"/usr/bin/python: No module named pip", "pip is not installed"),
    ],
)
def test_what_pip_says_becomes_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes, words: str
) -> None:
    ran = []

    def run(command: list[str], **options: object) -> Ended:
        ran.append((command, options))
        return Ended(1, b"", said)

    monkeypatch.setattr("core.store.material.run_child", run)
    with pytest.raises(MaterialError, match=words) as caught:
        pip_download(TOY, tmp_path, False)
    assert "secret.example" not in str(caught.value)
    command, options = ran[0]
    assert command[:3] == ["-m", "pip", "download"]
    assert command[-1] == "toy-thing==1.0"
    assert "--no-deps" in command
    assert options["environment"]["TMPDIR"] == str(tmp_path), "what pip unpacks is swept with the rest"


def test_no_answer_in_time_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.store.material.DOWNLOAD_SECONDS", -1)
    with pytest.raises(MaterialError, match="network access on first use, or the wheel file in DEMOLENS_HOME/wheels"):
        pip_download(TOY, tmp_path, False)


def test_the_pins_and_licences_are_complete() -> None:
    for material in (SMOLLM2, MOVIELENS):
        assert len(material.sha256) == 64
        assert material.files
    assert all(len(entry) == 4 and all(entry) for entry in LICENCES)
    assert any("commercial" in note for _, _, note, _ in LICENCES)
