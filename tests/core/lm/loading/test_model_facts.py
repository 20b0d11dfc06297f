"""What is said of a model before and after it is loaded."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.own.protocol_server import ProtocolServer
from core.cli import command
from core.errors import Cancelled
from core.lm.loading.hub import hub_folder
from core.lm.loading.load import LanguageModel, load
from core.lm.loading.model_facts import PROOF_LABELS, facts_of, loaded_facts
from core.store.lock import reporting
from core.words import power


def test_a_folder_says_its_family_its_sizes_and_the_memory_it_needs(
    llama_folder: Path, tiny_llama: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.lm.loading.model_facts.free_bytes", lambda _device: 2 * 10**9)
    facts = facts_of(str(llama_folder), device="cpu")
    rows = dict(facts.rows)
    numbers = sum(weight.numel() for weight in tiny_llama.state_dict().values())
    assert facts.refusal is None
    assert rows["Family"] == "llama (LlamaForCausalLM)"
    assert (rows["Layers"], rows["Heads"]) == ("3", "4 in each layer, and 2 of keys and values")
    assert (rows["Context"], rows["Chat template"]) == ("1024 tokens", "yes")
    assert rows["Weights"] == f"{numbers:,} numbers"
    assert rows["Memory"] == f"about {numbers * 4 * 1.1 / 1e6:.1f} MB needed, 2.0 GB free"
    assert rows["Runs on"] == "cpu in float32"


def test_a_refusal_comes_with_what_was_found_before_it(llama_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(llama_folder, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": {"bits": 4}}))
    facts = facts_of(str(folder))
    assert [row.label for row in facts.rows] == ["Source"]
    assert facts.refusal is not None
    assert "the weights are quantised; expected float32" in facts.refusal
    missing = facts_of(str(tmp_path / "nothing"))
    assert missing.rows == ()
    assert "no such folder or file" in str(missing.refusal)


def test_too_little_memory_is_a_refusal_before_anything_is_read(
    llama_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("load", "model_facts"):
        monkeypatch.setattr(f"core.lm.loading.{module}.free_bytes", lambda _device: 1000)
    facts = facts_of(str(llama_folder), device="cpu")
    assert dict(facts.rows)["Memory"].endswith("0.0 MB free")
    assert "the model needs about" in str(facts.refusal)


def test_a_loaded_model_says_how_well_it_agrees_with_plain_passes(local_model: LanguageModel) -> None:
    rows = dict(loaded_facts(local_model).rows)
    assert rows["Self-check"].startswith("passed: apart from plain passes by at most 1.0 · 10⁻³ ")
    assert local_model.proof is not None
    for label, value in zip(PROOF_LABELS.values(), astuple(local_model.proof), strict=False):
        assert rows[label] == f"{power(value)} apart"
    assert rows["Prompts for an answer"] == "Yes and No are one token each, and two different ones"
    assert rows["Prompts for a title"].startswith("a title such as 'The Matrix (1999)' is read whole, as ")
    assert rows["Content"] == local_model.model_id


def test_a_server_says_what_it_can_score(serve: Any) -> None:
    server: ProtocolServer = serve("llama")
    before = facts_of("server")
    assert dict(before.rows) == {"Source": "a server", "Address": server.address}
    assert server.seen == []
    rows = dict(loaded_facts(load("server")).rows)
    assert rows["Model"] == "tiny (llama.cpp b9000-test)"
    assert rows["Titles"] == "cannot be scored by this server"


def test_the_command_prints_the_rows_and_refuses_in_one_sentence(
    llama_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    args = ["model", str(llama_folder), "--device", "cpu"]
    assert command.status_of(lambda: command.app(args, standalone_mode=False)) == 0
    printed = capfdbinary.readouterr().out.decode()
    assert "Family " in printed
    assert "Self-check " in printed
    args = ["model", str(tmp_path / "nothing")]
    assert command.status_of(lambda: command.app(args, standalone_mode=False)) == command.MISTAKE
    assert b"no such folder or file" in capfdbinary.readouterr().err


def test_what_must_be_converted_or_fetched_first_is_said_and_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("core.lm.loading.model_facts.source_of", lambda *_, **__: pytest.fail("it was fetched"))
    facts = facts_of("sample", fetch=False)
    assert dict(facts.rows)["Not here yet"] == "fetched (93 MB) and converted when it is loaded, the first time only"
    assert facts.refusal is None
    monkeypatch.setattr("core.lm.loading.model_facts.is_converted", lambda *_, **__: False)
    (tmp_path / "m.gguf").touch()
    assert "converted when it is loaded" in dict(facts_of(str(tmp_path / "m.gguf"), fetch=False).rows)["Not here yet"]


def hub_info(*_: Any, **options: Any) -> SimpleNamespace:
    sizes = {"config.json": 1_000, "model.safetensors": 540_000_000, "pytorch_model.bin": 9 * 10**9}
    assert options["timeout"] <= 5
    files = [SimpleNamespace(rfilename=name, size=size) for name, size in sizes.items()]
    return SimpleNamespace(sha="0123456789abcdef" * 2, siblings=files)


def test_a_hub_model_says_what_is_fetched_or_which_setting_allows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", hub_info)
    refusal = facts_of("no-such-org/model", fetch=False).refusal
    assert "not in the local cache" in str(refusal)
    assert "DemoLens started with DEMOLENS_ALLOW_HUB=1" in str(refusal)
    monkeypatch.setenv("DEMOLENS_ALLOW_HUB", "1")
    facts = facts_of("no-such-org/model", fetch=False)
    words = "0.5 GB are fetched from the hub when it is loaded, at commit 0123456789ab"
    assert (dict(facts.rows)["Not here yet"], facts.refusal) == (words, None)


def test_what_is_fetched_is_told_byte_by_byte_and_can_be_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import huggingface_hub

    def fetched(repo: str, *, tqdm_class: Any, **_: Any) -> str:
        bar = tqdm_class(total=0, unit="B", unit_scale=True)
        bar.total = 4_000_000

        def come() -> None:
            for _ in range(4):
                bar.update(1_000_000)

        with ThreadPoolExecutor(1) as pool:
            pool.submit(come).result()
        return str(tmp_path / "0123")

    monkeypatch.setenv("DEMOLENS_ALLOW_HUB", "1")
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", hub_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetched)
    labels: list[str] = []
    with reporting(lambda label, _: labels.append(label)):
        assert hub_folder("org/model", None) == (tmp_path / "0123", "0123")
    assert labels == [f"fetching org/model: {done} of 4 MB" for done in (1, 2, 3, 4)]
    assert capsys.readouterr().err == ""

    def stop(label: str, _: float) -> None:
        raise Cancelled(label)

    with reporting(stop), pytest.raises(Cancelled, match="1 of 4 MB"):
        hub_folder("org/model", None)
