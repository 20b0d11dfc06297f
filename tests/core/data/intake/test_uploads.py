"""Names of files that are sent are labels only; sizes are bounded; a path lies below the owner's folders."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.intake.uploads import LONGEST_NAME, Upload, allowed_path, check_sizes, file_name, write_uploads
from core.errors import DataError


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("ratings.csv", "ratings.csv"),
        ("../../x.csv", "x.csv"),
        ("C:\\data\\x.csv", "x.csv"),
        ("con.csv", "_con.csv"),
        ("a\0.csv", "a_.csv"),
        ("x.csv::$DATA", "x.csv___DATA"),
        (".hidden", "hidden"),
        ("..", "file"),
        ("", "file"),
        ("Bücher (2).csv", "Bücher (2).csv"),
    ],
)
def test_a_name_is_a_plain_label(name: str, plain: str) -> None:
    assert file_name(name) == plain


@given(st.text(max_size=400), st.lists(st.text(max_size=8), max_size=3))
def test_no_name_leaves_the_folder_or_meets_another(name: str, others: list[str]) -> None:
    taken: list[str] = []
    for other in (*others, name, name):
        plain = file_name(other, taken)
        assert plain
        assert len(plain) <= LONGEST_NAME + 3
        assert not set(plain) & set('/\\\0:<>"|?*\n')
        assert plain.strip(". ") == plain
        assert plain.casefold() not in map(str.casefold, taken)
        taken.append(plain)


def test_files_are_written_for_this_user_only(tmp_path: Path) -> None:
    sent = [Upload("../a.csv", io.BytesIO(b"1"), 1), Upload("a.csv", io.BytesIO(b"2"), 1)]
    paths = write_uploads(sent, tmp_path)
    assert [path.name for path in paths] == ["a.csv", "2_a.csv"]
    assert [path.read_bytes() for path in paths] == [b"1", b"2"]
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}


def test_too_many_and_too_large_files_are_refused() -> None:
    check_sizes([10] * 50, 500)
    with pytest.raises(DataError, match="expected at most 50"):
        check_sizes([1] * 51, 500)
    with pytest.raises(DataError, match="2 MB of files; expected at most 1 MB together"):
        check_sizes([2**20, 2**20], 2**20)


def test_a_path_outside_is_refused_whatever_it_is(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "x.csv").touch()
    (inside / "out").symlink_to(tmp_path)
    assert allowed_path(str(inside / "x.csv"), [inside]) == inside / "x.csv"
    assert allowed_path(str(inside), [inside]) == inside
    for text in (str(tmp_path), str(inside / ".." / "x"), str(inside / "out"), "x.csv", "~nobody-here/x", "a\0b", ""):
        with pytest.raises(DataError, match="this path may not be read"):
            allowed_path(text, [inside])
    with pytest.raises(DataError, match="does not exist"):
        allowed_path(str(inside / "nothing.csv"), [inside])
