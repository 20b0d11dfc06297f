"""A model folder is checked before anything opens it; what is refused is refused in one sentence with names."""

from __future__ import annotations

import json
import math
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import ModelError
from core.lm.loading import device as devices
from core.lm.loading import load as loading
from core.lm.loading.device import device_for, dtype_for
from core.lm.loading.load import load
from core.lm.loading.places import place_of

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("DEMOLENS_ALLOW_HUB", raising=False)
    monkeypatch.delenv("DEMOLENS_MODEL_ROOTS", raising=False)


@pytest.fixture(scope="session")
def saved_llama(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Any, tiny_transformers_tokenizer: Any) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "llama"
    tiny_llama.save_pretrained(folder)
    tiny_transformers_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved_llama: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved_llama, tmp_path / "model"))


def rewrite(file: Path, change: Change) -> None:
    value = json.loads(file.read_text())
    change(value)
    file.write_text(json.dumps(value))


def put(file: Path, **values: Any) -> None:
    rewrite(file, lambda value: value.update(values))


def shard(folder: Path) -> dict[str, Any]:
    """Split the weights over two files; returns the index, to be damaged."""
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, wanted in parts.items():
        save_file({name: tensors[name] for name in wanted}, folder / file, metadata={"format": "pt"})
    (folder / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {name: file for file, wanted in parts.items() for name in wanted}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return index


def test_a_folder_loads_as_it_was_saved(folder: Path, tiny_llama: Any) -> None:
    model = load(str(folder), device="cpu")
    assert (model.device, model.dtype, model.layers, model.heads, model.context) == ("cpu", "float32", 3, 4, 1024)
    assert model.notices == ()
    assert model.adapter is None
    assert model.folder == folder
    assert len(model.model_id) == 16
    assert not model.network.training
    assert not any(parameter.requires_grad for parameter in model.network.parameters())
    saved, loaded = tiny_llama.state_dict(), model.network.state_dict()
    assert all(torch.equal(saved[name], loaded[name]) for name in saved)
    assert model.tokenizer.has_chat


@pytest.mark.parametrize("family", ["tiny_qwen3", "tiny_gemma2", "tiny_gemma3"])
def test_other_families_load(
    family: str, tmp_path: Path, tiny_transformers_tokenizer: Any, request: pytest.FixtureRequest
) -> None:
    network = request.getfixturevalue(family)
    network.save_pretrained(tmp_path / family)
    tiny_transformers_tokenizer.save_pretrained(tmp_path / family)
    model = load(str(tmp_path / family), device="cpu")
    assert model.layers == network.config.num_hidden_layers
    assert any("see only the latest" in notice for notice in model.notices) == ("gemma" in family)  # B10


def test_a_model_of_several_files_loads(folder: Path) -> None:
    whole = load(str(folder), device="cpu")
    shard(folder)
    parts = load(str(folder), device="cpu")
    assert all(
        torch.equal(first, second)
        for first, second in zip(whole.network.parameters(), parts.network.parameters(), strict=True)
    )


def test_equal_files_have_one_id_and_others_another(folder: Path, tmp_path: Path) -> None:  # C17
    first = load(str(folder), device="cpu").model_id
    copied = shutil.copytree(folder, tmp_path / "elsewhere" / "model")
    assert load(str(copied), device="cpu").model_id == first
    tensors = load_file(copied / "model.safetensors")
    tensors["model.norm.weight"] += 1
    save_file(tensors, copied / "model.safetensors", metadata={"format": "pt"})
    assert load(str(copied), device="cpu").model_id != first


def test_files_that_change_during_loading_are_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # C19
    tensors = load_file(folder / "model.safetensors")

    def change(*_: Any) -> Any:
        tokenizer = original(*_)
        tensors["model.norm.weight"] += 1
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return tokenizer

    original = loading._tokenizer
    monkeypatch.setattr(loading, "_tokenizer", change)
    with pytest.raises(ModelError, match="the files changed while they were read"):
        load(str(folder), device="cpu")


# C1, C2: names and folders


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "a name that is empty"),
        ("x" * 501, "a name of 501 characters"),
        ("a\0b", "a name with control characters"),
        ("a\nb", "a name with control characters"),
        ("\\\\host\\share", "a name of a network share"),
        ("//host/share", "a name of a network share"),
        ("file:///etc", "drive letter or URL scheme"),
        ("https:x", "drive letter or URL scheme"),
        ("s3://bucket/x", "drive letter or URL scheme"),
        ("C:x", "drive letter or URL scheme"),
        ("../..", r"a name with \.\. in it"),
        ("a/../../b", r"a name with \.\. in it"),
        ("a\\b", "a name with a backslash"),
    ],
)
def test_tricky_names_are_refused_before_the_file_system_is_asked(
    name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def touched(*_: Any, **__: Any) -> Any:
        raise AssertionError("the file system was asked")

    for call in ("exists", "is_dir", "is_file", "stat", "resolve"):
        monkeypatch.setattr(Path, call, touched)
    with pytest.raises(ModelError, match=said):
        place_of(name)


def test_paths_outside_the_roots_are_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMOLENS_MODEL_ROOTS", str(tmp_path / "model"))
    assert place_of(str(folder)).kind == "folder"
    for name in ("/etc", str(tmp_path), "/"):
        with pytest.raises(ModelError, match="outside the folders that models may be taken from"):
            place_of(name)
    (folder / "link").symlink_to("/etc")
    with pytest.raises(ModelError, match="a link out of the folders"):
        place_of(str(folder / "link"))


def test_folders_that_are_not_models_are_named(folder: Path, tmp_path: Path) -> None:  # C1
    with pytest.raises(ModelError, match="no such folder or file"):
        load(str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match="a file that is not GGUF"):
        load(str(folder / "config.json"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="the folder is empty"):
        load(str(tmp_path / "empty"))
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"no config\.json"):
        load(str(folder))


def test_a_folder_without_permission_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # C1
    def refuse(_: Path) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(ModelError, match=r"the folder cannot be read \(permission denied\)"):
        load(str(folder))


# C3: the hub


@pytest.mark.parametrize("name", ["org/model", "org/model@main", "org-x/model.v2@0123abc"])
def test_a_hub_model_that_is_not_cached_fails_at_once(name: str) -> None:
    start = time.monotonic()
    with pytest.raises(ModelError, match=f"^{name}: offline, and the model is not in the local cache"):
        load(name)
    assert time.monotonic() - start < 5


def test_a_cached_hub_model_is_used_and_pinned(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # C4
    import huggingface_hub

    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = tmp_path / "snapshots" / commit
    shutil.copytree(folder, snapshot)
    asked: list[Any] = []

    def cached(repo: str, revision: str | None = None, **options: Any) -> str:
        asked.append((repo, revision, options))
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", cached)
    model = load("org/model@main", device="cpu")
    assert model.name == f"org/model@{commit}"
    assert asked == [("org/model", "main", {"local_files_only": True})]


def test_a_hub_that_does_not_answer_is_offline(monkeypatch: pytest.MonkeyPatch) -> None:  # C3
    import huggingface_hub

    def no_answer(*_: Any, **__: Any) -> Any:
        raise ConnectionError("no route")

    monkeypatch.setenv("DEMOLENS_ALLOW_HUB", "1")
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", no_answer)
    with pytest.raises(ModelError, match=r"offline, and the model is not in the local cache \(ConnectionError\)"):
        load("org/model")


# C5, C6: pickle and code


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "x.ckpt"])
def test_pickle_weights_are_refused_with_a_way_out(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(ModelError, match=f"only there as {name}.*save_pretrained"):
        load(str(folder))


def test_a_folder_without_weights_is_named(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no model\.safetensors; expected weights as safetensors"):
        load(str(folder))


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("config.json", {"auto_map": {"AutoModelForCausalLM": "evil.Model"}}),
        ("config.json", {"text_config": {"deep": [{"trust_remote_code": True}]}}),
        ("config.json", {"trust_remote_code": "yes"}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.Tokenizer", None]}}),
        ("generation_config.json", {"x": {"auto_map": {}}}),
    ],
)
def test_models_that_bring_code_are_refused(folder: Path, file: str, values: dict[str, Any]) -> None:
    put(folder / file, **values)
    with pytest.raises(ModelError, match="asks to run code that comes with the model"):
        load(str(folder))


def test_program_files_are_refused(folder: Path) -> None:
    (folder / "modeling_evil.py").write_text("raise SystemExit")
    with pytest.raises(ModelError, match=r"the folder holds program code \(modeling_evil\.py\)"):
        load(str(folder))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "not readable as JSON"),
        (b"[" * 100_000, "not readable as JSON"),
        (b"[]", "a JSON list"),
        (b'{"a": 1, "a": 2}', "the key 'a' stands there twice"),
        (b"\xff\xfe", "not readable as JSON"),
        (b" " * 4_000_001, "4000001 bytes; expected at most 4000000"),
    ],
)
def test_a_damaged_configuration_is_refused(folder: Path, content: bytes, said: str) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(ModelError, match=rf"config\.json: {said}"):
        load(str(folder))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, "model_type bert, BertForMaskedLM"),
        ({"model_type": "bert", "architectures": ["BertLMHeadModel"]}, "model_type bert, BertLMHeadModel"),
        ({"model_type": "roberta", "architectures": ["RobertaForCausalLM"]}, "not a causal language model"),
        ({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, "not a causal language model"),
        ({"model_type": "bart", "architectures": ["BartForConditionalGeneration"]}, "not a causal language model"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "LlamaForSequenceClassification"),
        ({"architectures": None}, "no architecture"),
        ({"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"]}, "not a causal language model"),
        ({"vision_config": {"x": 1}}, "not a causal language model"),
        ({"is_encoder_decoder": True}, "not a causal language model"),
        ({"model_type": ["llama"]}, "not a causal language model"),
        ({"model_type": "x" * 500}, "not a causal language model"),
        ({"quantization_config": {"load_in_4bit": True}}, "the weights are quantised"),  # C15
        ({"num_hidden_layers": 10**9}, "num_hidden_layers is 1000000000; expected a whole number from 1 to 1000"),
        ({"hidden_size": "32"}, "hidden_size is 32"),
        ({"hidden_size": -1}, "hidden_size is -1"),
    ],
)
def test_what_is_no_causal_language_model_is_refused(folder: Path, values: dict[str, Any], said: str) -> None:  # C13
    put(folder / "config.json", **values)
    with pytest.raises(ModelError, match=said):
        load(str(folder))


