"""Small trainable matrices beside the linear layers of a network, through PEFT; stored in its own format."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import ModelError

NAME = "default"
"""What PEFT calls the adapter in memory."""
_IN_A_BLOCK = re.compile(r"\.\d+\.")


def linear_layers(network: Any) -> tuple[str, ...]:
    """Names of the linear layers of the decoder's blocks, such as q_proj; never embeddings or the output layer.

    Raises `ModelError` for a network without any.
    """
    layers = {
        name.rpartition(".")[2]
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and _IN_A_BLOCK.search(f".{name}.")
    }
    if not layers:
        raise ModelError("the model's blocks have no linear layers", expected="method full, or another model")
    return tuple(sorted(layers))


def attach_lora(network: Any, *, base: str, rank: int, alpha: int, dropout: float, seed: int) -> Any:
    """The network with LoRA (arXiv 2106.09685) on every linear layer of its blocks; nothing else can be trained.

    The network itself is changed in place and is to be run as before: at first it gives the same outputs bit for bit,
    for one of the two matrices is zero; the other is drawn by `seed`. `base` is the model's name in the stored file.
    """
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=list(linear_layers(network)),
    )
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers for an attribute by its old name
        torch.manual_seed(seed)
        wrapped = get_peft_model(network, config)
    wrapped.peft_config[NAME].base_model_name_or_path = base
    return wrapped


def stored_names(wrapped: Any) -> dict[str, str]:
    """Name of each trainable weight in the network -> its name in PEFT's file."""
    from peft import get_peft_model_state_dict

    state = get_peft_model_state_dict(wrapped, adapter_name=NAME, save_embedding_layers=False)
    inside = {tensor.data_ptr(): name for name, tensor in wrapped.base_model.model.named_parameters()}
    return {inside[tensor.data_ptr()]: name for name, tensor in state.items()}


def adapter_config(wrapped: Any) -> bytes:
    """PEFT's `adapter_config.json`, its keys in order."""
    config = wrapped.peft_config[NAME].to_dict() | {"inference_mode": True}
    return (json.dumps(config, indent=2, sort_keys=True, default=sorted) + "\n").encode()


def as_stored(tensors: Mapping[str, Tensor], *, half: bool) -> dict[str, Tensor]:
    """The tensors on the CPU, in float16 if `half`. Raises `ModelError` for a weight that float16 cannot hold."""
    cpu_tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    if half:
        cpu_tensors = {name: tensor.half() for name, tensor in cpu_tensors.items()}
    if not all(bool(torch.isfinite(tensor).all()) for tensor in cpu_tensors.values()):
        raise ModelError("a learned weight is not a finite number of 16 bits", expected="--no-half")
    return cpu_tensors
