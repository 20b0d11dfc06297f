"""The commands about finished prompts: what they write, print and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from logged_calls import MESSAGES, PROMPT, RECORDS
from prompt_cases import text_case

from core.cli import command
from core.prompt.imported.case_file import case_hash, read_cases, write_cases


def called(*words: str) -> int:
    return command.status_of(lambda: command.app(["cases", *words], standalone_mode=False))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    lines = [{"messages": [*MESSAGES, {"role": "assistant", "content": "Yes"}]}, {"messages": []}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_import_writes_a_case_file_and_a_report(tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "cases.jsonl"
    (tmp_path / "prompt.txt").write_text(PROMPT + "\n")
    assert called("import", str(log), str(tmp_path / "prompt.txt"), "--out", str(out)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "log.jsonl: read as openai_chat",
        "prompt.txt: read as text",
        f"3 calls read, 2 imported into {out}",
        "Cut by: turns 1, stems 1",
        "Demonstrations: 2 2",
        "Options from: labels 2",
        "Skipped 1: no prompt text (first: log.jsonl, line 2)",
    ]
    assert [case.case_id for case in read_cases(out)] == ["log.jsonl:1", "prompt.txt"]
    assert called("import", str(log), "--out", str(out), "--limit", "1", "--options", "Si,No") == 0
    assert [option.text for case in read_cases(out) for option in case.options] == ["Si", "No"]


def test_a_template_is_filled_in_with_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    template, table, out = (tmp_path / name for name in ("prompt.j2", "table.jsonl", "cases.jsonl"))
    template.write_text("{% for d in demos %}In: {{ d.i }}\nOut: {{ d.o }}\n{% endfor %}In: {{ q }}\nOut:\n")
    demos = [{"i": "a {{ q }}", "o": "Yes"}, {"i": "b", "o": "No"}]
    table.write_text(json.dumps({"case": "7", "demos": demos, "q": "c", "target": "No"}))
    assert called("import", str(template), str(table), "--out", str(out)) == 0
    (case,) = read_cases(out)
    assert [(part.kind, part.text) for part in case.parts] == [
        ("demo", "In: a {{ q }}\nOut: Yes\n"),
        ("demo", "In: b\nOut: No\n"),
        ("query", "In: c\nOut:"),
    ]
    assert (case.case_id, case.target, case.cuts_from) == ("7", "2", "format")
    template.write_text("{{ q.__class__ }}")
    assert called("import", str(template), str(table), "--out", str(out)) == 2
    assert "no value for q.__class__" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["none.jsonl"], "demolens: none.jsonl: cannot be read: no such file or directory"),
        (["empty.jsonl"], "demolens: empty.jsonl: an empty file"),
        (["log.jsonl", "--format", "csv"], "demolens: --format: no format 'csv'; expected one of openai_batch"),
        (["log.jsonl", "--options", "Yes"], "demolens: --options: options 'Yes'; expected one of auto, labels"),
        (["log.jsonl", "--options", "titles"], "demolens: no call could be imported: no titles (give --titles"),
        (["log.jsonl", "--titles", "none.txt"], "demolens: none.txt: cannot be read"),
        (["a.j2", "--template", "b.j2"], "demolens: 2 templates and 0 files; expected files of calls"),
    ],
)
def test_what_cannot_be_imported_is_one_sentence(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str],
    sentence: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.jsonl").touch()
    assert called("import", *words, "--out", "cases.jsonl") == 2
    assert capsys.readouterr().err.startswith(sentence)
    assert not (tmp_path / "cases.jsonl").exists()


def test_an_unwritable_file_is_one_sentence(tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called("import", str(log), "--out", str(tmp_path / "none" / "cases.jsonl")) == 2
    assert "demolens: --out: " in capsys.readouterr().err


def test_check_counts_cases_and_leaks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cases.jsonl"
    whole = text_case()
    write_cases(path, [whole])
    assert called("check", str(path)) == 0
    assert capsys.readouterr().out.splitlines() == ["1 case, each whole", "Cut by: format 1"]
    path.write_text(path.read_text() + "{}\n")
    assert called("check", str(path)) == 2
    assert capsys.readouterr().err.startswith("demolens: cases.jsonl, line 2: '{}' is not a case")


def test_show_writes_every_part_under_its_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cases.jsonl"
    case = text_case(notices=("A notice.",))
    write_cases(path, [case, text_case(case_id="other")])
    expected = [
        f"case-1  {case_hash(case)}  cut by format  from log.jsonl",
        *("--- 1: pinned", "Answer Yes or No.", ""),
        *("--- 2: demo 1", "Liked: Tin Harbour. Next: Paper Moons? Yes", ""),
        *("--- 3: demo 2", "Liked: Salt Parade. Next: Paper Moons? No", ""),
        *("--- 4: query", "Liked: ", "--- 5: history 1", "Blue Kettle, ", "--- 6: history 2", "North Lamp"),
        *("--- 7: query", ". Next: Small Thunder?"),
        *("--- options from labels", "1: Yes <- true answer", "2: No", "Note: A notice."),
    ]
    expected = [line.replace("1: Yes", "yes: Yes").replace("2: No", "no: No") for line in expected]
    for words in ([], ["--case", "case-1"], ["--case", case_hash(case)]):
        assert called("show", str(path), *words) == 0
        assert capsys.readouterr().out.splitlines() == expected
    assert called("show", str(path), "--case", "nobody") == 2
    assert "no case 'nobody' among 2 cases" in capsys.readouterr().err


def test_every_format_can_be_named(tmp_path: Path) -> None:
    for name, (format_name, record) in RECORDS.items():
        (tmp_path / "log.json").write_text(json.dumps(record))
        words = ("import", str(tmp_path / "log.json"), "--out", str(tmp_path / "out"), "--format", format_name)
        assert called(*words) == 0, name
