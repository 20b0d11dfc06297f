"""What is found of a model beside the runs: nothing is loaded unasked, no answer waits for a run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from questions import explain_task
from waiting import until

from core.errors import Cancelled
from core.lm.loading import load as loading
from core.question.case_spec import CaseSpec
from core.work import engine as module
from core.work.desk import Desk
from core.work.engine import ModelEngine
from core.work.examination import CANCELLED, Examination, examination_key

MakeDesk = Callable[..., Desk]


def answer(desk: Desk, case: CaseSpec, **how: bool) -> Examination:
    """The examination once the worker has answered."""
    desk.examine(case, **how)
    until(lambda: desk.examine(case).state == "done")
    return desk.examine(case)


def test_a_look_answers_once_and_a_load_adds_to_it(make_desk: MakeDesk) -> None:
    desk, case = make_desk(), CaseSpec(model="m")
    assert desk.examine(case).state == "waiting"
    first = answer(desk, case)
    assert first.facts is not None
    assert (first.facts.rows, first.facts.refusal, first.loaded) == ((("Source", "m"),), None, False)
    loaded = answer(desk, case, load=True)
    assert loaded.facts is not None
    assert (dict(loaded.facts.rows), loaded.loaded) == ({"Source": "m", "Self-check": "passed"}, True)
    assert answer(desk, case, again=True) == loaded  # A look takes nothing back.
    assert desk.examine(case.model_copy(update={"seed": 5, "user": "7"})) == loaded
    assert desk.examine(case.model_copy(update={"dtype": "float32"})).facts is None


@pytest.mark.parametrize("how", [{}, {"load": True}])
@pytest.mark.parametrize(
    ("model", "words"), [("bad", "bad: no config.json"), ("nowhere", "the home cannot be written")]
)
def test_a_refusal_is_one_sentence(make_desk: MakeDesk, how: dict[str, bool], model: str, words: str) -> None:
    examination = answer(make_desk(), CaseSpec(model=model), **how)
    assert examination.facts is not None
    assert (examination.facts.refusal, examination.loaded) == (words, False)


def test_a_fault_of_ours_has_a_number_and_no_secret(make_desk: MakeDesk) -> None:
    examination = answer(make_desk(), CaseSpec(model="bug"))
    assert examination.facts is None
    assert "error id" in examination.sentence.lower()
    assert "secret" not in examination.sentence


def test_a_look_does_not_wait_for_a_run_but_a_load_does(make_desk: MakeDesk) -> None:
    desk = make_desk()
    key = desk.submit(explain_task(user="slow"))
    until(lambda: desk.job(key).state == "running")  # type: ignore[union-attr]
    assert answer(desk, CaseSpec(model="m")).facts is not None
    desk.examine(CaseSpec(model="m"), load=True)
    assert desk.job(key).state == "running"  # type: ignore[union-attr]
    desk.wait(key, 60)
    until(lambda: desk.examine(CaseSpec(model="m")).loaded)


def test_a_load_can_be_cancelled_and_asked_for_again(make_desk: MakeDesk) -> None:
    desk, case = make_desk(), CaseSpec(model="slow")
    key = desk.examine(case, load=True).key
    until(lambda: desk.examine(case).state == "running")
    desk.cancel(key)
    until(lambda: desk.examine(case).state == "done")
    assert desk.examine(case).sentence == CANCELLED
    assert answer(desk, case, load=True).loaded


def test_a_model_that_ends_the_worker_is_said_and_the_next_is_served(make_desk: MakeDesk) -> None:
    desk = make_desk()
    examination = answer(desk, CaseSpec(model="die"), load=True)
    assert "The worker process died (signal 9" in examination.sentence
    assert answer(desk, CaseSpec(model="m")).facts is not None


def test_a_closed_desk_answers_at_once(make_desk: MakeDesk) -> None:
    desk = make_desk()
    desk.close()
    assert desk.examine(CaseSpec(model="m")).sentence


def test_files_that_changed_are_another_model(llama_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(llama_folder, tmp_path / "model")
    case = CaseSpec(model=str(folder))
    before = examination_key(case)
    assert examination_key(case) == before
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"more": 1}))
    assert examination_key(case) != before


# The engine with a model


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the models that were loaded."""
    names: list[str] = []
    load = loading.load

    def counted(name: str, **choices: Any) -> Any:
        names.append(name)
        return load(name, **choices)

    monkeypatch.setattr(loading, "load", counted)
    monkeypatch.setattr(module, "use_all_cores", lambda: None)
    return names


def test_a_look_loads_nothing_and_a_loaded_model_is_not_loaded_again(llama_folder: Path, loads: list[str]) -> None:
    engine, case, labels = ModelEngine(), CaseSpec(model=str(llama_folder), device="cpu"), list[str]()
    facts, loaded = engine.look(case)
    assert (loaded, loads, facts.refusal) == (False, [], None)
    assert "Self-check" not in dict(facts.rows)
    facts, loaded = engine.examine(case, lambda label, _: labels.append(label))
    assert (loaded, loads) == (True, [case.model])
    assert labels[-1] == "loading and checking the model"
    rows = dict(facts.rows)
    assert {"Family", "Self-check", "Two packed branches", "A remembered prefix"} <= set(rows)
    assert engine.look(case) == (facts, True) or engine.look(case)[1]  # Free memory may differ between the two.
    assert engine.examine(case, lambda *_: None)[1]
    assert loads == [case.model]
    assert engine.look(case.model_copy(update={"dtype": "bfloat16"}))[1] is False


def test_a_model_in_memory_is_not_refused_for_the_memory_that_it_takes(
    llama_folder: Path, loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, case = ModelEngine(), CaseSpec(model=str(llama_folder), device="cpu")
    engine.examine(case, lambda *_: None)
    for name in ("load", "model_facts"):
        monkeypatch.setattr(f"core.lm.loading.{name}.free_bytes", lambda _device: 1000)
    assert engine.look(case)[0].refusal is None
    refused, loaded = ModelEngine().look(case)
    assert "the model needs about" in str(refused.refusal)
    assert not loaded


def test_what_cannot_be_loaded_is_a_refusal_with_the_rows_before_it(
    llama_folder: Path, tmp_path: Path, loads: list[str]
) -> None:
    folder = shutil.copytree(llama_folder, tmp_path / "model")
    (folder / "tokenizer.json").write_text("{")
    facts, loaded = ModelEngine().examine(CaseSpec(model=str(folder), device="cpu"), lambda *_: None)
    assert not loaded
    assert "the tokenizer cannot be loaded" in str(facts.refusal)
    assert "Family" in dict(facts.rows)


def test_a_load_stops_where_progress_says_so(llama_folder: Path, loads: list[str]) -> None:
    def stop(*_: Any) -> None:
        raise Cancelled("the job was cancelled")

    with pytest.raises(Cancelled):
        ModelEngine().examine(CaseSpec(model=str(llama_folder)), stop)
    assert loads == []
