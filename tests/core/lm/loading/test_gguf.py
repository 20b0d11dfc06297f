"""A GGUF file is looked at by ourselves first: lies about its sizes cost neither time nor memory."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import psutil
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import ModelError
from core.lm.loading import gguf_convert
from core.lm.loading.gguf_convert import converted, is_complete
from core.lm.loading.gguf_header import checked_head
from core.lm.loading.load import load
from core.store import child
from core.store.scratch import sweep

SECONDS = 10.0
STRING, ARRAY, U32 = 8, 9, 4


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Any, tiny_transformers_tokenizer: Any) -> Path:
    """The tiny Llama as a float32 GGUF file, written by the gguf library."""
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(file, tiny_llama, tiny_transformers_tokenizer)
    return file


def write_gguf(file: Path, network: Any, tokenizer: Any) -> None:
    config = network.config
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    words = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    kinds = [3 if number in tokenizer.all_special_ids else 1 for number in range(len(words))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(words)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in model["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(tokenizer.chat_template)
    for name, tensor in network.state_dict().items():
        writer.add_tensor(gguf_name(name), in_gguf_order(name, tensor, config).numpy().astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def gguf_name(name: str) -> str:
    words = {
        "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output", "model.layers": "blk",
        "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    }  # fmt: skip
    for ours, theirs in words.items():
        name = name.replace(ours, theirs)
    return name


def in_gguf_order(name: str, tensor: torch.Tensor, config: Any) -> torch.Tensor:
    """GGUF keeps the rotary halves of queries and keys of Llama models interleaved."""
    if "q_proj" not in name and "k_proj" not in name:
        return tensor
    heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
    width = tensor.shape[0] // heads
    return tensor.reshape(heads, 2, width // 2, -1).swapaxes(1, 2).reshape(tensor.shape).contiguous()


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def entry(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def head(*entries: bytes, tensors: bytes = b"", kv: int | None = None, count: int = 1, version: int = 3) -> bytes:
    counts = struct.pack("<IQQ", version, count, len(entries) if kv is None else kv)
    return b"GGUF" + counts + b"".join(entries) + tensors


LLAMA = entry("general.architecture", STRING, text("llama"))


def tensor(name: str = "t", axes: int = 1, shape: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0) -> bytes:
    sizes = b"".join(struct.pack("<Q", size) for size in shape)
    return text(name) + struct.pack("<I", axes) + sizes + struct.pack("<IQ", kind, offset)


BOMBS = {
    "array of 2^63": (head(entry("a", ARRAY, struct.pack("<IQ", STRING, 2**63))), "an array of"),
    "scalars 2^63": (head(entry("a", ARRAY, struct.pack("<IQ", U32, 2**63))), "bytes announced"),
    "nested arrays": (head(entry("a", ARRAY, struct.pack("<IQ", ARRAY, 2**40))), "an array of type 9"),
    "kv 2^63": (head(LLAMA, kv=2**63), "9223372036854775808 entries"),
    "tensors 2^63": (head(LLAMA, count=2**63), "9223372036854775808 tensors"),
    "no tensors": (head(LLAMA, count=0), "0 tensors"),
    "n_dims 2^32-1": (head(LLAMA, tensors=tensor(axes=2**32 - 1)), "has 4294967295 axes"),
    "no axes": (head(LLAMA, tensors=tensor(axes=0, shape=())), "has 0 axes"),
    "unknown quant": (head(LLAMA, tensors=tensor(kind=999) + bytes(256)), "in number format 999"),
    "half a block": (head(LLAMA, tensors=tensor(kind=2, shape=(33,)) + bytes(256)), "in blocks of 32"),
    "huge tensor": (head(LLAMA, tensors=tensor(shape=(2**62,)) + bytes(256)), "ends at byte"),
    "far tensor": (head(LLAMA, tensors=tensor(offset=2**63) + bytes(256)), "ends at byte"),
    "empty axis": (head(LLAMA, tensors=tensor(shape=(0,)) + bytes(256)), r"has the shape \(0,\)"),
    "unknown family": (head(entry("general.architecture", STRING, text("evil"))), "architecture 'evil'"),
    "no family": (head(entry("x", U32, bytes(4))), "architecture 'None'"),
    "family a number": (head(entry("general.architecture", U32, bytes(4))), "architecture '0'"),
    "long text": (head(entry("a", STRING, struct.pack("<Q", 2**63))), "a text of 9223372036854775808 bytes"),
    "long key": (head(struct.pack("<Q", 2**63)), "a text of 9223372036854775808 bytes"),
    "unknown type": (head(entry("a", 77, b"")), "a value of unknown type 77"),
    "key twice": (head(LLAMA, LLAMA), "'general.architecture' stands there twice"),
    "alignment 0": (head(LLAMA, entry("general.alignment", U32, bytes(4))), "general.alignment is 0"),
    "alignment text": (head(LLAMA, entry("general.alignment", STRING, text("x"))), "general.alignment is x"),
    "layers": (
        head(LLAMA, entry("llama.block_count", U32, b"\xff" * 4), tensors=tensor() + bytes(999)),
        "block_count is",
    ),
    "layers missing": (
        head(LLAMA, entry("llama.block_count", U32, struct.pack("<I", 9)), tensors=tensor() + bytes(999)),
        "9 layers are announced, 0 are there",
    ),
    "version 1": (head(LLAMA, version=1), "GGUF version 1; expected 2 or 3"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 1, 1) + bytes(64), "GGUF version 50331648"),
    "empty": (b"", "a file of less than 24 bytes"),
    "only the mark": (b"GGUF", "a file of less than 24 bytes"),
    "another file": (b"PK\x03\x04" + bytes(99), "no GGUF mark"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_quickly(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # C9
    data, said = BOMBS[name]
    file = tmp_path / "bomb.gguf"
    file.write_bytes(data)
    monkeypatch.setattr(gguf_convert, "_run_child", lambda *_: pytest.fail("the library was asked"))
    start, before = time.monotonic(), psutil.Process().memory_info().rss
    with pytest.raises(ModelError, match=said):
        load(str(file))
    assert time.monotonic() - start < SECONDS
    assert psutil.Process().memory_info().rss - before < 100_000_000


def test_the_49_byte_bomb_is_one_of_them() -> None:
    assert len(BOMBS["array of 2^63"][0]) == 49


def test_a_whole_file_is_accepted(tiny_gguf: Path, tiny_llama: Any) -> None:
    found = checked_head(tiny_gguf, where="tiny")
    assert found.architecture == "llama"
    assert found.shapes["token_embd.weight"] == (32, tiny_llama.config.vocab_size)
    assert found.numbers == sum(tensor.numel() for tensor in tiny_llama.state_dict().values())


def test_any_shortening_is_refused(tiny_gguf: Path, tmp_path: Path) -> None:
    whole, file = tiny_gguf.read_bytes(), tmp_path / "short.gguf"
    for length in (*range(0, 3000, 97), len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(ModelError):
            checked_head(file, where="short")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 12_000), damage=st.binary(min_size=1, max_size=8))
def test_damage_is_refused_or_harmless(tiny_gguf: Path, tmp_path: Path, place: int, damage: bytes) -> None:
    data, file = bytearray(tiny_gguf.read_bytes()), tmp_path / "damaged.gguf"
    data[place : place + len(damage)] = damage
    file.write_bytes(data)
    with contextlib.suppress(ModelError):
        assert checked_head(file, where="damaged").numbers * 4 <= len(data) * 40


@pytest.mark.slow
def test_a_file_is_converted_once_and_checked_on_every_use(
    tiny_gguf: Path, tiny_llama: Any, tiny_transformers_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(str(tiny_gguf), device="cpu")
    ours, theirs = model.network.state_dict(), tiny_llama.state_dict()
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    text = "The user liked: Alien\n 😀"
    assert list(model.tokenizer.encode(text)[0]) == tiny_transformers_tokenizer(text)["input_ids"]
    assert model.tokenizer.has_chat
    assert {path.name for path in model.folder.parent.iterdir()} == {model.folder.name}

    with monkeypatch.context() as patched:
        patched.setattr(gguf_convert, "_run_child", lambda *_: pytest.fail("converted again"))
        assert load(str(tiny_gguf), device="cpu").model_id == model.model_id
    source = json.loads((model.folder / "complete.json").read_text())["source"]
    assert is_complete(model.folder, source)
    assert not is_complete(model.folder, "0" * 64)
    with (model.folder / "model.safetensors").open("ab") as file:
        file.write(b"x")
    assert not is_complete(model.folder, source)
    assert load(str(tiny_gguf), device="cpu").model_id == model.model_id  # made anew


@pytest.mark.slow
def test_flipped_bits_under_the_same_size_and_time_are_never_used(tiny_gguf: Path) -> None:
    folder = converted(tiny_gguf, where="tiny")
    right = {path.name: path.read_bytes() for path in folder.iterdir()}
    weights = folder / "model.safetensors"
    before, data = weights.stat(), bytearray(right["model.safetensors"])
    data[-5] ^= 0x40
    weights.write_bytes(data)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert {path.name: path.read_bytes() for path in converted(tiny_gguf, where="tiny").iterdir()} == right
    source = json.loads(right["complete.json"])["source"]
    assert is_complete(folder, source)
    (folder / "more.json").write_bytes(b"{}")
    assert not is_complete(folder, source)
    (folder / "more.json").unlink()
    (folder / "config.json").write_bytes(right["config.json"] + b" ")
    assert not is_complete(folder, source)


CONVERT = """
import sys
from pathlib import Path
from core.lm.loading.gguf_convert import converted
from core.store.lock import reporting
with reporting(lambda label, _: print(label, flush=True)):
    converted(Path(sys.argv[1]), where="tiny")
