"""Which column is the title, what an item is called, and what a title's cell says."""

from __future__ import annotations

import html
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.dataset import Dataset, open_dataset
from core.data.titling import missing_sql, noun_of

Write = Callable[..., Path]
INTER = ("user_id\titem_id\ttimestamp", "a\t1\t1", "a\t2\t2")


def opened(write: Write, header: str, *rows: str, inter: Sequence[str] = INTER) -> Dataset:
    return open_dataset(str(write(inter, (header, *rows))))


def titles(write: Write, *cells: str) -> list[str]:
    rows = (f"{place}\t{cell}" for place, cell in enumerate(cells))
    dataset = opened(write, "item_id:token\ttitle:token_seq", *rows, inter=(INTER[0], "a\t0\t1", "a\t0\t2"))
    return [item.title for item in dataset.all_items()]


@pytest.mark.parametrize(
    ("columns", "rows", "title", "noun"),
    [
        (("original_title", "Title"), ("Leon\tThe Professional", "Ran\tRan"), "Title", "item"),
        (("brand_name", "NAME"), ("Acme\tAnvil", "Acme\tRocket"), "NAME", "item"),
        (("original_title",), ("Toy Story", "Heat"), "original_title", "item"),
        (("artist_name", "track_id", "track_name"), ("ABBA\tk1\tSOS", "ABBA\tk2\tFernando"), "track_name", "track"),
        (("author_name", "book_title"), ("Herbert\tDune", "Austen\tEmma"), "book_title", "book"),
        (("artistName",), ("ABBA", "Muse"), "artistName", "artist"),
        (("productID", "url", "song"), ("p1\thttp://x\tSOS", "p2\thttp://y\tMoney"), "song", "song"),
        (("release_year", "class", "movie_title"), ("1995\tDrama\tHeat", "1994\tDrama\tRan"), "movie_title", "movie"),
        (("name:float", "album"), ("1\tArrival", "2\tWaterloo"), "name", "item"),
        (("number:token", "price:float"), ("1\t3", "2\t4"), None, "item"),
    ],
)  # fmt: skip
def test_the_title_column_and_the_noun(
    write: Write, columns: Sequence[str], rows: Sequence[str], title: str | None, noun: str
) -> None:
    dataset = opened(write, "\t".join(("item_id:token", *columns)), f"1\t{rows[0]}", f"2\t{rows[1]}")
    assert (dataset.meaning["title_column"], dataset.noun) == (title, noun)
    if title is None:
        assert "books.item has no title column; items are shown as untitled (id)." in dataset.notices
    else:
        assert f"Titles are read from column {title!r}; an item is called {noun}." in dataset.notices


@pytest.mark.parametrize(
    ("column", "noun"),
    [
        ("movie_title", "movie"), ("movieTitle", "movie"), ("Book-Title", "book"), ("booktitle", "book"),
        ("GAME_NAME", "game"), ("video_game_title", "game"), ("songs_name", "song"), ("series", "series"),
        ("original_title", "item"), ("title", "item"), ("name", "item"), ("ignore all rules", "item"), (None, "item"),
    ],
)  # fmt: skip
def test_only_known_kinds_are_nouns(column: str | None, noun: str) -> None:
    assert noun_of(column) == noun


def test_quoted_cells_entities_and_missing_titles(write: Write) -> None:
    cells = ['"Foo, Bar"', '"He said ""Hi"""', '"Open', '"A" and "B"', "R&amp;B &#233;&#x41;", "AT&T &unknown; &copy"]
    assert titles(write, *cells) == [
        "Foo, Bar",
        'He said "Hi"',
        '"Open',
        '"A" and "B"',
        "R&B éA",
        "AT&T &unknown; &copy",
    ]
    missing = ["nan", "NaN", "None", "null", "NULL", "\\N", " ", '""', '"nan"', "<NA>"]
    assert titles(write, *missing) == [f"untitled ({place})" for place in range(len(missing))]
    present = ["Nancy", "None of the Above", "\\New", "null and void", '""""']
    assert titles(write, *present) == [*present[:4], '"']


def test_changed_titles_are_counted(write: Write) -> None:
    rows = ('1\t"Foo, Bar"', "2\tA &amp; B", '3\t"C &lt; D"', "4\tnan", "5\tE")
    dataset = opened(write, "item_id\ttitle", *rows)
    assert dataset.notices[-4:] == (
        "Titles are read from column 'title'; an item is called item.",
        "2 titles held HTML entities such as &amp;, which are decoded.",
        "2 titles stood in the quotes of a CSV field, which are left out.",
        "1 item has no title; shown as untitled (id).",
    )
    assert [item.title for item in dataset.all_items()] == ["Foo, Bar", "A & B", "C < D", "untitled (4)", "E"]


def test_two_titles_of_one_item_are_named_and_their_order_does_not_matter(write: Write) -> None:
    rows = ["1\tEmma", "1\tDune", "1\tDune", "2\tB", "2\tA", "3\tC", "3\tC"]
    dataset = opened(write, "item_id\ttitle", *rows)
    assert [item.title for item in dataset.all_items()] == ["Dune", "A", "C"]
    assert dataset.notices[-2:] == (
        "4 lines of books.item repeat an item_id; each is kept once.",
        "2 items have more than one title, such as item '1': 'Dune' and 'Emma'; the title on most lines is kept, of"
        " equally frequent ones the first by alphabet.",
    )
    assert opened(write, "item_id\ttitle", *reversed(rows)).dataset_id == dataset.dataset_id


WORDS = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp"), blacklist_characters="\ufeff"), max_size=12
)
GONE = re.compile(r"[\s\u3000]*(nan|none|null|<na>|\\n)?[\s\u3000]*", re.IGNORECASE)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(WORDS.filter(lambda word: not GONE.fullmatch(word)), min_size=1, max_size=8))
def test_quoted_and_escaped_titles_come_back(write: Write, words: list[str]) -> None:
    plain = ["Heat", *(word for word in words if "&" not in word)]
    assert titles(write, *(f'"{word.replace(chr(34), chr(34) * 2)}"' for word in plain)) == plain
    escaped = ["Heat", *(word for word in words if not word.startswith('"') and word == html.unescape(word))]
    assert titles(write, *(html.escape(word) for word in escaped)) == escaped


def test_what_python_calls_white_space_is_no_title() -> None:
    blanks = [letter for letter in map(chr, range(sys.maxunicode + 1)) if letter.isspace()]
    query = f"SELECT count(*) FILTER ({missing_sql('title')}), count(*) FROM (SELECT unnest(?) AS title)"
    assert duckdb.execute(query, [blanks]).fetchone() == (len(blanks), len(blanks))
    assert duckdb.execute(query, [[f"Heat{blank}" for blank in blanks]]).fetchone() == (0, len(blanks))
