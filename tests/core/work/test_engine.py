"""The engine with a model: it stops within a layer, leaves nothing behind, and loads only what changed."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from adapters import saved_adapter, saved_model
from fake_work_engine import explanation
from questions import explain_task
from transformers import PreTrainedModel

from core.analysis.explain.explain_task import Explain
from core.errors import Cancelled, DataError, ModelError, RequestError
from core.lm.forward.attention import prepare
from core.lm.loading import load as loading
from core.personal.personalise_task import PersonaliseTask
from core.work import engine as module
from core.work.engine import ModelEngine, _before_every_layer, _networks, seconds_per_token

IDS = torch.ones(1, 5)


class Layered(torch.nn.Module):
    """Three layers in a list, as every transformers model has them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(5, 5) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


def hooks(network: Any) -> int:
    return sum(len(one._forward_pre_hooks) for one in network.modules())


def test_a_cancelled_pass_ends_before_the_next_layer_and_leaves_no_hook() -> None:
    network, layers = Layered(), []
    expected = network(IDS)

    def stop() -> None:
        layers.append(1)
        if len(layers) == 2:
            raise Cancelled("the job was cancelled")

    with pytest.raises(Cancelled), _before_every_layer((network,), stop):
        network(IDS)
    assert len(layers) == 2
    assert hooks(network) == 0
    assert torch.equal(network(IDS), expected)


