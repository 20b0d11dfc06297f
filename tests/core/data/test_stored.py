"""The reader keeps every row as it is, or says in one sentence which line is wrong; nothing is half loaded."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.dataset import Dataset, open_dataset
from core.errors import DataError

Write = Callable[..., Path]
HEAD = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
ITEMS = ("item_id:token\ttitle:token_seq", "1\tDune", "2\tEmma")
TITLED = "Titles are read from column 'title'; an item is called item."
LIKES_OF_THREE = "Rating runs from 3 to 5; an item counts as liked from 4 on: 67 % of 3 rated interactions."
SETTINGS = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def opened(write: Write, inter: object, item: object = ITEMS) -> Dataset:
    return open_dataset(str(write(inter, item)))


def rows_of(dataset: Dataset) -> dict[str, list[tuple[str, float | None, float | None]]]:
    users = dataset.users(limit=10_000)
    return {user: [(i.item_id, i.rating, i.timestamp) for i in dataset.history(user)] for user, _ in users}


# ---- what is read


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_a_bom_do_not_matter(write: Write, end: str, bom: bytes) -> None:
    lines = (HEAD, "a\t1\t5\t1", "a\t2\t3\t2", "b\t1\t4\t3")
    dataset = opened(write, bom + end.join((*lines, "")).encode())
    assert rows_of(dataset) == {"a": [("1", 5, 1), ("2", 3, 2)], "b": [("1", 4, 3)]}
    assert dataset.dataset_id == opened(write, lines).dataset_id
    assert dataset.notices == (LIKES_OF_THREE, TITLED)


def test_mixed_line_ends_and_a_last_line_without_one(write: Write) -> None:
    dataset = opened(write, (HEAD + "\r\na\t1\t5\t1\ra\t2\t3\t2\n\nb\t1\t4\t3").encode())
    assert rows_of(dataset) == {"a": [("1", 5, 1), ("2", 3, 2)], "b": [("1", 4, 3)]}
    cut = "books.inter: the last line has no line end; the file may be cut short."
    assert dataset.notices == (cut, LIKES_OF_THREE, TITLED)


def test_ids_are_text(write: Write) -> None:
    ids = [
        "007",
        "7",
        "9007199254740992",
        "9007199254740993",
        "-1",
        "a b",
        "98765432109876543210",
        "NULL",
        "nan",
        "1e3",
    ]
    dataset = opened(write, (HEAD, *(f"{user}\t{user}\t{n % 5}\t{n}" for n, user in enumerate(ids))), None)
    assert sorted(rows_of(dataset)) == sorted(ids)
    assert [user for user, _ in dataset.users()] == [
        "007", "7", "9007199254740992", "9007199254740993", "98765432109876543210", "-1", "1e3", "NULL", "a b", "nan",
    ]  # fmt: skip
    assert [dataset.history(user)[0].item_id for user in ids] == ids


def test_quotes_and_odd_characters_stay(write: Write) -> None:
    titles = [
        '"Open',
        "it's # \\ % {x}",
        "Amélie\u202e\u200d",
        "Godfather, The",
        " two  spaces ",
        "\x0b\x85\u2028x",
        "NULL and void",
    ]
    item = ("item_id:token\tname:token_seq", *(f"{n}\t{title}" for n, title in enumerate(titles)))
    dataset = opened(write, (HEAD, "a\t0\t5\t1", "a\t1\t4\t2"), item)
    assert [each.title for each in dataset.all_items()] == titles


def test_missing_and_blank_titles_and_orphans_are_named(write: Write) -> None:
    dataset = opened(
        write, (HEAD, "a\t1\t5\t1", "a\t9\t4\t2"), ("item_id:token\ttitle:token_seq", "1\t", "2\t \u3000", "3\tX")
    )
    assert [item.title for item in dataset.all_items()] == ["untitled (1)", "untitled (2)", "X", "unknown title (9)"]
    assert dataset.notices[-2:] == (
        "2 items have no title; shown as untitled (id).",
        "1 item has interactions but no line in books.item; shown as unknown title (id).",
    )


@pytest.mark.parametrize(
    ("header", "cell", "expected"),
    [
        ("class:token_seq", "Animation Children's Comedy", ("Animation", "Children's", "Comedy")),
        ("categories:token_seq", "['Video Games', 'PC']", ("Video Games", "PC")),
        ("genres:token", "Drama|Film-Noir", ("Drama", "Film-Noir")),
        ("main_category:token", "All Beauty", ("All Beauty",)),
        ("brand:token", "Tombow Pen", ("Tombow Pen",)),
        ("brand:token", "", ()),
        ("price:float", "3.5", ()),
    ],
)
def test_categories(write: Write, header: str, cell: str, expected: tuple[str, ...]) -> None:
    item = (f"item_id:token\ttitle:token_seq\t{header}", f"1\tDune\t{cell}")
    assert opened(write, (HEAD, "a\t1\t5\t1"), item).item("1").categories == expected


@pytest.mark.parametrize(
    ("column", "noun"), [("movie_title", "movie"), ("title", "item"), ("Book-Title", "book"), ("name", "item")]
)
def test_the_noun_comes_from_the_title_column(write: Write, column: str, noun: str) -> None:
    assert opened(write, (HEAD, "a\t1\t5\t1"), (f"item_id:token\t{column}:token_seq", "1\tDune")).noun == noun


def test_repeated_rows_count_once_with_the_highest_rating(write: Write) -> None:
    lines = ("a\t1\t5\t1", "a\t1\t2\t1", "a\t1\t3\t2", "a\t2\t4\t3", "a\t2\t4\t3")
    dataset = opened(write, (HEAD, *lines))
    assert rows_of(dataset) == {"a": [("1", 5, 1), ("1", 3, 2), ("2", 4, 3)]}
    assert dataset.notices[0] == (
        "2 lines repeat the user, item and time of another line of books.inter; each is kept once, the highest rating"
        " where they differ (1)."
    )
    assert opened(write, (HEAD, *reversed(lines))).dataset_id == dataset.dataset_id


@pytest.mark.parametrize(
    ("inter", "notice"),
    [
        ((HEAD, "a\t2\t5\t7", "a\t1\t4\t7"), "All timestamps are equal"),
        (("item_id:token\tuser_id:token\trating:float", "2\ta\t5", "1\ta\t4"), "There are no timestamps"),
        ((HEAD, "a\t2\t5\t", "a\t1\t4\t"), "There are no timestamps"),
    ],
)
def test_without_time_the_order_is_the_files(write: Write, inter: tuple[str, ...], notice: str) -> None:
    dataset = opened(write, inter)
    assert rows_of(dataset) == {"a": [("2", 5, None), ("1", 4, None)]}
    assert dataset.notices[0] == f"{notice}: the order of interactions is their order in books.inter."
    assert not dataset.has_time
    with pytest.raises(DataError, match="has no timestamps to cut at; expected split last"):
        dataset.time_cut()


def test_the_id_follows_the_content_not_the_file(write: Write) -> None:
    lines = [f"u{n % 3}\t{n}\t{n % 5}\t{n}" for n in range(12)]
    first = opened(write, (HEAD, *lines))
    random.Random(1).shuffle(lines)
    assert opened(write, (HEAD, *lines)).dataset_id == first.dataset_id
    assert opened(write, (HEAD, *lines[1:])).dataset_id != first.dataset_id
    assert opened(write, (HEAD, *lines), (ITEMS[0], "1\tDune!")).dataset_id != first.dataset_id
    assert len(first.dataset_id) == 16


def test_a_damaged_store_is_made_anew(write: Write, own_home: Path) -> None:
    inter = (HEAD, "d\t1\t5\t1", "d\t2\t4\t2")
    first = opened(write, inter)
    path = own_home / "datasets" / first.dataset_id / "interactions.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    assert rows_of(opened(write, inter)) == {"d": [("1", 5, 1), ("2", 4, 2)]}


# ---- what is refused

GOOD = ("a\t1\t5\t1", "a\t2\t4\t2")


@pytest.mark.parametrize(
    ("inter", "message"),
    [
        (b"", "books.inter: the file is empty"),
        ((HEAD,), "books.inter: no interactions"),
        ((HEAD, *GOOD, "a\t1\t5"), "books.inter, line 4: 3 fields; expected 4, as the header names"),
        ((HEAD, "a\t1\t5\t1\t9"), "books.inter, line 2: 5 fields; expected 4"),
        ((HEAD, *GOOD, "x"), "books.inter, line 4: 1 field; expected 4"),
        ((HEAD, "\t1\t5\t1"), "books.inter, line 2: no user_id"),
        ((HEAD, "a\t\t5\t1"), "books.inter, line 2: no item_id"),
        ((HEAD, *GOOD, "a\t1\tnan\t1"), "line 4: rating is 'nan'; expected a finite number"),
        ((HEAD, "a\t1\tinf\t1"), "line 2: rating is 'inf'"),
        ((HEAD, "a\t1\t1e400\t1"), "line 2: rating is '1e400'"),
        ((HEAD, "a\t1\t4,5\t1"), "line 2: rating is '4,5'"),
        ((HEAD, "a\t1\tfive\t1"), "line 2: rating is 'five'"),
        ((HEAD, "a\t1\t0x10\t1"), "line 2: rating is '0x10'"),
        ((HEAD, "a\t1\t1_0\t1"), "line 2: rating is '1_0'"),
        ((HEAD, "a\t1\t5\t2020-01-01"), "line 2: timestamp is '2020-01-01'; expected a number of seconds"),
        ((HEAD, "a\t1\t5\tinf"), "line 2: timestamp is 'inf'"),
        ((HEAD, *GOOD, "a\t1\t5\t"), "line 4: no timestamp"),
        (("user_id:token\trating:float", "a\t5"), "line 1: no column of the needed name; found 'user_id', 'rating'"),
        (("user_id,item_id", "a,5"), "found 'user_id,item_id'; expected columns user_id and item_id, separated by"),
        (("user_id:token\titem_id:token\titem_id:float", "a\t5\t1"), "line 1: column 'item_id' appears twice"),
        (("user_id:token\t\titem_id:token", "a\t5\t1"), "line 1: column 2 has no name"),
        (
            f"{HEAD}\na\t1\t5\t1\nAm\xe9lie\t1\t5\t1\n".encode("latin-1"),
            "line 3: bytes that are not UTF-8, likely Latin",
        ),
        (f"{HEAD}\na\t1\t5\t1\n".encode("utf-16"), "books.inter: this is text in UTF-16"),
        (f"{HEAD}\na\t1\t5\t1\n".encode("utf-16-le"), "books.inter: this is text in UTF-16"),
        (f"{HEAD}\na\0b\t1\t5\t1\n".encode(), "books.inter, line 2: a NUL byte"),
        (f"{HEAD}\na\t1\t5\t1\n{'x' * 3_000_000}\t1\t5\t1\n".encode(), "books.inter, line 3: a line of more than 1 MB"),
        (b"x" * 3_000_000, "books.inter, line 1: a line of more than 1 MB"),
        (b"\x1f\x8b\x08\x00abc", "this is a gzip archive"),
        (b"PK\x03\x04abc", "this is a zip archive"),
        (b"PAR1abc", "this is a Parquet file"),
        (b"  <!DOCTYPE html><html>", "this is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "this is a Git LFS pointer"),
        (b"SQLite format 3\0", "this is an SQLite database"),
        (b"\x80\x04\x95abc", "this is a binary file"),
    ],
    ids=lambda value: None if not isinstance(value, str) else value[:40],
)
def test_a_wrong_file_is_refused_with_its_line(write: Write, own_home: Path, inter: object, message: str) -> None:
    before = set(os.listdir(own_home / "datasets")) if (own_home / "datasets").exists() else {"sources"}
    with pytest.raises(DataError) as caught:
        opened(write, inter)
    assert message in str(caught.value)
    assert str(own_home) not in str(caught.value)
    after = set(os.listdir(own_home / "datasets")) if (own_home / "datasets").exists() else set()
    assert after <= before | {"sources"}


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (("title:token_seq", "Dune"), "books.item, line 1: no column of the needed name; found 'title'"),
        (("item_id:token\ttitle:token_seq", "1\tDune\tx"), "books.item, line 2: 3 fields; expected 2"),
        (("item_id:token\ttitle:token_seq", "\tDune"), "books.item, line 2: no item_id"),
    ],
)
def test_a_wrong_item_file_is_refused(write: Write, item: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError) as caught:
        opened(write, (HEAD, *GOOD), item)
    assert message in str(caught.value)


# ---- properties

TEXT = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="\t\n\r\0\ufeff"), min_size=1, max_size=12
)
CHANGED = re.compile(r'\s*(nan|none|null|<na>|\\n)\s*|"([^"]|"")*"|.*&.+;.*', re.IGNORECASE | re.DOTALL)
"""Titles that are not kept letter by letter; they have tests of their own."""
NOT_RATED = (-1.0, 0.0, 99.0)
"""Ratings that stand for none beside certain others; `test_scale.py` says beside which."""


@SETTINGS
@given(
    st.dictionaries(
        st.tuples(TEXT, TEXT, st.integers(-(2**33), 2**33)),
        st.floats(-1e6, 1e6, allow_nan=False).filter(lambda rating: rating not in NOT_RATED),
        min_size=1,
        max_size=12,
    ),
    st.dictionaries(TEXT, TEXT.filter(lambda title: not CHANGED.fullmatch(title)), max_size=6),
)
def test_any_text_comes_back_exactly(
    write: Write, met: dict[tuple[str, str, int], float], titles: dict[str, str]
) -> None:
    inter = (HEAD, *(f"{user}\t{item}\t{rating!r}\t{at}" for (user, item, at), rating in met.items()))
    dataset = opened(write, inter, ("item_id:token\ttitle:token_seq", *(f"{i}\t{t}" for i, t in titles.items())))
    timed = len({at for _, _, at in met}) > 1
    found = {
        (user, item, at if timed else None, rating)
        for user, rows in rows_of(dataset).items()
        for item, rating, at in rows
    }
    assert found == {(user, item, at if timed else None, rating) for (user, item, at), rating in met.items()}
    for item_id, title in titles.items():
        assert dataset.item(item_id).title == (title if title.strip() else f"untitled ({item_id})")


ROWS = [("a", "1", 5.0, 1.0), ("é", "2", 3.5, 2.0), ("b", "1", 4.0, 3.0), ("a", "2", 1.0, 4.0)]
WHOLE = "\n".join((HEAD, *(f"{u}\t{i}\t{r}\t{t}" for u, i, r, t in ROWS), "")).encode()


@SETTINGS
@given(st.integers(0, len(WHOLE)))
def test_a_file_cut_anywhere_gives_whole_rows_or_one_error(write: Write, size: int) -> None:
    try:
        dataset = opened(write, WHOLE[:size])
    except DataError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert any(words in refused for words in ("line ", "no interactions", "is empty"))
        return
    whole = WHOLE[:size].decode().splitlines()[1:]
    assert dataset.size["interactions"] == len(whole)
    found = sum(len(rows) for rows in rows_of(dataset).values())
    assert found == len(whole)
    assert any("cut short" in notice for notice in dataset.notices) is not WHOLE[:size].endswith(b"\n")


@SETTINGS
@given(st.integers(0, 3), st.sampled_from(["drop", "add"]))
def test_one_ragged_line_is_named(write: Write, place: int, change: str) -> None:
    lines = WHOLE.decode().splitlines()
    row = lines[place + 1]
    lines[place + 1] = row.rpartition("\t")[0] if change == "drop" else row + "\t1"
    with pytest.raises(DataError, match=rf"books.inter, line {place + 2}: {3 if change == 'drop' else 5} fields"):
        opened(write, tuple(lines))


@SETTINGS
@given(st.permutations(range(4)))
def test_row_order_does_not_matter(write: Write, order: list[int]) -> None:
    lines = WHOLE.decode().splitlines()
    dataset = opened(write, (lines[0], *(lines[1 + place] for place in order)))
    assert dataset.dataset_id == opened(write, WHOLE).dataset_id
    assert rows_of(dataset)["a"] == [("1", 5.0, 1.0), ("2", 1.0, 4.0)]


TIES = ["a\t1\t5\t7", "a\t2\t4\t7", "a\t3\t3\t7", "a\t4\t2\t8", "b\t1\t5\t7"]


@settings(SETTINGS, max_examples=8)
@given(st.lists(st.sampled_from(TIES), max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_exact_repeats_does_not_matter(write: Write, again: list[str], chance: random.Random) -> None:
    """All lines of a user's moment come in another order as soon as one of them is repeated."""
    lines = [*TIES, TIES[1], *again]
    ids = set()
    for _ in range(2):
        chance.shuffle(lines)
        dataset = opened(write, (HEAD, *lines))
        ids.add(dataset.dataset_id)
        assert [row[0] for row in rows_of(dataset)["a"]] == ["1", "2", "3", "4"]
    assert len(ids) == 1


def test_what_does_not_change_the_content_does_not_change_the_id(write: Write) -> None:
    plain = opened(write, (HEAD, "a\t1\t5\t1000", "a\t2\t3.5\t2000"))
    header = "Timestamp:token\tITEM_ID:token\tnote:token_seq\tRating:token\tuser_id"
    other = opened(
        write,
        (header, "", "2.0e3\t2\tx\t+3.50\ta", "1000.0\t1\ty\t 5.\ta"),
        ("Title\tpages\tItem_Id", *reversed(("Dune\t412\t1", "Emma\t474\t2"))),
    )
    assert other.dataset_id == plain.dataset_id


def test_ties_that_are_not_repeated_keep_the_files_order(write: Write) -> None:
    assert [row[0] for row in rows_of(opened(write, (HEAD, *TIES[2::-1], TIES[3])))["a"]] == ["3", "2", "1", "4"]
