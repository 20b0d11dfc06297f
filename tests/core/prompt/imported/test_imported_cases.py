"""A case file is asked like a data set: cases, demonstrations and items by id, and one sentence for what is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from logged_cases import case, case_file, chat_case, part, text_case

from core.errors import DataError, DemoLensError, RequestError
from core.prompt.imported.imported_cases import STORED, ImportedCases, open_cases
from core.prompt.imported.sections import notices_of


@pytest.fixture
def source(tmp_path: Path) -> ImportedCases:
    other = chat_case("other", demos=1, system=False)
    return ImportedCases(case_file(tmp_path, text_case("c:1"), text_case("bare", demos=0), chat_case(), other))


def test_a_case_has_its_options_and_its_history(source: ImportedCases) -> None:
    logged = source.case("c:1", seed=3)
    assert (logged.candidates, logged.target, logged.seed) == (("yes", "no"), "yes", 3)
    assert [row.item_id for row in logged.history] == ["c:1:h1", "c:1:h2"]
    items = source.items(logged, source.demonstrations("c:1"))
    assert {item_id: item.title for item_id, item in items.items()} == {
        "yes": "Yes",
        "no": "No",
        "c:1:h1": '"Blue Kettle",',
        "c:1:h2": '"North Lamp"',
        "c:1:d1": 'Example 1: Input: Liked: "Tin Harbour". Next: "Glass Orchard"? Output: Yes',
        "c:1:d2": 'Example 2: Input: Liked: "Iron Lullaby". Next: "Salt Parade"? Output: No',
        "c:1:d3": 'Example 3: Input: Liked: "Paper Moons". Next: "Quiet Ox"? Output: Yes',
    }


def test_demonstrations_by_ids_come_from_any_case_of_the_same_style(source: ImportedCases) -> None:
    assert [
        demo.demo_id for demo in source.demonstrations_by_ids(["chat:d3", "other:d1", "chat:d1"], source.case("chat"))
    ] == ["chat:d3", "other:d1", "chat:d1"]
    assert source.demonstrations_by_ids(["c:1:d2"], source.case("bare"))[0].position == 2
    assert source.demonstrations_by_ids([], source.case("c:1")) == ()


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [
        (["chat:d1"], "is of another style"),
        (["c:1:d2", "c:1:d2"], "given twice"),
        (["c:1:d4"], "does not exist; expected d1 to d3"),
        (["bare:d1"], "expected a case with demonstrations"),
        (["c:1:4"], "expected case id:dN"),
        (["d1"], "expected case id:dN"),
        (["nobody:d1"], "case 'nobody' is not in cases.jsonl; expected one of its 4 cases, such as 'c:1'"),
    ],
)
def test_a_wrong_demonstration_is_refused(source: ImportedCases, ids: list[str], sentence: str) -> None:
    with pytest.raises((RequestError, DataError), match=sentence):
        source.demonstrations_by_ids(ids, source.case("c:1"))


def test_a_plain_text_demonstration_does_not_fit_a_chat(source: ImportedCases) -> None:
    with pytest.raises(RequestError, match="another style"):
        source.demonstrations_by_ids(["c:1:d1"], source.case("chat"))


def test_text_between_demonstrations_is_said_to_go_with_the_first(tmp_path: Path) -> None:
    parts = [part("demo", "a", 1), part("pinned", " and now "), part("demo", "b", 2), part("query", " ?")]
    sentence = "Text between demonstrations (1 part) goes with the demonstration before it."
    assert notices_of(case("x", parts)) == (sentence,)
    assert notices_of(text_case()) == ()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no case"),
        (b"\n\n", "no case"),
        (b'{"case_file": 1', "line 1: not JSON"),
        (b"hello", "line 1: 'hello' is not a case"),
        (b"\xff\xfe", "line 1"),
    ],
)
def test_what_is_no_case_file_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        open_cases(str(path))


def test_an_id_that_comes_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    path = case_file(tmp_path, text_case("a"))
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(DataError, match="line 2: case id 'a' also stands in line 1"):
        open_cases(str(path))


@pytest.mark.parametrize("name", ["", "//host/x", "http://x/y", "a\0b", "no such file.jsonl"])
def test_a_wrong_name_is_refused(name: str) -> None:
    with pytest.raises(DataError):
        open_cases(name)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DemoLensError, match="not a regular file"):
        open_cases(str(tmp_path / "pipe"))


def test_a_stored_case_file_is_named_by_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    content = ImportedCases(case_file(tmp_path, text_case()))
    folder = tmp_path / "home" / STORED
    folder.mkdir(parents=True)
    (folder / f"{content.dataset_id}.jsonl").write_bytes(content.path.read_bytes())
    assert open_cases(content.dataset_id).case("text") == content.case("text")


def test_a_file_that_changed_is_opened_anew(tmp_path: Path) -> None:
    path = case_file(tmp_path, text_case("a"))
    old = open_cases(str(path))
    case_file(tmp_path, text_case("b"))
    assert open_cases(str(path)).case_ids == ("b",)
    with pytest.raises(DataError, match="changed while it was read"):
        old.case("a")