def test_the_speed_of_a_pass_is_measured(tiny_llama: PreTrainedModel) -> None:
    network = copy.deepcopy(tiny_llama)
    prepare(network)
    assert 0 < seconds_per_token(SimpleNamespace(network=network)) < 1  # type: ignore[arg-type]


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is loaded, instead of loading it."""
    seen: list[str] = []

    def open_dataset(name: str) -> str:
        seen.append(f"data {name}")
        return name

    def load(name: str, *, adapter: str | None, device: str, dtype: str) -> Any:
        seen.append(f"model {name} {adapter} {device} {dtype}")
        if name == "broken":
            raise ValueError("broken")
        model = SimpleNamespace(network=torch.nn.ModuleList(), base=None, server=None)
        model.with_adapter = lambda wanted: model
        return model

    def explain(task: Explain, *, dataset: Any, model: Any, progress: Any, subject: Any) -> Any:
        progress("explaining", 0.5)
        yield explanation(task)

    monkeypatch.setattr("core.data.dataset.open_dataset", open_dataset)
    monkeypatch.setattr("core.lm.loading.load.load", load)
    monkeypatch.setattr("core.analysis.explain.explain_run.explain", explain)
    monkeypatch.setattr(module, "use_all_cores", lambda: None)
    monkeypatch.setattr("core.analysis.subject.subject_of", lambda *_: None)
    return seen


def test_only_what_changed_is_loaded_again(loads: list[str]) -> None:
    engine = ModelEngine()
    for request in (
        explain_task(),
        explain_task(user="13"),
        explain_task(model="b"),
        explain_task(model="b", dataset="d"),
        explain_task(),
    ):
        assert [*engine.run(request, lambda *_: None)] == [explanation(request)]
    one = "model sample None auto auto"
    assert loads == ["data sample", one, "model b None auto auto", "data d", "data sample", one]


# One model on disk, several adapters


@pytest.fixture
def material(
    tiny_llama: PreTrainedModel, tiny_transformers_tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str, str]:
    """A model folder and two adapters for it."""
    monkeypatch.setattr(module, "use_all_cores", lambda: None)
    folder = saved_model(tiny_llama, tiny_transformers_tokenizer, tmp_path / "model")
    return str(folder), *(str(saved_adapter(tiny_llama, tmp_path / str(n), seed=n)) for n in (1, 2))


def test_another_adapter_loads_no_weights(material: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def counted(name: str, **choices: Any) -> Any:
        seen.append(name)
        return original(name, **choices)

    original = loading.load
    monkeypatch.setattr(loading, "load", counted)
    engine, (folder, one, other) = ModelEngine(), material
    wanted = [None, one, other, None, one]
    models = [engine._model_for(explain_task(model=folder, adapter=adapter, device="cpu").case) for adapter in wanted]
    assert seen == [folder]
    assert [model.adapter for model in models] == wanted
    assert {id(model.network.get_input_embeddings().weight) for model in models} == {
        id(models[0].network.get_input_embeddings().weight)
    }
    assert models[0] is models[3]
    assert models[1].model_id == models[4].model_id != models[2].model_id
    engine._model_for(explain_task(model=folder, adapter=one, device="cpu", dtype="bfloat16").case)
    assert seen == [folder, folder]


def test_an_adapter_that_cannot_be_used_leaves_the_model_loaded(material: tuple[str, str, str]) -> None:
    engine, (folder, one, other) = ModelEngine(), material
    first = engine._model_for(explain_task(model=folder, adapter=one, device="cpu").case)
    (Path(other) / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="expected a safetensors file"):
        engine._model_for(explain_task(model=folder, adapter=other, device="cpu").case)
    assert engine._model_for(explain_task(model=folder, adapter=one, device="cpu").case) is first


def test_both_networks_of_an_adapted_model_can_be_stopped(material: tuple[str, str, str]) -> None:
    model = ModelEngine()._model_for(explain_task(model=material[0], adapter=material[1], device="cpu").case)
    assert model.base is not None

    def stop() -> None:
        raise Cancelled("the job was cancelled")

    for network in (model.network, model.base.network):
        with pytest.raises(Cancelled), _before_every_layer(_networks(model), stop):
            network(torch.tensor([[1, 2]]))
        assert hooks(network) == 0


def test_after_a_model_that_cannot_be_loaded_the_next_request_is_served(loads: list[str]) -> None:
    engine = ModelEngine()
    with pytest.raises(ValueError, match="broken"):
        list(engine.run(explain_task(model="broken"), lambda *_: None))
    assert [*engine.run(explain_task(), lambda *_: None)]


def test_progress_names_each_step(loads: list[str]) -> None:
    said: list[str] = []
    list(ModelEngine().run(explain_task(), lambda label, _: said.append(label)))
    assert said == ["opening the data", "loading the model", "explaining"]


def test_a_wrong_choice_is_told_before_a_model_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise RequestError("user 'nobody' is not in the data set")

    monkeypatch.setattr("core.data.dataset.open_dataset", lambda name: name)
    monkeypatch.setattr("core.lm.loading.load.load", lambda *_, **__: pytest.fail("the model was loaded"))
    monkeypatch.setattr("core.analysis.subject.subject_of", refuse)
    with pytest.raises(RequestError, match="nobody"):
        list(ModelEngine().run(explain_task(), lambda *_: None))


def test_a_task_is_refused_before_a_model_is_loaded_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = SimpleNamespace(catalogue={"50": None}, name="films")
    monkeypatch.setattr("core.data.dataset.open_dataset", lambda name: catalogue)
    monkeypatch.setattr("core.lm.loading.load.load", lambda *_, **__: pytest.fail("the model was loaded"))
    monkeypatch.setattr("core.analysis.subject.subject_of", lambda *_: None)
    monkeypatch.setattr("core.personal.play.case_for", lambda *_: SimpleNamespace(history=(), user_id="12"))
    with pytest.raises(DataError, match="'no such item' is not in the data set films"):
        list(ModelEngine().run(PersonaliseTask(added=("no such item:yes",)), lambda *_: None))


def test_threads_are_all_cores_unless_the_environment_says_how_many(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 0)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    module.use_all_cores()
    assert asked == []
    monkeypatch.delenv("OMP_NUM_THREADS")
    module.use_all_cores()
    assert len(asked) == 1
    assert asked[0] >= 1


@pytest.mark.parametrize("kind", ["dual", "updates", "utility", "personalise"])
def test_what_looks_into_the_model_is_refused_on_a_server_before_anything_is_opened(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.question.kinds import KINDS

    monkeypatch.setenv("DEMOLENS_SERVER", "http://127.0.0.1:9/v1")
    task = KINDS[kind].task()
    task = task.model_copy(update={"case": task.case.model_copy(update={"model": "server", "dataset": "/nowhere"})})
    with pytest.raises(RequestError, match=f"{kind} looks into the model, and a server gives scores only"):
        list(ModelEngine().run(task, lambda _label, _fraction: None))
