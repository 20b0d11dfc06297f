"""What all tabs share follows the files of the data, whatever these are called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app import cached
from core.errors import MaterialError
from core.question.case_spec import CaseSpec
from core.question.task import Task


@pytest.fixture
def films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    folder = tmp_path / "films"
    folder.mkdir()
    rows = [f"{user}\t{item}\t{user + item}\n" for user in (1, 2) for item in range(1, 8)]
    (folder / "films.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\n" + "".join(rows))
    titles = [f"{item}\tFilm {item}\n" for item in range(1, 13)]
    (folder / "films.item").write_text("item_id:token\tmovie_title:token\n" + "".join(titles))
    return folder


def rewritten(file: Path, old: str, new: str) -> None:
    """Other contents of the same length under the same time."""
    before = file.stat()
    assert len(old) == len(new)
    file.write_text(file.read_text().replace(old, new))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_titles_and_previews_follow_the_items(films: Path) -> None:
    task = Task(case=CaseSpec(dataset=str(films), user="1", demos=2, candidates=3, history=2))
    first = cached.preview(task)
    assert isinstance(first, cached.Subject)
    assert cached.titles(str(films), "film 3", 5) == [("3", "Film 3")]
    rewritten(films / "films.item", "\tFilm ", "\tSong ")
    second = cached.preview(task)
    assert isinstance(second, cached.Subject)
    assert {item.title[:4] for item in first.items.values()} == {"Film"}
    assert {item.title[:4] for item in second.items.values()} == {"Song"}
    assert cached.titles(str(films), "film 3", 5) == []
    assert cached.title_of(str(films), "3") == "Song 3"


def test_users_follow_the_interactions(films: Path) -> None:
    assert cached.users(str(films), "", 9) == [("1", 7), ("2", 7)]
    rewritten(films / "films.inter", "\n2\t", "\n3\t")
    assert cached.users(str(films), "", 9) == [("1", 7), ("3", 7)]


def test_a_folder_that_is_gone_is_told_and_one_that_comes_back_is_opened(films: Path) -> None:
    name = str(films)
    assert cached.users(name, "1", 9) == [("1", 7)]
    films.rename(films.with_name("away"))
    assert isinstance(cached.preview(Task(case=CaseSpec(dataset=name, user="1"))), str)
    assert cached.licence(CaseSpec(dataset=name)) == ""
    films.with_name("away").rename(films)
    assert cached.users(name, "1", 9) == [("1", 7)]


def test_data_that_cannot_be_fetched_are_not_asked_for_at_every_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def missing(name: str) -> None:
        asked.append(name)
        raise MaterialError("no answer from the index")

    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path))
    monkeypatch.setattr(cached, "open_dataset", missing)
    clock = [100.0]
    monkeypatch.setattr("app.cached.time.monotonic", lambda: clock[0])
    for _ in range(3):
        assert cached.preview(Task()) == "no answer from the index"
        assert cached.licence(CaseSpec()) == ""
    assert asked == ["sample"]
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "other"))
    assert cached.licence(CaseSpec()) == ""
    assert asked == ["sample"] * 2
    clock[0] += cached.PAUSE_SECONDS
    assert cached.licence(CaseSpec()) == ""
    assert asked == ["sample"] * 3
