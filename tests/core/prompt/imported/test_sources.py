"""What a file holds is told from its bytes; what cannot be read is one sentence with file and line."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from core.errors import DataError
from core.prompt.imported import sources
from core.prompt.imported.calls import Skipped
from core.prompt.imported.sources import open_source


def records(path: Path) -> list[tuple[int, Any]]:
    return list(open_source(path).records())


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": "x"}\n{"a": "y"}\n',
        b'{"a": "x"}\r\n\r\n{"a": "y"}',
        b'[{"a": "x"}, {"a": "y"}]',
        b'{\n "a": "x"\n}\n{\n "a": "y"\n}\n',
        b"\xef\xbb\xbf" + b'{"a": "x"}\n{"a": "y"}\n',
        '{"a": "x"}\n{"a": "y"}\n'.encode("utf-16"),
        gzip.compress(b'{"a": "x"}\n{"a": "y"}\n'),
    ],
    ids=["lines", "line ends of Windows", "array", "documents", "BOM", "UTF-16", "gzip"],
)
def test_objects_are_read_in_every_arrangement(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(data)
    assert [record for _, record in records(path)] == [{"a": "x"}, {"a": "y"}]


def test_tables_keep_texts_and_lose_only_empty_fields(tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_text('prompt;label\n"a;b\nc";None\n007;\nx;y;z\n')
    source = open_source(path)
    assert source.columns == ("prompt", "label")
    assert records(path) == [
        (1, {"prompt": "a;b\nc", "label": "None"}),
        (2, {"prompt": "007"}),
        (3, Skipped(3, "a row with more or fewer fields than the header")),
    ]


def test_columnar_files_are_read_without_their_nulls(tmp_path: Path) -> None:
    table = pyarrow.table({"prompt": ["a", None], "meta": [{"x": 1}, None]})
    pyarrow.parquet.write_table(table, tmp_path / "a.bin")
    with pyarrow.OSFile(str(tmp_path / "b.bin"), "wb") as file, pyarrow.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    with pyarrow.OSFile(str(tmp_path / "c.bin"), "wb") as file, pyarrow.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    for name in ("a.bin", "b.bin", "c.bin"):
        assert records(tmp_path / name) == [(1, {"prompt": "a", "meta": {"x": 1}}), (2, {})]


def test_single_lines_that_cannot_be_read_are_skipped(tmp_path: Path) -> None:
    deep = '{"a":' * 80 + "1" + "}" * 80
    far = '{"a":' * 100_000
    lines = ['{"a": NaN}', "oops", "[1]", deep, far, '{"a": ' + "9" * 5000 + "}", '{"a": "\xff"}']
    path = tmp_path / "log.jsonl"
    path.write_bytes("\n".join(['{"a": 1}', *lines]).encode("latin-1") + b'\n{"a": 2}\n{"a": "cu')
    assert records(path) == [
        (1, {"a": 1}),
        (2, {"a": None}),
        (3, Skipped(3, "not JSON")),
        (4, Skipped(4, "not a JSON object")),
        (5, Skipped(5, "more than 64 levels of JSON")),
        (6, Skipped(6, "more than 64 levels of JSON")),
        (7, Skipped(7, "not JSON")),
        (8, Skipped(8, "bytes that are not UTF-8")),
        (9, {"a": 2}),
        (10, Skipped(10, "a last line that was cut short")),
    ]


class Trap:
    """Would run code where a pickle of it is opened."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (exec, ("raise SystemExit('opened')",))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (pickle.dumps(Trap()), "this is a pickle, which could run code"),
        (b"PK\x03\x04rest", "this is a zip archive; unpack it, or for Inspect"),
        (b"\x28\xb5\x2f\xfdrest", "packed with zstd"),
        (b"PAR1" + b"x" * 40, "a damaged table"),
        (b"ARROW1\0\0" + b"x" * 40, "a damaged table"),
        (b"\x1f\x8b" + b"x" * 40, "cannot be read"),
        (b"  <!DOCTYPE html><html>", "this is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"", "an empty file"),
        (b" \n\n", "an empty file"),
        (b"abc\0def", "this is a binary file"),
        (b'{"a": [\n1,\n', "not JSON, or cut short"),
        (b"[" * 100_000, "more than 64 levels of JSON"),
        (b"[" * 80 + b"]" * 80, "more than 64 levels of JSON"),
        (b'prompt,label\n"x,1\n', "not a table: unexpected end of data"),
    ],
)
def test_what_is_no_log_is_one_sentence(tmp_path: Path, data: bytes, sentence: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(data)
    with pytest.raises(DataError, match=sentence) as error:
        records(path)
    assert error.value.where.startswith("log.jsonl")
    assert str(tmp_path) not in str(error.value)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.jsonl: cannot be read: no such file"):
        open_source(tmp_path / "none.jsonl")


def test_a_bomb_and_a_long_line_stop_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "RATIO_FROM", 1_000_000)
    bomb = tmp_path / "bomb.gz"
    bomb.write_bytes(gzip.compress(b'{"a": 1}\n' * 500_000))
    with pytest.raises(DataError, match="a packed file that grows more than 200-fold"):
        records(bomb)
    monkeypatch.setattr(sources, "LONGEST_LINE", 1_000)
    (tmp_path / "long").write_bytes(b'{"a": 1}\n{"a": "' + b"x" * 2_000)
    with pytest.raises(DataError, match="long, line 2: a line of more than 0 MB"):
        records(tmp_path / "long")


def test_an_array_or_document_on_one_long_line_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "LONGEST_LINE", 1_000)
    rows = [{"a": "x" * 400} for _ in range(5)]
    for document, expected in ((rows, rows), ({"rows": rows}, [{"rows": rows}])):
        (tmp_path / "log.json").write_text(json.dumps(document))
        assert [record for _, record in records(tmp_path / "log.json")] == expected


def test_a_long_log_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    line = json.dumps({"prompt": "x" * 1_000}) + "\n"
    path.write_text(line * 2_000)
    stream = open_source(path).records()
    assert next(stream) == (1, {"prompt": "x" * 1_000})
    assert sum(1 for _ in stream) == 1_999
