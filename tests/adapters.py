"""Model and adapter folders as the libraries write them, with random weights."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def saved_model(network: Any, tokenizer: Any, folder: Path) -> Path:
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def saved_adapter(network: Any, folder: Path, *, seed: int = 0, targets: Any = LINEAR, **options: Any) -> Path:
    """A LoRA adapter of rank 2 for this network, which is left as it is; neither of its matrices is zero."""
    targets = targets if isinstance(targets, str) else list(targets)
    settings = {"r": 2, "init_lora_weights": False, "task_type": "CAUSAL_LM", "target_modules": targets}
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers for an attribute by its old name
        torch.manual_seed(seed)
        made = get_peft_model(copy.deepcopy(network), LoraConfig(**settings | options))
        made.save_pretrained(str(folder))
    return folder


def merged_copy(network: Any, adapter: Path) -> Any:
    """A copy of the network with the adapter added into its weights, by the library itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # as above
        return PeftModel.from_pretrained(copy.deepcopy(network), str(adapter)).merge_and_unload().eval()


def loaded_copy(network: Any, adapter: Path) -> Any:
    """A copy of the network with the adapter as the library itself loads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above, and unknown classes in `auto_mapping`
        return PeftModel.from_pretrained(copy.deepcopy(network), str(adapter)).eval()
