"""By which key the same work is known again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.question.case_spec import CaseSpec
from core.store.results import KEY
from core.work import contents, job
from core.work.job import job_key


def test_equal_requests_have_equal_keys_and_others_do_not() -> None:
    assert job_key(Request()) == job_key(Request(demos=8))
    assert KEY.fullmatch(job_key(Request()))
    others = [Request(user="13"), Request(demos=7), Request(seed=1), Request(matrix=False), Request(target="1")]
    assert len({job_key(one) for one in [Request(), *others]}) == 6


@pytest.mark.parametrize("field", ["dataset", "model", "adapter"])
def test_a_changed_folder_is_other_work(tmp_path: Path, field: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("one")
    request = Request.model_validate({field: str(folder)})
    before = job_key(request)
    assert job_key(request) == before
    os.utime(folder / "file", (1, 1))
    touched = job_key(request)
    (folder / "file").write_text("other")
    assert len({before, touched, job_key(request)}) == 3


def test_a_name_without_files_is_no_error() -> None:
    for name in ("org/model", "no such folder", "a\0b", "~nobody-at-all/x"):
        assert KEY.fullmatch(job_key(Request(model=name, dataset=name)))


def test_other_code_is_other_work(monkeypatch: pytest.MonkeyPatch) -> None:
    before = job_key(Request())
    monkeypatch.setattr(job, "code_fingerprint", lambda: "other")
    assert job_key(Request()) != before


def test_a_replaced_shipped_adapter_is_other_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "ADAPTERS", tmp_path)
    request = Request(adapter="recicl")
    before = job.job_key(request)
    (tmp_path / "recicl").mkdir()
    (tmp_path / "recicl" / "adapter_model.safetensors").write_bytes(b"weights")
    assert job.job_key(request) != before
