"""Data and models that change under a running desk: the new result under the new key, never the old one."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from adapters import saved_adapter, saved_model
from fake_work_engine import FakeEngine
from questions import explain_task
from safetensors.torch import load_file, save_file

from core.analysis.explain.explain_task import Explain
from core.analysis.explain.explanation import Explanation
from core.store.results import Results
from core.work import engine as module
from core.work.desk import Desk, local_desk
from core.work.engine import ModelEngine
from core.work.job import Job, job_key


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "use_all_cores", lambda: None)
    monkeypatch.setattr(ModelEngine, "warm_up", lambda self: None)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Six users with seven interactions each of a dozen films."""
    folder, draw = tmp_path / "films", random.Random(3)
    folder.mkdir()
    rows = [
        f"{user}\t{item}\t{draw.choice([1, 5])}\t{100 * user + place}"
        for user in range(1, 7)
        for place, item in enumerate(draw.sample(range(1, 13), 7))
    ]
    heads = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    (folder / "films.inter").write_text("\n".join([heads, *rows]) + "\n")
    films = [f"{item}\tFilm {chr(64 + item)}" for item in range(1, 13)]
    (folder / "films.item").write_text("\n".join(["item_id:token\tmovie_title:token", *films]) + "\n")
    return folder


@pytest.fixture
def model(tiny_llama: Any, tiny_transformers_tokenizer: Any, tmp_path: Path) -> Path:
    return saved_model(tiny_llama, tiny_transformers_tokenizer, tmp_path / "model")


@pytest.fixture
def request_(data: Path, model: Path) -> Explain:
    return explain_task(
        dataset=str(data), model=str(model), user="1", demos=2, candidates=4, history=2, method="gradient", device="cpu"
    )


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = local_desk(results=Results(tmp_path / "results"))
    yield desk
    desk.close()


def scores(job: Job) -> list[float | None]:
    assert job.state == "done", job.sentence
    assert isinstance(job.report, Explanation)
    return [row.score for row in job.report.candidates]


def fresh(request: Explain, folder: Path) -> Explanation:
    """What an engine finds that has seen nothing before."""
    *_, explanation = ModelEngine().run(request, lambda *_: None)
    assert isinstance(explanation, Explanation)
    return explanation


def same_size_and_time(file: Path, content: bytes) -> None:
    before = file.stat()
    assert len(content) == before.st_size
    with open(file, "r+b") as stream:
        stream.write(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def change_line(data: Path) -> None:
    file = data / "films.item"
    same_size_and_time(file, file.read_bytes().replace(b"Film A", b"Home Z").replace(b"Film B", b"Heat 9"))


def change_weight(folder: Path, name: str = "model.safetensors") -> None:
    tensors = load_file(folder / name)
    last = sorted(tensors)[-1]
    tensors[last] = tensors[last].clone()
    tensors[last].view(-1)[0] += 3.0
    part = folder / "part"
    save_file(tensors, part, metadata={"format": "pt"})
    same_size_and_time(folder / name, part.read_bytes())
    part.unlink()


def test_a_changed_line_of_the_data_is_seen(desk: Desk, request_: Explain, data: Path, tmp_path: Path) -> None:
    old = desk.wait(desk.submit(request_), 60)
    change_line(data)
    new = desk.wait(desk.submit(request_), 60)
    assert new.key != old.key
    expected = fresh(request_, tmp_path)
    assert isinstance(new.report, Explanation)
    assert isinstance(old.report, Explanation)
    assert new.report.provenance.dataset_id == expected.provenance.dataset_id != old.report.provenance.dataset_id
    assert scores(new) == [row.score for row in expected.candidates]
    assert desk.wait(old.key, 1).report == old.report


@pytest.mark.parametrize("part", ["model", "adapter"])
def test_a_changed_weight_is_seen(
    desk: Desk, request_: Explain, model: Path, tiny_llama: Any, tmp_path: Path, part: str
) -> None:
    asked = request_
    if part == "adapter":
        adapter = str(saved_adapter(tiny_llama, tmp_path / "adapter"))
        asked = request_.model_copy(update={"case": request_.case.model_copy(update={"adapter": adapter})})
    old = desk.wait(desk.submit(asked), 60)
    change_weight(*((model,) if part == "model" else (tmp_path / "adapter", "adapter_model.safetensors")))
    new = desk.wait(desk.submit(asked), 60)
    assert new.key != old.key
    expected = fresh(asked, tmp_path)
    assert scores(new) == [row.score for row in expected.candidates]
    assert scores(new) != scores(old)
    assert new.report is not None
    assert old.report is not None
    assert new.report.provenance.model_id == expected.provenance.model_id != old.report.provenance.model_id


def test_an_unchanged_model_is_not_loaded_again(desk: Desk, request_: Explain, data: Path, monkeypatch: Any) -> None:
    from core.lm.loading import load as loading

    names: list[str] = []
    original = loading.load
    monkeypatch.setattr(loading, "load", lambda name, **more: names.append(name) or original(name, **more))
    desk.wait(desk.submit(request_), 60)
    change_line(data)
    desk.wait(desk.submit(request_), 60)
    assert names == [request_.case.model]


class Meddling(FakeEngine):
    """Something else writes to the data while this engine computes."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def run(self, request: Explain, report: Any) -> Iterator[Explanation]:
        for finding in super().run(request, report):
            if finding.stage == "complete":
                self._file.write_text(self._file.read_text() + "13\tOne more\n")
            yield finding


def test_a_result_of_files_that_changed_meanwhile_is_stored_nowhere(data: Path, tmp_path: Path) -> None:
    results = Results(tmp_path / "results")
    desk = local_desk(Meddling(data / "films.item"), results=results)
    request = explain_task(dataset=str(data))
    before = job_key(request)
    job = desk.wait(desk.submit(request), 20)
    desk.close()
    assert job.key == before != job_key(request)
    assert (job.state, job.report) == ("failed", None)
    assert "changed while this was computed" in job.sentence
    assert results.load(before) is None
    assert results.load(job_key(request)) is None


def test_hashes_of_weights_do_not_rest_on_size_and_time(model: Path) -> None:
    from core.lm.loading.hashes import file_hash

    before = file_hash(model / "model.safetensors", where="model")
    change_weight(model)
    assert file_hash(model / "model.safetensors", where="model") != before
    assert torch.isfinite(load_file(model / "model.safetensors")["lm_head.weight"]).all()
