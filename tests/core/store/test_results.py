"""Stored results are whole or absent, whatever happens to their files."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path

import pytest

from core.errors import MaterialError, RequestError
from core.store import results as module
from core.store.results import Results

KEY, OTHER = "0123456789abcdef", "f" * 64


@pytest.fixture
def store(tmp_path: Path) -> Results:
    return Results(tmp_path / "results")


def test_what_was_saved_is_loaded_byte_for_byte(store: Results) -> None:
    text = '{"title": "Amélie ‮ \\ud83d", "value": -0.0}\r\n\n'
    store.save(KEY, text)
    assert store.load(KEY) == text
    assert store.load(OTHER) is None


def test_saving_again_replaces(store: Results) -> None:
    store.save(KEY, "old")
    store.save(KEY, "new")
    assert store.load(KEY) == "new"
    assert len(list(store.folder.iterdir())) == 1


@pytest.mark.parametrize(
    "key", ["", "0" * 15, "0" * 65, "G" * 16, "../../../etc/passwd", "0123456789abcde\n", "٠" * 16]
)
def test_no_other_key_reaches_a_path(store: Results, key: str) -> None:
    for attempt in (lambda: store.load(key), lambda: store.save(key, "x"), lambda: store.discard(key)):
        with pytest.raises(RequestError, match="no such result"):
            attempt()
    assert not store.folder.exists()


def test_any_damage_makes_it_absent_and_removes_the_file(store: Results) -> None:
    chance = random.Random(1)
    for _ in range(100):
        store.save(KEY, '{"a": 1.25, "b": [1, 2, 3]}')
        path = store.folder / f"{KEY}.result"
        raw = bytearray(path.read_bytes())
        place = chance.randrange(len(raw))
        if chance.random() < 0.3:
            raw = raw[:place]
        else:
            raw[place] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(raw))
        assert store.load(KEY) is None
        assert not path.exists()


def test_the_least_used_results_go_first(tmp_path: Path) -> None:
    store = Results(tmp_path, limit_bytes=1000)
    for number in range(3):
        store.save(f"{number:016x}", "x" * 250)
        os.utime(tmp_path / f"{number:016x}.result", (number, number))
    assert store.load(f"{0:016x}") is not None  # used now
    store.save(KEY, "x" * 250)
    kept = [number for number in range(3) if store.load(f"{number:016x}") is not None]
    assert kept == [0, 2]
    assert store.load(KEY) is not None


def test_a_result_larger_than_the_limit_is_kept_alone(tmp_path: Path) -> None:
    store = Results(tmp_path, limit_bytes=100)
    store.save(OTHER, "y")
    store.save(KEY, "x" * 500)
    assert store.load(KEY) is not None
    assert store.load(OTHER) is None


def test_a_full_disk_leaves_the_old_result(store: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    store.save(KEY, "old")

    def full(path: Path, data: bytes) -> None:
        raise MaterialError("the disk is full")

    monkeypatch.setattr(module, "write_atomically", full)
    with pytest.raises(MaterialError, match="full"):
        store.save(KEY, "new")
    assert store.load(KEY) == "old"


def test_a_folder_that_is_a_file_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    store = Results(tmp_path / "results")
    assert store.load(KEY) is None
    with pytest.raises(MaterialError, match="cannot be stored"):
        store.save(KEY, "x")


def test_many_threads_save_and_load_at_once(tmp_path: Path) -> None:
    store, wrong = Results(tmp_path, limit_bytes=3000), []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(30):
            number = chance.randrange(8)
            store.save(f"{number:016x}", str(number) * 400)
            if store.load(f"{number:016x}") not in (None, str(number) * 400):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert not list(tmp_path.glob("*.part"))
