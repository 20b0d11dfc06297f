"""Data sets by name: stored content with a label, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from core_data_imports import rows_of, written

from core.data.dataset import open_dataset
from core.data.names import (
    check_name,
    dataset_names,
    keep_named,
    name_fingerprint,
    named_dataset,
    origin_of,
    remove_named,
)
from core.data.reading.import_choices import DataChoices
from core.data.reading.sources import recognised
from core.data.stored import prepared
from core.errors import DataError

GAMES = "user,item,rating,time\na,1,5,1000000000\na,2,3,1000000005\nb,1,4,1000000001\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def add(name: str, folder: Path, text: str = GAMES, **choices: object) -> str:
    sources = recognised(written(folder, {"games.csv": text}), DataChoices.model_validate(choices))
    with prepared(sources) as data:
        keep_named(name, data, origin_of(sources))
        return data.report.dataset_id


def test_a_named_data_set_outlives_its_files(home: Path, tmp_path: Path) -> None:
    dataset_id = add("games", tmp_path / "x", like_from=5)
    (tmp_path / "x" / "games.csv").unlink()
    dataset = open_dataset("games")
    assert (dataset.dataset_id, dataset.name, dataset.like_threshold) == (dataset_id, "games", 5)
    assert rows_of(dataset)[0] == ("a", "1", 5.0, 1_000_000_000.0)
    entry = named_dataset("games")
    assert entry is not None
    assert (entry.files, entry.choices.like_from, entry.report.interactions) == (("games.csv",), 5, 3)
    assert dataset_names() == ("games",)


def test_the_same_content_is_stored_once_and_other_content_is_refused(home: Path, tmp_path: Path) -> None:
    assert add("games", tmp_path / "x") == add("again", tmp_path / "y") == add("games", tmp_path / "x")
    assert len(list((home / "datasets").glob("*/facts.json"))) == 1
    with pytest.raises(DataError, match="--name: 'games' already names other data"):
        add("games", tmp_path / "x", GAMES + "c,9,1,1000000009\n")
    assert len(list((home / "datasets").glob("*/facts.json"))) == 1


def test_removing_a_name_removes_data_that_no_other_name_has(home: Path, tmp_path: Path) -> None:
    dataset_id = add("games", tmp_path / "x")
    add("again", tmp_path / "x")
    assert not remove_named("games")
    assert open_dataset("again").dataset_id == dataset_id
    assert remove_named("again")
    assert not (home / "datasets" / dataset_id).exists()
    with pytest.raises(DataError, match="no data set is named 'again'; expected a name that demolens data add gave"):
        remove_named("again")
    with pytest.raises(DataError, match="data set 'games' does not exist"):
        open_dataset("games")


def test_the_fingerprint_follows_what_a_name_means(home: Path, tmp_path: Path) -> None:
    assert name_fingerprint("games") == ""
    add("games", tmp_path / "x")
    before = name_fingerprint("games")
    assert before
    remove_named("games")
    add("games", tmp_path / "x", GAMES + "c,9,1,1000000009\n")
    assert name_fingerprint("games") not in ("", before)


def test_damage_is_said_and_repaired_by_adding_again(home: Path, tmp_path: Path) -> None:
    dataset_id = add("games", tmp_path / "x")
    (home / "datasets" / dataset_id / "items.parquet").write_bytes(b"")
    with pytest.raises(DataError, match="the data set 'games' is damaged or was removed by hand"):
        open_dataset("games")
    add("games", tmp_path / "x")
    assert open_dataset("games").size["items"] == 2


@pytest.mark.parametrize(
    "name", ["", "sample", "../x", "a/b", ".x", "-x", "a b", "x" * 65, "a\0", "ä", "C:x", "~", "x\n"]
)
def test_names_are_labels_only(home: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="no name for a data set"):
        check_name(name)
    assert named_dataset(name) is None
    assert name_fingerprint(name) == ""


def test_nothing_is_stored_before_a_name_is_kept(home: Path, tmp_path: Path) -> None:
    with prepared(recognised(written(tmp_path / "x", {"games.csv": GAMES}))) as data:
        assert data.report.interactions == 3
    assert not list((home / "datasets").glob("*")) if (home / "datasets").exists() else True
    assert not list((home / "scratch").glob("*/*"))
