"""A few of the kills and damages of the bench: nothing wrong, lost or left."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import pytest

from bench.product.damage import DAMAGES, restore
from bench.product.faults import temporary_home
from bench.product.kills import Harm, KillField, imports, json_files, leftover, saves
from bench.product.tiny_material import write_data
from core.data.dataset import open_dataset
from core.lm.loading.hashes import file_hash
from core.store.home import home
from core.store.results import Results

NO_HARM = (0, 0, 0, 0, 0)


@pytest.fixture
def field() -> Iterator[KillField]:
    with temporary_home() as folder:
        yield KillField(folder, seed=1)


@pytest.mark.parametrize("tried", [saves, json_files, imports])
def test_kills_do_no_harm(field: KillField, tried: object) -> None:
    harm = [astuple(one) for one in tried(field, 3)]
    assert harm == [NO_HARM] * 3


def test_harm_is_noticed(field: KillField) -> None:
    field.last = []
    (home() / "results").mkdir()
    (home() / "results" / ".x.part").write_bytes(b"1234567")
    assert leftover(home()) == 7
    assert Harm(1, 2, 3, 4, 5) + Harm(1, 0, 0, 0, 1) == Harm(2, 2, 3, 4, 6)


@pytest.mark.parametrize("way", DAMAGES)
def test_a_damaged_copy_of_the_data_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    write_data(tmp_path / "books")

    def content() -> object:
        dataset = open_dataset(str(tmp_path / "books"))
        return dataset.dataset_id, [dataset.history(user) for user, _ in dataset.users()], dataset.all_items()

    right = content()
    stored = tmp_path / "home" / "datasets"
    note = next((stored / "sources").iterdir())
    for path in (stored / right[0] / "facts.json", stored / right[0] / "items.parquet", note):
        DAMAGES[way](path, random.Random(way))
        assert content() == right
        assert path.is_file()


@pytest.mark.parametrize("way", DAMAGES)
def test_a_damaged_result_or_note_is_never_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    store, key, chance = Results(), "ab" * 16, random.Random(way)
    store.save(key, "a result")
    DAMAGES[way](store.folder / f"{key}.result", chance)
    assert store.load(key) is None
    store.save(key, "a result")
    assert store.load(key) == "a result"
    (tmp_path / "weights").write_bytes(b"abc")
    right = file_hash(tmp_path / "weights", where="here")
    note = next((home() / "hashes").iterdir())
    DAMAGES[way](note, chance)
    assert file_hash(tmp_path / "weights", where="here") == right
    assert note.is_file()


def test_a_result_under_another_ones_key_is_none(tmp_path: Path) -> None:
    store = Results(tmp_path)
    store.save("ab" * 16, "one")
    shutil.copy(tmp_path / f"{'ab' * 16}.result", tmp_path / f"{'cd' * 16}.result")
    assert store.load("cd" * 16) is None
    assert store.load("ab" * 16) == "one"


def test_every_way_really_damages_and_is_taken_back(tmp_path: Path) -> None:
    path, copy = tmp_path / "file", tmp_path / "copy"
    for way, damage in DAMAGES.items():
        path.write_bytes(bytes(range(1, 200)))
        shutil.copy2(path, copy)
        damage(path, random.Random(1))
        assert not path.is_file() or path.is_symlink() or path.read_bytes() != copy.read_bytes(), way
        restore(path, copy)
        assert path.read_bytes() == copy.read_bytes()
        assert path.stat().st_mtime_ns == copy.stat().st_mtime_ns
