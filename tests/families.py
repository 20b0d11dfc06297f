"""A tiny random network of any causal family that transformers has."""

from __future__ import annotations

import copy
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

VOCABULARY = 384
MOST_WEIGHTS = 3_000_000
"""A configuration that asks for more is not small: nothing is built from it."""
_WIDTHS = dict.fromkeys(("hidden_size", "d_model", "n_embd", "n_embed", "emb_dim"), 32)
_INNER = dict.fromkeys(("intermediate_size", "ffn_dim", "n_inner", "decoder_ffn_dim", "encoder_ffn_dim"), 48)
_DEPTHS = dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers"), 4)
_HEADS = dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads"), 4)
_LENGTHS = dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx"), 1024)
_EXPERTS = dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4)
SIZES: dict[str, Any] = {
    **_WIDTHS,
    **_INNER,
    **_DEPTHS,
    **_HEADS,
    **_LENGTHS,
    **_EXPERTS,
    "vocab_size": VOCABULARY,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "encoder_layers": 1,
    "encoder_attention_heads": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "shared_expert_intermediate_size": 24,
    "n_group": 1,
    "topk_group": 1,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
    "sliding_window": 6,
    "attention_chunk_size": 6,
    "initializer_range": 0.25,
    "init_std": 0.25,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
}
"""What configurations call their sizes; each family takes those that it knows."""


def small_config(kind: str, **more: Any) -> Any:
    """A configuration of the text model of a family, with as many sizes made small as it names."""
    default = CONFIG_MAPPING[kind]().get_text_config()
    names = {*default.to_dict(), *default.attribute_map}
    sizes = {name: size for name, size in SIZES.items() if name in names}
    if "layer_types" not in names and getattr(default, "sliding_window", None) is None:
        sizes.pop("sliding_window", None)
    return type(default)(**(sizes | more))


def small_network(kind: str, seed: int = 0, **more: Any) -> PreTrainedModel:
    """A network of a family with random float32 weights; raises `ValueError` where its sizes stay large."""
    family = MODEL_FOR_CAUSAL_LM_MAPPING[CONFIG_MAPPING[kind]]
    config = small_config(kind, **more)
    with torch.device("meta"):
        weights = sum(parameter.numel() for parameter in family(copy.deepcopy(config)).parameters())
    if weights > MOST_WEIGHTS:
        raise ValueError(f"{weights} weights")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: PreTrainedModel = family(config)
        for name, parameter in network.named_parameters():
            if "norm" in name:
                parameter.data.add_(0.3 * torch.randn_like(parameter))
    return network.eval().requires_grad_(False)