# C7, C8: weights


def header_of(file: Path) -> tuple[dict[str, Any], bytes]:
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def write_header(file: Path, header: dict[str, Any], body: bytes) -> None:
    head = json.dumps(header).encode()
    file.write_bytes(len(head).to_bytes(8, "little") + head + body)


def test_a_file_cut_short_is_refused(folder: Path) -> None:
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    for length, said in (
        (len(whole) - 1, "the file is cut short"),
        (100, "a header of"),
        (0, "0 bytes"),
        (7, "7 bytes"),
    ):
        file.write_bytes(whole[:length])
        with pytest.raises(ModelError, match=said):
            load(str(folder))
    file.write_bytes(whole + b"x")
    with pytest.raises(ModelError, match="the file goes on after its last tensor"):
        load(str(folder))


@pytest.mark.parametrize(
    "content", [b"<!DOCTYPE html>", b"version https://git-lfs", b"\xff" * 64, struct.pack("<Q", 2**63)]
)
def test_files_that_are_something_else_are_refused(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="expected a safetensors file"):
        load(str(folder))


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry.update(shape=[2**40, 2**40]),
        lambda entry: entry.update(shape=[-1, 3]),
        lambda entry: entry.update(dtype="EVIL"),
        lambda entry: entry.update(data_offsets=[0, 8]),
        lambda entry: entry.update(data_offsets=[10**18, 10**18 + 8]),
        lambda entry: entry.pop("shape"),
        lambda entry: entry.update(shape=[1.5]),
    ],
)
def test_a_header_that_does_not_add_up_is_refused(folder: Path, change: Change) -> None:
    header, body = header_of(folder / "model.safetensors")
    change(header["model.norm.weight"])
    write_header(folder / "model.safetensors", header, body)
    with pytest.raises(ModelError, match=r"has bytes|describe tensors"):
        load(str(folder))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../a.safetensors", "the file name '../a.safetensors'"),
        ("/etc/a.safetensors", "the file name"),
        ("c:a.safetensors", "the file name"),
        ("a.bin", r"the file name 'a\.bin'; expected a \.safetensors file in the same folder"),
        ("c.safetensors", r"the weight file c\.safetensors is missing"),
        ("a.safetensors", r"a\.safetensors lacks"),
        (7, "the file name '7'"),
    ],
)
def test_an_index_that_leads_astray_is_refused(folder: Path, name: Any, said: str) -> None:
    shard(folder)
    last = "model.norm.weight"
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    assert index["weight_map"][last] == "b.safetensors" or name != "a.safetensors"
    rewrite(folder / "model.safetensors.index.json", lambda value: value["weight_map"].update({last: name}))
    with pytest.raises(ModelError, match=said):
        load(str(folder))