"""


def converting(file: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", CONVERT, str(file)], stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_three_processes_convert_once_and_the_others_say_that_they_wait(tiny_gguf: Path) -> None:
    processes = [converting(tiny_gguf) for _ in range(3)]
    said = [set(process.communicate()[0].splitlines()) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sum("converting tiny.gguf (the first time only)" in words for words in said) == 1
    assert {*said[0], *said[1], *said[2]} == {
        "converting tiny.gguf (the first time only)",
        "waiting for another process: the conversion of tiny.gguf",
    }


def test_a_killed_conversion_leaves_no_process_and_no_bytes(tiny_gguf: Path, tmp_path: Path) -> None:
    process = converting(tiny_gguf)
    assert process.stdout.readline().startswith("converting")
    while not (children := psutil.Process(process.pid).children()):
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert psutil.wait_procs(children, timeout=60)[1] == []
    sweep(tmp_path / "home")
    files = [path for path in (tmp_path / "home").rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert {path.parent.name for path in files} == {"hashes"}, "only the note about the file itself"


def test_what_lies_beside_the_file_is_not_read(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []

    def written(file: Path, part: Path, *_: Any) -> None:
        seen.append(part)
        (part / "config.json").write_text("{}")

    monkeypatch.setattr(gguf_convert, "_run_child", written)
    folder = converted(Path(shutil.copy(tiny_gguf, tmp_path)), where="tiny")
    assert sorted(path.name for path in folder.iterdir()) == ["complete.json", "config.json"]
    assert seen[0].is_relative_to(tmp_path / "home" / "scratch")
    assert not seen[0].exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a shell script as interpreter")
def test_a_conversion_that_hangs_or_dies_is_reported(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nwhile true; do :; done\n")
    script.chmod(0o755)
    monkeypatch.setattr(child.sys, "executable", str(script))
    monkeypatch.setattr(gguf_convert, "CPU_SECONDS", 0.3)
    with pytest.raises(ModelError, match="not converted within 0 s of processor time"):
        converted(tiny_gguf, where="tiny")
    script.write_text("#!/bin/sh\nkill -9 $$\n")
    with pytest.raises(ModelError, match="the converter died"):
        converted(tiny_gguf, where="tiny")
    script.write_text('#!/bin/sh\necho noise\necho \'{"done": false, "error": "ValueError: odd"}\'\n')
    with pytest.raises(ModelError, match="cannot be converted: ValueError: odd"):
        converted(tiny_gguf, where="tiny")
    assert list((tmp_path / "home" / "models").iterdir()) == []


def test_a_file_too_large_for_memory_or_disk_is_refused(tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Little:
        available = 1000

    monkeypatch.setattr(gguf_convert.psutil, "virtual_memory", Little)
    with pytest.raises(ModelError, match=r"converting takes about 0\.0 GB of memory"):
        converted(tiny_gguf, where="tiny")
