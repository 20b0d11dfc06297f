"""Files come in through a child process, and what it made lies in the home under the hash of its content."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from logged_cases import case_file, chat_case, text_case

from core.errors import DataError
from core.prompt.imported import stored_cases
from core.prompt.imported.corrections import set_kind
from core.prompt.imported.imported_cases import STORED, open_cases
from core.prompt.imported.importing import ImportChoices
from core.prompt.imported.stored_cases import (
    ImportRecord,
    SkipCount,
    import_files,
    joined_names,
    record_named,
    remove_stored,
    safe_name,
    stored_files,
    stored_named,
    with_changes,
)
from core.store.child import Ended


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("DEMOLENS_HOME", str(folder))
    return folder


def chat_line(number: int, answer: str) -> str:
    shots = [("Next: Tin Harbour?", "Yes"), ("Next: Salt Parade?", "No"), (f"Next: film {number}?", answer)]
    turns = [{"role": role, "content": text} for shot in shots for role, text in zip(("user", "assistant"), shot)]  # noqa: B905
    return json.dumps({"messages": turns})


def test_calls_become_a_stored_case_file_with_what_became_of_them(tmp_path: Path, home: Path) -> None:
    lines = [chat_line(1, "Yes"), "{", chat_line(2, "No")]
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + "\n")
    seen: list[int] = []
    row = import_files([tmp_path / "log.jsonl"], ImportChoices(), seen.append)
    content = (home / STORED / f"{row.name}.jsonl").read_bytes()
    assert row.name == hashlib.sha256(content).hexdigest()[:16]
    assert row.record == ImportRecord(
        name="log.jsonl",
        formats={"log.jsonl": "openai_chat"},
        read=3,
        imported=2,
        skipped=(SkipCount(reason="not JSON", count=1, first="log.jsonl, line 2"),),
        options_from={"labels": 2},
    )
    assert row.record.refused == 1
    assert open_cases(row.name).case_ids == ("log.jsonl:1", "log.jsonl:3")
    assert stored_files() == (row,) == (stored_named(row.name),)
    assert set(seen) == {0}
    assert not list((home / "scratch").glob("*/*"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\x80\x04x", "this is a pickle"),
        (b"user_id,item_id,rating\n1,2,3\n", "interaction or item data"),
        (b'{"messages": []}\n', "no call could be imported"),
    ],
)
def test_a_file_without_calls_is_one_sentence_and_nothing_is_stored(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        import_files([tmp_path / "x"], ImportChoices())
    assert stored_files() == ()


def test_who_stops_an_import_leaves_nothing(tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop(_: int) -> None:
        raise StoppedError

    (tmp_path / "log.jsonl").write_text(chat_line(1, "Yes") + "\n")
    with pytest.raises(StoppedError):
        import_files([tmp_path / "log.jsonl"], ImportChoices(), stop)
    assert stored_files() == ()


def test_a_case_file_comes_in_as_it_is(tmp_path: Path) -> None:
    path = case_file(tmp_path, text_case("a"), chat_case("b"))
    row = import_files([path], ImportChoices())
    assert (row.record.read, row.record.formats) == (2, {"cases.jsonl": "cases"})
    assert row.name == hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def test_corrections_make_another_file_and_the_first_one_stays(tmp_path: Path) -> None:
    first = import_files([case_file(tmp_path, text_case("a"), text_case("b", demos=2))], ImportChoices())
    case = set_kind(text_case("b", demos=2), 1, "pinned")
    second = with_changes(first.name, {"b": case})
    assert open_cases(second).logged("b") == case
    assert open_cases(second).logged("a") == open_cases(first.name).logged("a")
    assert open_cases(first.name).logged("b").demo_count == 2
    record = record_named(second)
    assert record is not None
    assert (record.corrected, record.imported) == (1, 2)
    assert {row.name for row in stored_files()} == {first.name, second}
    with pytest.raises(DataError, match="case 'c' is not in"):
        with_changes(first.name, {"c": case})
    remove_stored(second)
    assert (stored_named(second), record_named(second)) == (None, None)


def test_a_damaged_record_is_none_and_the_file_is_still_offered(tmp_path: Path, home: Path) -> None:
    row = import_files([case_file(tmp_path, text_case("a"))], ImportChoices())
    (home / STORED / f"{row.name}.json").write_text('{"name": "x"}')
    assert record_named(row.name) is None
    assert [(row.words, row.record) for row in stored_files()] == [("calls.jsonl", None)]


@pytest.mark.parametrize("name", ["../x", "0" * 15, "0" * 16, "", "/etc/passwd"])
def test_what_is_no_hash_of_a_stored_file_is_never_looked_up(name: str) -> None:
    assert (stored_named(name), record_named(name)) == (None, None)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\logs\\a.jsonl", "a.jsonl"),
        ("a\u202eb\n.jsonl", "ab.jsonl"),
        ("", "file-3"),
        ("..", "file-3"),
        ("é" * 100 + ".csv", "é" * 58 + ".csv"),
    ],
)
def test_an_uploaded_name_is_one_plain_file_name(name: str, safe: str) -> None:
    assert safe_name(name, 2) == safe


def test_names_of_several_files_are_joined() -> None:
    assert joined_names(["a/b.jsonl"]) == "b.jsonl"
    assert joined_names(["a", "b"]) == "a and b"
    assert joined_names(["a", "b", "c"]) == "a and 2 more"


@pytest.mark.parametrize(
    ("ended", "sentence"),
    [
        (Ended(None, b"", b""), "not imported within 30 minutes of processor time"),
        (Ended(-9, b"", b"Killed"), "the import broke off"),
        (Ended(0, b'{"record": {"read": 1}}', b""), "the import broke off"),
        (Ended(0, b'\n{"error": "log.jsonl: this is a pickle"}', b""), "^log.jsonl: this is a pickle$"),
    ],
)
def test_a_child_that_brings_no_record_is_one_sentence_and_it_sees_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: Ended, sentence: str
) -> None:
    seen: dict[str, str] = {}

    def run(command: object, *, environment: dict[str, str], **_: object) -> Ended:
        seen.update(environment)
        return ended

    monkeypatch.setenv("DEMOLENS_SERVER_KEY", "secret")
    monkeypatch.setattr(stored_cases, "run_child", run)
    with pytest.raises(DataError, match=sentence):
        import_files([tmp_path / "x"], ImportChoices())
    assert "secret" not in seen.values()
