"""Data formats are rows: a further one is read without a change anywhere else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from core.data.dataset import open_dataset
from core.data.reading import formats
from core.data.reading.formats import FORMATS, DataFormat, format_of
from core.data.reading.table import Table
from core.errors import DataError


def test_a_folder_of_no_format_is_told_what_it_misses(tmp_path: Path) -> None:
    assert format_of(tmp_path) is FORMATS[0]
    with pytest.raises(DataError, match=r"no \.inter file"):
        format_of(tmp_path).files(tmp_path)


def test_a_further_row_is_a_further_format(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tables(inter: Path, item: Path | None, scratch: Path) -> tuple[Table, None]:
        lines = inter.read_text().splitlines()
        copy = scratch / "copy.tsv"
        copy.write_text("".join(f"{number}\t{line.replace(';', chr(9))}\n" for number, line in enumerate(lines, 1)))
        digest = hashlib.sha256(inter.read_bytes()).hexdigest()
        columns = ("user_id", "item_id", "rating", "timestamp")
        return Table(inter.name, copy, columns, ("token",) * 4, len(lines), digest, cut=False), None

    row = DataFormat(
        name="semicolons",
        words="a file clicks.txt",
        applies=lambda folder: (folder / "clicks.txt").exists(),
        files=lambda folder: (folder / "clicks.txt", None),
        tables=tables,
    )
    monkeypatch.setattr(formats, "FORMATS", (*FORMATS, row))
    (tmp_path / "clicks.txt").write_text("a;1;5;1\na;2;1;2\nb;1;5;3\nb;3;x;4")
    with pytest.raises(DataError, match=r"clicks\.txt, line 4: rating is 'x'"):
        open_dataset(str(tmp_path))
    (tmp_path / "clicks.txt").write_text("a;1;5;1\na;2;1;2\nb;1;5;3")
    dataset = open_dataset(str(tmp_path))
    assert dataset.name == "clicks"
    assert [(met.item_id, dataset.liked(met)) for met in dataset.history("a")] == [("1", True), ("2", False)]