def test_a_tensor_in_two_files_is_refused(folder: Path) -> None:
    index = shard(folder)
    shutil.copy(folder / "a.safetensors", folder / "b.safetensors")
    rewrite(
        folder / "model.safetensors.index.json",
        lambda value: value.update(
            weight_map=dict.fromkeys(list(index["weight_map"])[:1], "a.safetensors") | {"z": "b.safetensors"}
        ),
    )
    with pytest.raises(ModelError, match="stands in two files"):
        load(str(folder))


def test_missing_weights_are_named_and_never_made_up(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    for name in [name for name in tensors if "layers.1.mlp" in name]:
        del tensors[name]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        ModelError, match=r"3 weights are missing: model\.layers\.1\.mlp\.down_proj\.weight, .*gate.*, .*up"
    ):
        load(str(folder))


def test_weights_of_another_shape_are_named(folder: Path) -> None:
    put(folder / "config.json", intermediate_size=56)
    with pytest.raises(
        ModelError, match=r"9 weights do not have the shape that config\.json describes: model\.layers\.0"
    ):
        load(str(folder))


def test_a_configuration_for_far_more_weights_is_refused_first(folder: Path) -> None:
    put(folder / "config.json", num_hidden_layers=900, hidden_size=4096, intermediate_size=16384)
    start = time.monotonic()
    with pytest.raises(ModelError, match=r"config\.json describes \d+ weights, the files hold 44640"):
        load(str(folder))
    assert time.monotonic() - start < 20


