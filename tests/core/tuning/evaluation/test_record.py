"""An evaluation is read back as it was written, and a damaged file is one sentence."""

from __future__ import annotations

import json

import pytest
from evaluations import made

from core.errors import DataError
from core.tuning.evaluation import record
from core.tuning.evaluation.record import read_evaluation


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(made().model_dump(mode="json"), allow_nan=False))
    assert read_evaluation(path) == made()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "this is no evaluation"),
        ("[]", "this is no evaluation"),
        (made(ways=(), periods=0).model_dump_json().replace('"format":1', '"format":2'), "this is no evaluation"),
        (made(ways=(), periods=0).model_dump_json().replace('"users":120', '"users":"many"'), "this is no evaluation"),
        (" " * 3_000, "more than 2000 bytes"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path, monkeypatch, text, found):
    monkeypatch.setattr(record, "LONGEST", 2_000)
    path = tmp_path / "evaluation.json"
    path.write_text(text)
    with pytest.raises(DataError, match=found) as caught:
        read_evaluation(path)
    assert str(tmp_path) not in str(caught.value)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_evaluation(tmp_path / "evaluation.json")
