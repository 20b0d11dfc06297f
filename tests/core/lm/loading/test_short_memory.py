"""A whole model that does not fit into `ulimit -v` is called too large, not damaged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from transformers import LlamaConfig, LlamaForCausalLM

ROOT = Path(__file__).resolve().parents[4]
LOAD = """
import resource, sys
import psutil, torch
from core.errors import ModelError
from core.lm.loading.load import load
load(sys.argv[1], device="cpu")
resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + 40 * 2**20, resource.RLIM_INFINITY))
try:
    load(sys.argv[2], device="cpu")
except ModelError as error:
    print(error)
"""


def test_a_model_beyond_the_limit_of_address_space_is_called_too_large(
    tiny_llama: Any, tiny_transformers_tokenizer: Any, tmp_path: Path
) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    wide = LlamaConfig(**tiny_llama.config.to_dict() | {"intermediate_size": 160_000, "num_hidden_layers": 2})
    for network, folder in ((tiny_llama, small), (LlamaForCausalLM(wide), large)):
        network.save_pretrained(folder)
        tiny_transformers_tokenizer.save_pretrained(folder)
    run = subprocess.run(
        [sys.executable, "-c", LOAD, str(small), str(large)], cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    expected = "the memory is too small to open this model; expected a smaller model or more memory"
    assert run.stdout.strip().rpartition("large: ")[2] == expected, run.stderr[-500:]