def test_a_model_that_does_not_fit_is_refused_with_numbers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # C18
    monkeypatch.setattr(loading, "free_bytes", lambda _: 100_000)
    with pytest.raises(ModelError, match=r"needs about 0\.2 MB in float32, 0\.1 MB are free on cpu"):
        load(str(folder), device="cpu")


# C10: tokenizers


def test_a_folder_without_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"no tokenizer\.json"):
        load(str(folder))


def test_of_named_chat_templates_the_default_is_used(folder: Path) -> None:
    whole = load(str(folder)).tokenizer.chat_frame()
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").unlink()

    def named(value: dict[str, Any]) -> None:
        value["chat_template"] = [
            {"name": "tool_use", "template": "{{ raise_exception('tools') }}"},
            {"name": "default", "template": template},
        ]

    rewrite(folder / "tokenizer_config.json", named)
    assert load(str(folder)).tokenizer.chat_frame() == whole is not None


def test_a_tokenizer_of_another_model_is_refused(folder: Path, tiny_llama: Any) -> None:
    rows = tiny_llama.config.vocab_size

    def more(value: dict[str, Any]) -> None:
        value["model"]["vocab"] |= {f"extra{number}": rows + number for number in range(9)}

    rewrite(folder / "tokenizer.json", more)
    with pytest.raises(ModelError, match=f"the tokenizer has {rows + 9} tokens, the model knows {rows}"):
        load(str(folder))


def test_control_tokens_beyond_the_model_are_told(folder: Path, tiny_llama: Any) -> None:
    rows = tiny_llama.config.vocab_size

    def more(value: dict[str, Any]) -> None:
        value["added_tokens"].append(value["added_tokens"][0] | {"id": rows, "content": "<image>"})

    rewrite(folder / "tokenizer.json", more)
    assert load(str(folder)).notices == ("The tokenizer has 1 control tokens that the model does not know.",)


@pytest.mark.parametrize("content", [b"{}", b"[", b'{"model": {"type": "Evil"}}'])
def test_a_damaged_tokenizer_is_refused(folder: Path, content: bytes) -> None:
    (folder / "tokenizer.json").write_bytes(content)
    with pytest.raises(ModelError, match="the tokenizer cannot be loaded"):
        load(str(folder))


# C15: device and dtype


def test_a_number_format_that_does_not_work_is_replaced_and_said(folder: Path) -> None:
    model = load(str(folder), device="cpu", dtype="float16")
    assert model.dtype == "float32"
    assert model.notices == ("float16 cannot be used on this cpu device; float32 is used instead.",)
    assert load(str(folder), device="cpu", dtype="bfloat16").network.dtype == torch.bfloat16


def test_devices_are_chosen_by_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(devices.torch.cuda, "is_bf16_supported", lambda **_: False)
    assert device_for("auto") == "cuda"
    assert dtype_for("cuda", "auto") == ("float16", ())
    assert dtype_for("cuda", "bfloat16")[0] == "float16"
    monkeypatch.setattr(devices.torch.cuda, "is_bf16_supported", lambda **_: True)
    assert dtype_for("cuda", "auto") == ("bfloat16", ())
    assert dtype_for("mps", "auto") == ("float16", ())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert device_for("auto") == "cpu"
    with pytest.raises(ModelError, match="no cuda device on this machine; expected one of: cpu"):
        device_for("cuda")
    with pytest.raises(ModelError, match="device 'tpu'"):
        device_for("tpu")
    with pytest.raises(ModelError, match="dtype 'int4'"):
        dtype_for("cpu", "int4")


def test_messages_are_one_sentence_without_our_paths(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError) as caught:
        load(str(folder))
    assert "\n" not in str(caught.value)
    assert str(Path(loading.__file__).parent) not in str(caught.value)
    assert math.isfinite(len(str(caught.value)))
