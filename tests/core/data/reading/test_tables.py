"""Any table: columns by name or by hand, every delimiter and encoding, and what is refused with one right sentence."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from core_data_imports import imported, rows_of, titles_of, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.reading import streams
from core.data.reading.import_choices import DataChoices
from core.data.reading.sources import recognised
from core.errors import DataError

T = 1_000_000_000.0
PLAIN = [("a", "1", 5.0, T), ("a", "2", 3.0, T + 5), ("b", "1", 4.0, T + 1)]
SETTINGS = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


def table(delimiter: str, header: str = "user_id item_id rating timestamp") -> str:
    rows = [header.split(" "), *([u, i, f"{r:g}", f"{t:.0f}"] for u, i, r, t in PLAIN)]
    return "".join(delimiter.join(row) + "\n" for row in rows)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "::"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_delimiters_line_ends_and_marks(
    tmp_path: Path, own_home: Path, delimiter: str, end: str, encoding: str
) -> None:
    content = table(delimiter).replace("\n", end).encode(encoding)
    with imported(tmp_path, {"x.txt": content}) as (dataset, report):
        assert rows_of(dataset) == PLAIN
        assert report.format == "table"


@pytest.mark.parametrize(
    "header",
    [
        "userId movieId rating timestamp",
        "UID Asin Overall unixReviewTime",
        "reviewerID product_id stars time",
        "user track_id score ts",
        "User-ID ISBN rating created_at",
    ],
)
def test_columns_by_their_names(tmp_path: Path, own_home: Path, header: str) -> None:
    with imported(tmp_path, {"x.csv": table(",", header)}) as (dataset, report):
        assert rows_of(dataset) == PLAIN
        assert [column.column for column in report.columns[:4]] == header.split(" ")
        assert [column.option for column in report.columns[:2]] == ["--user-column", "--item-column"]


def test_columns_by_hand(tmp_path: Path, own_home: Path) -> None:
    text = "who,what,how,when,note\na,1,5,1000000000,x\na,2,3,1000000005,\nb,1,4,1000000001,y\n"
    with pytest.raises(DataError, match=r"x\.csv: no columns that are clearly users and items among 'who', 'what'"):
        recognised(written(tmp_path, {"x.csv": text}))
    choices = {"user_column": "who", "item_column": "what", "rating_column": "how", "time_column": "when"}
    with imported(tmp_path, {"x.csv": text}, **choices) as (dataset, report):
        assert rows_of(dataset) == PLAIN
        assert report.files[0].unused_columns == ("note",)
    with pytest.raises(DataError, match=r"x\.csv: no column 'score' for --rating-column; expected one of 'who'"):
        recognised([tmp_path / "x.csv"], DataChoices.model_validate({**choices, "rating_column": "score"}))


def test_without_a_header_the_first_rows_are_shown_and_columns_counted(tmp_path: Path, own_home: Path) -> None:
    text = "".join(table(",").splitlines(keepends=True)[1:])
    with pytest.raises(DataError) as caught:
        recognised(written(tmp_path, {"x.csv": text}))
    assert "no header" in str(caught.value)
    assert "a | 1 | 5 | 1000000000; a | 2 | 3" in str(caught.value)
    assert "--user-column N and --item-column N" in str(caught.value)
    choices = {"user_column": "1", "item_column": "2", "rating_column": "3", "time_column": "4"}
    with imported(tmp_path, {"x.csv": text}, **choices) as (dataset, _):
        assert rows_of(dataset) == PLAIN


def test_equal_names_are_refused(tmp_path: Path, own_home: Path) -> None:
    with pytest.raises(DataError, match=r"x\.csv, line 1: column 'item_id' appears twice"):
        recognised(written(tmp_path, {"x.csv": "user_id,item_id,item_id\na,1,2\nb,3,4\n"}))


@pytest.mark.parametrize("array", [True, False])
def test_json(tmp_path: Path, own_home: Path, array: bool) -> None:
    rows = [{"user_id": u, "item_id": int(i), "rating": r, "timestamp": t, "title": f"T{i}"} for u, i, r, t in PLAIN]
    text = json.dumps(rows, indent=1) if array else "\n".join(map(json.dumps, rows))
    with imported(tmp_path, {"x.json": text}) as (dataset, report):
        assert rows_of(dataset) == PLAIN
        assert titles_of(dataset) == {"1": "T1", "2": "T2"}
        assert report.files[0].layout == ("one JSON array" if array else "one record of JSON a line")


def test_wrong_json_lines_are_counted_with_their_numbers(tmp_path: Path, own_home: Path) -> None:
    good = [json.dumps({"user_id": u, "item_id": i, "rating": r, "timestamp": t}) for u, i, r, t in PLAIN]
    deep = "[" * 10_000 + "]" * 10_000
    bad = ['{"user_id": "a"', '{"user_id": "a", "item_id": "3", "rating": NaN, "timestamp": 1}', deep]
    with imported(tmp_path, {"x.json": "\n".join([*good[:2], *bad, good[2], ""])}) as (dataset, report):
        assert rows_of(dataset) == PLAIN
        assert [(row.line, row.problem) for row in report.rejected_first] == [
            (3, "this is no record of JSON"), (5, "this is no record of JSON"), (4, "rating is 'nan'"),
        ]  # fmt: skip
        assert any("3 lines are not read; the first is line 3 of x.json" in notice for notice in report.notices)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_parquet(tmp_path: Path, own_home: Path, unit: str) -> None:
    users, items, ratings, times = zip(*PLAIN, strict=True)
    parts = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    content = pa.table(
        {
            "user": pa.array(users).dictionary_encode(),
            "item": pa.array([int(item) for item in items], pa.uint64()),
            "rating": pa.array(ratings, pa.float32()),
            "created_at": pa.array([int(t) * parts for t in times], pa.timestamp(unit)),
        }
    )
    pq.write_table(content, tmp_path / "x.parquet")
    with imported(tmp_path / "f", {"x.parquet": (tmp_path / "x.parquet").read_bytes()}) as (dataset, _):
        assert rows_of(dataset) == PLAIN
    with pytest.raises(DataError, match=r"x\.parquet: the Parquet file is damaged or cut short"):
        recognised(written(tmp_path / "f", {"x.parquet": (tmp_path / "x.parquet").read_bytes()[:-20]}))


def test_days_and_dates(tmp_path: Path, own_home: Path) -> None:
    """11574 days are 999,993,600 seconds; ClickHouse writes such days as UINT16."""
    days = pa.table({"user": ["a", "a"], "item": ["1", "2"], "date": pa.array([11574, 11575], pa.uint16())})
    pq.write_table(days, tmp_path / "x.parquet")
    with imported(tmp_path / "f", {"x.parquet": (tmp_path / "x.parquet").read_bytes()}) as (dataset, report):
        assert [row[3] for row in rows_of(dataset)] == [999_993_600.0, 1_000_080_000.0]
        assert report.times.first == "2001-09-09T00:00Z"
    dates = "user,item,date\na,1,2001-09-09 01:46:40 UTC\na,2,2001-09-09T03:46:45+02:00\na,3,yesterday\n"
    with imported(tmp_path / "g", {"x.csv": dates}) as (dataset, report):
        assert rows_of(dataset) == [("a", "1", None, T), ("a", "2", None, T + 5)]
        assert report.rejected_first[0].problem == "date is 'yesterday'"
        assert "2 times are written as dates, read as UTC where no zone is named." in dataset.notices


def test_the_time_unit_by_hand(tmp_path: Path, own_home: Path) -> None:
    text = "user,item,time\na,1,11574\na,2,11575\n"
    with imported(tmp_path, {"x.csv": text}) as (dataset, report):
        assert [row[3] for row in rows_of(dataset)] == [11574, 11575]
        assert report.times.first is None
    with imported(tmp_path, {"x.csv": text}, time_unit="days") as (dataset, report):
        assert [row[3] for row in rows_of(dataset)] == [999_993_600.0, 1_000_080_000.0]


def test_ratings_by_hand(tmp_path: Path, own_home: Path) -> None:
    rows = "".join(f"u{n},{n},{rating}\n" for n, rating in enumerate((0, 0, 1, 2, 3, 4, 5, 5)))
    text = f"user,item,rating\n{rows}"
    with imported(tmp_path, {"x.csv": text}) as (dataset, report):
        assert report.ratings.not_rated == ((0.0, 2),)
        assert (report.ratings.like_from, report.ratings.like_share) == (4, 3 / 6)
    with imported(tmp_path, {"x.csv": text}, not_rated=()) as (dataset, report):
        assert (report.ratings.not_rated, report.ratings.like_share) == ((), 3 / 8)
    with imported(tmp_path, {"x.csv": text}, not_rated=(0, 1), like_from=3) as (dataset, report):
        assert report.ratings.not_rated == ((0.0, 2), (1.0, 1))
        assert (report.ratings.like_from, report.ratings.like_share) == (3, 4 / 5)
        assert dataset.like_threshold == 3
    with imported(tmp_path, {"x.csv": text}, rating_column="none") as (dataset, report):
        assert report.ratings.kind == "none"
        assert not dataset.has_ratings


def test_titles_beside_interactions(tmp_path: Path, own_home: Path) -> None:
    text = 'user,item,title,genres\na,1,"Dune, part\ntwo",Space|Sand\na,2,Emma,\nb,1,"Dune, part\ntwo",Space|Sand\n'
    with imported(tmp_path, {"x.csv": text}) as (dataset, report):
        assert titles_of(dataset) == {"1": "Dune, part two", "2": "Emma"}
        assert dataset.item("1").categories == ("Space", "Sand")
        assert report.titles.missing == 0


# ---- encodings and lines


def test_windows_1252_is_read_and_said(tmp_path: Path, own_home: Path) -> None:
    text = "user,item,title\na,1,Amélie – “x”\nb,2,Heat\n"
    with imported(tmp_path, {"x.csv": text.encode("cp1252")}) as (dataset, report):
        assert titles_of(dataset) == {"1": "Amélie – “x”", "2": "Heat"}
        assert report.files[0].encoding == "cp1252"
        assert "x.csv is not UTF-8 and is read as cp1252." in report.notices
    koi = "user,item,title\na,1,Жизнь\n".encode("koi8-r")
    with imported(tmp_path, {"x.csv": koi}, encoding="koi8-r") as (dataset, _):
        assert titles_of(dataset) == {"1": "Жизнь"}


def test_one_broken_line_does_not_change_the_encoding_of_all(tmp_path: Path, own_home: Path) -> None:
    content = "user,item,title\na,1,Amélie\na,2,Ça\n".encode() + b"a,3,caf\xe9\na,4,x\0y\na,5,ok\n"
    with imported(tmp_path, {"x.csv": content}) as (dataset, report):
        assert titles_of(dataset) == {"1": "Amélie", "2": "Ça", "5": "ok"}
        assert sorted((row.line, row.problem) for row in report.rejected_first) == [
            (4, "bytes that are not UTF-8, likely Latin-1 or Windows-1252"), (5, "a NUL byte"),
        ]  # fmt: skip


def test_garbled_titles_are_named(tmp_path: Path, own_home: Path) -> None:
    text = "user,item,title\na,1,AmÃ©lie\na,2,Amélie\n"
    with imported(tmp_path, {"x.csv": text}) as (_, report):
        assert report.titles.garbled == 1


def test_ragged_lines_and_open_quotes_are_rejected_with_their_lines(tmp_path: Path, own_home: Path) -> None:
    text = 'user,item,title\na,1,x\na,2\na,3,y,z\n\na,5,5" disk\n,6,x\na,7,"two\nlines"\na,4,"open\na,8,end\n'
    with imported(tmp_path, {"x.csv": text}) as (dataset, report):
        assert [row[1] for row in rows_of(dataset)] == ["1", "5", "7", "8"]
        assert titles_of(dataset)["5"] == '5" disk'
        assert titles_of(dataset)["7"] == "two lines"
        assert [(row.line, row.problem) for row in report.rejected_first] == [
            (3, "2 fields"), (4, "4 fields"), (7, "no user_id"), (10, "a quotation mark that is not closed"),
        ]  # fmt: skip


def test_a_file_that_is_mostly_wrong_is_refused(tmp_path: Path, own_home: Path) -> None:
    text = "user,item,rating\n" + "a,1,five\n" * 3 + "a,2,5\n"
    wrong = r"x\.csv, line 2: 3 lines cannot be read and 1 can; the first: rating is 'five'"
    with pytest.raises(DataError, match=wrong), imported(tmp_path, {"x.csv": text}):
        pass
    with pytest.raises(DataError, match=r"x\.csv: no interactions"), imported(tmp_path, {"x.csv": "user,item\n"}):
        pass


def test_times_in_some_lines_only(tmp_path: Path, own_home: Path) -> None:
    text = "user,item,time\na,1,1000000000\na,2,\nb,1,1000000001\n"
    with imported(tmp_path, {"x.csv": text}) as (dataset, report):
        assert rows_of(dataset) == [("a", "1", None, T), ("b", "1", None, T + 1)]
        assert [(row.line, row.problem) for row in report.rejected_first] == [(3, "no timestamp")]


# ---- archives and what is refused


def zipped(members: dict[str, bytes], **attributes: int) -> bytes:
    store = io.BytesIO()
    with zipfile.ZipFile(store, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            member = zipfile.ZipInfo(name)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = attributes.get("mode", 0o644) << 16
            archive.writestr(member, content)
    return store.getvalue()


def test_archives(tmp_path: Path, own_home: Path) -> None:
    items = b"item_id,title\n1,Dune\n2,Emma\n"
    members = {
        "ml/x.csv": table(",").encode(),
        "ml/items.csv": items,
        "ml/readme.txt": b"hello",
        "ml/a.pkl": b"\x80\x04",
    }
    with imported(tmp_path, {"x.zip": zipped(members)}) as (dataset, report):
        assert rows_of(dataset) == PLAIN
        assert titles_of(dataset) == {"1": "Dune", "2": "Emma"}
        assert len(report.left_out) == 2
    with imported(tmp_path / "g", {"x.csv.gz": gzip.compress(table(",").encode())}) as (dataset, _):
        assert rows_of(dataset) == PLAIN
    half = gzip.compress(table(",").encode() * 1000)[:-30]
    cut = r"x\.csv\.gz: the archive is damaged or cut short"
    with pytest.raises(DataError, match=cut), imported(tmp_path / "h", {"x.csv.gz": half}):
        pass


@pytest.mark.parametrize(
    ("name", "mode", "problem"),
    [
        ("../../x.csv", 0o644, "a file outside the archive's own folder"),
        ("/etc/x.csv", 0o644, "a file outside the archive's own folder"),
        ("C:\\x.csv", 0o644, "a file outside the archive's own folder"),
        ("x.csv", 0o120777, "a link"),
        ("inner.zip", 0o644, "an archive in the archive"),
    ],
)
def test_odd_members_refuse_an_archive(tmp_path: Path, name: str, mode: int, problem: str) -> None:
    with pytest.raises(DataError, match=rf"x\.zip: {problem}"):
        recognised(written(tmp_path, {"x.zip": zipped({name: b"user,item\n1,2\n"}, mode=mode)}))


def test_bombs_stop_while_they_unpack(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "FREE_BYTES", 1_000_000)
    content = ("user,item\n" + "a,1\n" * 3_000_000).encode()
    for name, data in (("x.csv.gz", gzip.compress(content)), ("x.zip", zipped({"x.csv": content}))):
        with pytest.raises(DataError, match=r"unpacks to more than \d+ MB"), imported(tmp_path / name, {name: data}):
            pass


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b"\x80\x04\x95abc", "this is a Python pickle, which is never opened"),
        (b"SQLite format 3\0" + bytes(100), "this is an SQLite database"),
        (bytes(8) + b"DUCK" + bytes(50), "this is a DuckDB database"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
            "this is a Git LFS pointer, not the file itself",
        ),
        (b"\n <!DOCTYPE html><html>", "this is a web page"),
        (b"PAR1 but not really", "the Parquet file is damaged or cut short"),
        (b"\x28\xb5\x2f\xfdxxxx", "this is a Zstandard archive"),
        (b"%PDF-1.7", "this is a PDF document"),
        (b"x" * 2_000_000, "a line of more than 1 MB"),
        (b"just some words\nand more words\n", "neither a table with a delimiter nor records"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_what_holds_no_interactions_is_refused_in_one_sentence(tmp_path: Path, content: bytes, problem: str) -> None:
    with pytest.raises(DataError) as caught:
        recognised(written(tmp_path, {"x.csv": content}))
    assert problem in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_literals_are_never_run(tmp_path: Path, own_home: Path) -> None:
    row = "{{'username': '{}', 'product_id': '1', 'date': '2001-09-09'}}\n"
    good = row.format("a") + row.format("b")
    bad = "{'username': __import__('os').system('touch x'), 'product_id': '1', 'date': '2001-09-09'}\n"
    with imported(tmp_path, {"x.json": good + bad}) as (_, report):
        assert [row.line for row in report.rejected_first] == [3]
        assert report.rejected_first[0].problem == "this is no record of Python literals"


# ---- properties

TEXT = st.text(
    st.one_of(
        st.sampled_from([*",;|:\"'\\ ￿é😀=+-@<>{}%$*_`", "\u202e", "\u2028", "\x0b", "\x85", "\x1f"]),
        st.characters(blacklist_categories=("Cs",), blacklist_characters="\t\n\r\0\ufeff"),
    ),
    min_size=1,
    max_size=10,
).filter(lambda text: text.strip() == text and text)
PLAIN_IDS = st.text(st.characters(whitelist_categories=("L", "N")), min_size=1, max_size=8)
SHOWN = st.dictionaries(PLAIN_IDS, TEXT, min_size=2, max_size=8)


@SETTINGS
@given(SHOWN, st.sampled_from([",", ";", "|", "\t"]), st.booleans())
def test_hostile_titles_come_back_through_every_delimiter(
    tmp_path_factory: pytest.TempPathFactory, own_home: Path, titles: dict[str, str], delimiter: str, quoted: bool
) -> None:
    """Written by Python's own CSV writer, with all fields quoted or only those that need it."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL if quoted else 0)
    writer.writerow(["user_id", "item_id", "rating", "title"])
    writer.writerows([f"u{n}", item, n % 5 + 1, title] for n, (item, title) in enumerate(titles.items()))
    with imported(tmp_path_factory.mktemp("t"), {"x.csv": text.getvalue()}, delimiter=delimiter) as (dataset, report):
        assert report.rejected == 0
        unchanged = {item: title for item, title in titles.items() if not changed(title)}
        met = titles_of(dataset)
        assert {item: met[item] for item in unchanged} == unchanged
        assert {row[1] for row in rows_of(dataset)} == set(titles)


def changed(title: str) -> bool:
    """Whether a title is one of those that are decoded or read as missing; they have tests of their own."""
    return title.casefold() in ("nan", "none", "null", "<na>", "\\n") or "&" in title or (title[0] == title[-1] == '"')


@SETTINGS
@given(st.binary(max_size=400))
def test_any_bytes_give_rows_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, own_home: Path, data: bytes
) -> None:
    for content in (data, b"user,item,rating,time\na,1,5,1\n" + data, b'{"user": "a", "item": "1"}\n' + data):
        try:
            with imported(tmp_path_factory.mktemp("t"), {"x": content}) as (dataset, report):
                assert dataset.size["interactions"] >= 1
                assert report.interactions == dataset.size["interactions"]
        except DataError as error:
            sentence = str(error)
        else:
            sentence = "read"
        assert 0 < len(sentence) < 1500
