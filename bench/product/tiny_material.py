"""A tiny real model as a GGUF file, a tiny data set and a tiny wheel: what faults are tried on."""

from __future__ import annotations

import hashlib
import random
import zipfile
from pathlib import Path
from typing import Any

from core.store.material import PinnedWheel

USERS, ITEMS = 12, 30


def write_model(file: Path, seed: int = 0) -> None:
    """A Llama of two layers with random float32 weights and a byte-level tokenizer."""
    import gguf
    import numpy as np
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *letters, "ab"]
    width, inner, layers, heads, shared = 32, 48, 2, 4, 2
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_block_count(layers)
    writer.add_context_length(1024)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(shared)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(width // heads)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3, *([1] * (len(letters) + 1))])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    draw = np.random.default_rng(seed)
    for name, shape in _shapes(len(tokens), width, inner, layers, width * shared // heads):
        numbers = np.ones(shape) if "norm" in name else 0.2 * draw.standard_normal(shape)
        writer.add_tensor(name, numbers.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _shapes(vocab: int, width: int, inner: int, layers: int, narrow: int) -> list[tuple[str, tuple[int, ...]]]:
    rows: list[tuple[str, tuple[int, ...]]] = [("token_embd", (vocab, width)), ("output_norm", (width,))]
    rows.append(("output", (vocab, width)))
    for layer in range(layers):
        block: dict[str, Any] = {
            "attn_q": (width, width), "attn_k": (narrow, width), "attn_v": (narrow, width),
            "attn_output": (width, width), "ffn_gate": (inner, width), "ffn_up": (inner, width),
            "ffn_down": (width, inner), "attn_norm": (width,), "ffn_norm": (width,),
        }  # fmt: skip
        rows += [(f"blk.{layer}.{name}", shape) for name, shape in block.items()]
    return [(f"{name}.weight", shape) for name, shape in rows]


def write_data(folder: Path, seed: int = 0) -> None:
    """`<folder>/<name>.inter` and `.item` with random ratings."""
    draw = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    for user in range(USERS):
        for moment, item in enumerate(draw.sample(range(ITEMS), 14)):
            lines.append(f"{user}\t{item}\t{draw.randint(1, 5)}\t{1000 * user + moment}")
    (folder / f"{folder.name}.inter").write_text("\n".join(lines) + "\n")
    items = ["item_id:token\ttitle:token_seq", *(f"{item}\tFilm {item}" for item in range(ITEMS))]
    (folder / f"{folder.name}.item").write_text("\n".join(items) + "\n")


def write_wheel(wheels: Path) -> PinnedWheel:
    """A wheel in a folder of laid wheels, and what is wanted of it."""
    wheels.mkdir(parents=True, exist_ok=True)
    file = wheels / "toy_thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("toy/a.txt"), b"alpha" * 1000)
    return PinnedWheel("toy-thing", "1.0", hashlib.sha256(file.read_bytes()).hexdigest(), ("toy/a.txt",))
