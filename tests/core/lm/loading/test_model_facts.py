"""What is said of a model before and after it is loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bench.own.protocol_server import ProtocolServer
from core.cli import command
from core.lm.loading.load import LanguageModel, load
from core.lm.loading.model_facts import facts_of, loaded_facts


def test_a_folder_says_its_family_its_sizes_and_the_memory_it_needs(
    llama_folder: Path, tiny_llama: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.lm.loading.model_facts.free_bytes", lambda _device: 2 * 10**9)
    facts = facts_of(str(llama_folder), device="cpu")
    rows = dict(facts.rows)
    numbers = sum(weight.numel() for weight in tiny_llama.state_dict().values())
    assert facts.refusal is None
    assert rows["Family"] == "llama (LlamaForCausalLM)"
    assert rows["Layers"] == "3 of 4 heads, 2 of keys and values"
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
    assert rows["Self-check"].startswith("shared and gated passes differ from plain ones by ")
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
