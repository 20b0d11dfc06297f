"""A data set answers by id, names what it does not know, and may be asked by many threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from core.data.dataset import Dataset, open_dataset
from core.data.records import Interaction, Item
from core.errors import DataError

Write = Callable[..., Path]


def test_what_the_ten_lines_say(books: Dataset) -> None:
    assert (books.name, books.noun, books.licence) == ("books", "book", "not stated")
    # ratings in order: 5 3 4 5 4 5 2 5 5 1; seven of ten are at least 4
    assert books.notices == (
        "Rating runs from 1 to 5; an item counts as liked from 4 on: 70 % of 10 rated interactions.",
        "Titles are read from column 'book_title'; an item is called book.",
    )
    assert books.meaning == {
        "rating_column": "rating", "title_column": "book_title", "like_share": 0.7, "unused_columns": [],
    }  # fmt: skip
    assert books.size == {"users": 3, "items": 6, "interactions": 10}
    assert books.has_ratings
    assert books.like_threshold == 4.0
    assert books.users() == [("a", 4), ("b", 3), ("c", 3)]
    assert books.users("b") == [("b", 3)]
    assert books.users(limit=1) == [("a", 4)]
    assert books.history("c") == (
        Interaction("2", 0, 5.0, 1.0),
        Interaction("4", 1, 5.0, 25.0),
        Interaction("1", 2, 1.0, 40.0),
    )
    assert [books.liked(each) for each in books.history("c")] == [True, True, False]


def test_items_by_id_text_and_order(books: Dataset) -> None:
    assert books.item("3") == Item("3", "Solaris", ("Space", "Sea"), popularity=2)
    assert list(books.items(["10", "1"])) == ["10", "1"]
    assert [item.item_id for item in books.all_items()] == ["1", "2", "3", "4", "5", "10"]
    assert [item.title for item in books.find_items("s")] == ["Solaris", "Persuasion", "Ulysses"]
    assert [item.title for item in books.find_items("10")] == ["Ulysses"]
    assert books.find_items("%") == ()
    assert len(books.find_items("", limit=2)) == 2


def test_the_cut_is_the_discrete_quantile(books: Dataset) -> None:
    # times in order: 1 5 10 15 20 25 30 30 40 40; the 8th of 10 is the first with a share of 0.8 at or below it
    assert books.time_cut() == 30.0
    assert books.time_cut(0.5) == 20.0


def test_unknown_names_come_back_in_the_users_words(books: Dataset) -> None:
    with pytest.raises(DataError, match="user 'Zoë; DROP' is not in the data set books; expected one of its 3 users"):
        books.history("Zoë; DROP")
    with pytest.raises(DataError, match=r"user 'a\\x00b' is not"):
        books.history("a\0b")
    with pytest.raises(DataError, match="item '99' is not in this data set; expected one of its 6 items, such as 1"):
        books.item("99")


def test_constant_ratings_are_no_ratings(write: Write) -> None:
    dataset = open_dataset(str(write(("user_id\titem_id\trating\ttimestamp", "a\t1\t1\t1", "a\t2\t1\t2"))))
    assert not dataset.has_ratings
    assert all(dataset.liked(each) for each in dataset.history("a"))
    assert dataset.notices[0] == "All ratings are equal: every interaction counts as liked."


@pytest.mark.parametrize(
    ("ratings", "threshold"), [((0, 1), 0.8), ((10, 100), 80.0), ((0.5, 5), 4.0), ((-9, -3), -3.0)]
)
def test_the_threshold_follows_the_scale(write: Write, ratings: tuple[float, float], threshold: float) -> None:
    rows = (f"a\t{n}\t{rating}\t{n}" for n, rating in enumerate(ratings))
    dataset = open_dataset(str(write(("user_id\titem_id\trating\ttimestamp", *rows), None)))
    assert dataset.like_threshold == threshold
    assert [dataset.liked(each) for each in dataset.history("a")] == [False, True]


def test_a_missing_rating_is_not_liked(write: Write) -> None:
    rows = ("a\t1\t\t1", "a\t2\t5\t2", "a\t3\t1\t3")
    dataset = open_dataset(str(write(("user_id\titem_id\trating\ttimestamp", *rows))))
    assert dataset.history("a")[0].rating is None
    assert not dataset.liked(dataset.history("a")[0])
    assert not dataset.is_rated(dataset.history("a")[0])
    assert dataset.notices[1] == "1 interaction has no rating and counts neither as liked nor as disliked."


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "is not a folder name; expected sample, the name of an added data set, or a folder"),
        ("a\0b", "is not a folder name"),
        ("x" * 5000, "is not a folder name"),
        ("x" * 300, "cannot be opened|does not exist"),
        ("no/such/folder", "data set 'no/such/folder' does not exist"),
        (__file__, "is a file"),
    ],
)
def test_a_name_that_is_no_folder_is_refused(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_dataset(name)


def test_the_files_of_a_folder(write: Write) -> None:
    folder = write()
    (folder / "LICENSE").write_text("\n  CC0 1.0 \n")
    (folder / "books.inter").rename(folder / "novels.inter")
    (folder / "books.item").rename(folder / "novels.item")
    assert open_dataset(str(folder)).name == "novels"
    assert open_dataset(str(folder)).licence == "CC0 1.0"
    (folder / "other.inter").write_text("x")
    with pytest.raises(DataError, match=r"books: 2 .inter files and none named books.inter; expected one"):
        open_dataset(str(folder))
    for path in folder.glob("*.inter"):
        path.unlink()
    with pytest.raises(DataError, match=r"books: no .inter file; expected one, such as books.inter"):
        open_dataset(str(folder))


def test_the_connection_sees_its_folder_only(books: Dataset, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("x\n1\n")
    for query in (
        f"SELECT * FROM read_csv('{tmp_path / 'secret.csv'}')",
        f"COPY (SELECT 1) TO '{tmp_path / 'out.csv'}'",
        "SET enable_external_access=true",
        "INSTALL httpfs",
        f"ATTACH '{tmp_path / 'x.db'}'",
    ):
        with pytest.raises(Exception, match=r"(?i)permission|locked|disabled|cannot"):
            books.cursor().execute(query).fetchall()
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


def test_threads_share_one_data_set(write: Write) -> None:
    dataset, wrong = open_dataset(str(write())), []

    def ask() -> None:
        for _ in range(20):
            if len(dataset.history("a")) != 4 or dataset.item("3").title != "Solaris" or len(dataset.users()) != 3:
                wrong.append(1)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


def test_what_does_not_fit_into_memory_goes_where_it_is_swept(books: Dataset, own_home: Path) -> None:
    ((place,),) = books.cursor().execute("SELECT current_setting('temp_directory')").fetchall()
    assert Path(place).is_relative_to(own_home / "scratch")
