"""By which key the same work is known again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from questions import explain_task

from core.store.results import KEY
from core.work import contents, job
from core.work.job import job_key


def test_equal_requests_have_equal_keys_and_others_do_not() -> None:
    assert job_key(explain_task()) == job_key(explain_task(demos=8))
    assert KEY.fullmatch(job_key(explain_task()))
    others = [
        explain_task(user="13"),
        explain_task(demos=7),
        explain_task(seed=1),
        explain_task(removals=0),
        explain_task(target="1"),
    ]
    assert len({job_key(one) for one in [explain_task(), *others]}) == 6


@pytest.mark.parametrize("field", ["dataset", "model", "adapter"])
def test_a_changed_folder_is_other_work(tmp_path: Path, field: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("one")
    request = explain_task(**{field: str(folder)})
    before = job_key(request)
    assert job_key(request) == before
    os.utime(folder / "file", (1, 1))
    touched = job_key(request)
    (folder / "file").write_text("other")
    assert len({before, touched, job_key(request)}) == 3


def test_a_name_without_files_is_no_error() -> None:
    for name in ("org/model", "no such folder", "a\0b", "~nobody-at-all/x"):
        assert KEY.fullmatch(job_key(explain_task(model=name, dataset=name)))


def test_other_code_is_other_work(monkeypatch: pytest.MonkeyPatch) -> None:
    before = job_key(explain_task())
    monkeypatch.setattr(job, "code_fingerprint", lambda: "other")
    assert job_key(explain_task()) != before


def test_a_replaced_shipped_adapter_is_other_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "ADAPTERS", tmp_path)
    request = explain_task(adapter="recicl")
    before = job.job_key(request)
    (tmp_path / "recicl").mkdir()
    (tmp_path / "recicl" / "adapter_model.safetensors").write_bytes(b"weights")
    assert job.job_key(request) != before
